"""What all pages of ganzoo look alike by. No torch here."""

from __future__ import annotations

from pathlib import Path

_TEMPLATES = Path(__file__).with_name("templates")


def base_style() -> str:
    """The style sheet that all pages begin with: colours for light and dark, text, sections, tables, phones."""
    return (_TEMPLATES / "base.css").read_text(encoding="utf-8")


def report_style() -> str:
    """The style sheet of reports of runs and studies."""
    return base_style() + (_TEMPLATES / "report.css").read_text(encoding="utf-8")
