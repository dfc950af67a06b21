"""ganzoo: a composable GAN model zoo.

Names that need torch are imported when they are first used, so that plugins and the command line start fast.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .contract import (
    ANY_FIELD,
    Column,
    Columns,
    Component,
    DataSpec,
    Picture,
    Points,
    Sample,
    Signal,
    View,
    halvings,
    hookimpl,
)
from .errors import (
    CheckpointError,
    ConversionError,
    DataError,
    Diverged,
    GanzooError,
    HubError,
    Incompatible,
    ModelError,
    PluginError,
    RecipeError,
    RunError,
    UnknownName,
    UsageError,
    printable,
)
from .files import read_bounded
from .version import __version__ as __version__

if TYPE_CHECKING:
    from .api import Run, build, load, train
    from .api import names as list
    from .compute import DownsampleConv2d, SpectralNorm, UpsampleConv2d, differentiated_twice
    from .contract import (
        AdversarialLoss,
        Augmentation,
        Batch,
        Callback,
        Course,
        Dataset,
        Density,
        Dial,
        Discriminator,
        Drawn,
        FeatureExtractor,
        Generator,
        Loss,
        Penalty,
        Phase,
        Role,
        Settling,
        Stream,
        StyleSpace,
        Survey,
        Table,
        Turn,
        Unpaired,
        Varying,
    )
    from .conversion import Conversion, Converted, Converter, read_pickle
    from .hub import HubRepository
    from .models import Model

_LAZY = {
    **dict.fromkeys(["Run", "build", "load", "train"], ".api"),
    **dict.fromkeys(
        ["AdversarialLoss", "Augmentation", "Batch", "Callback", "Course", "Dataset", "Density", "Dial",
         "Discriminator", "Drawn", "FeatureExtractor", "Generator", "Loss", "Penalty", "Phase", "Role", "Settling",
         "Stream", "StyleSpace", "Survey", "Table", "Turn", "Unpaired", "Varying"],
        ".contract",
    ),
    **dict.fromkeys(["DownsampleConv2d", "SpectralNorm", "UpsampleConv2d", "differentiated_twice"], ".compute"),
    "HubRepository": ".hub",
    "Model": ".models",
    **dict.fromkeys(["Conversion", "Converted", "Converter", "read_pickle"], ".conversion"),
}  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        value = globals()[name] = getattr(importlib.import_module(_LAZY[name], __name__), name)
        return value
    if name == "list":
        return importlib.import_module(".api", __name__).names
    if name == "testing":
        return importlib.import_module(".testing", __name__)
    raise AttributeError(f"module 'ganzoo' has no attribute '{name}'")


__all__ = [
    "ANY_FIELD",
    "AdversarialLoss",
    "Augmentation",
    "Batch",
    "Callback",
    "CheckpointError",
    "Column",
    "Columns",
    "Component",
    "Conversion",
    "ConversionError",
    "Converted",
    "Converter",
    "Course",
    "DataError",
    "DataSpec",
    "Dataset",
    "Density",
    "Dial",
    "Discriminator",
    "Diverged",
    "DownsampleConv2d",
    "Drawn",
    "FeatureExtractor",
    "GanzooError",
    "Generator",
    "HubError",
    "HubRepository",
    "Incompatible",
    "Loss",
    "Model",
    "ModelError",
    "Penalty",
    "Phase",
    "Picture",
    "PluginError",
    "Points",
    "RecipeError",
    "Role",
    "Run",
    "RunError",
    "Sample",
    "Settling",
    "Signal",
    "SpectralNorm",
    "Stream",
    "StyleSpace",
    "Survey",
    "Table",
    "Turn",
    "UnknownName",
    "Unpaired",
    "UpsampleConv2d",
    "UsageError",
    "Varying",
    "View",
    "build",
    "differentiated_twice",
    "halvings",
    "hookimpl",
    "list",
    "load",
    "printable",
    "read_bounded",
    "read_pickle",
    "train",
]
