"""What plugins that build on this one may use: it keeps its meaning from version to version. `stylegan` does."""

from __future__ import annotations

from .crossfade import CrossFade

__all__ = ["CrossFade"]
