"""What plugins that build on this one may use: it keeps its meaning, and its numbers, from version to version.

The plugin `stylegan`, of the network that came before, is made of these.
"""

from __future__ import annotations

from .bounds import keep_within
from .conversion import channels, level_of
from .depthwise import Steps, depthwise
from .discriminator import append_deviation
from .layers import Convolution, Linear, activate, unlowered
from .mapping import Mapping
from .mixing import follow_mean, mix
from .networks import SMALLEST, ChannelBase, positive, refuse_translation, refuse_unlabelled, widths

__all__ = [
    "SMALLEST",
    "ChannelBase",
    "Convolution",
    "Linear",
    "Mapping",
    "Steps",
    "activate",
    "append_deviation",
    "channels",
    "depthwise",
    "follow_mean",
    "keep_within",
    "level_of",
    "mix",
    "positive",
    "refuse_translation",
    "refuse_unlabelled",
    "unlowered",
    "widths",
]
