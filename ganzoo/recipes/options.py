"""The tables of a recipe: parts, optimisers, and what a run does beside training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, WrapValidator
from pydantic.dataclasses import dataclass
from pydantic_core import PydanticCustomError

from ..contract import Course, Moment, Stage, Varying, course_of, says_course
from .growth import STRICT, Growth


def _or_course(value: Any, number: Any) -> Any:
    """A number, or the course of one that is never negative."""
    if not says_course(value):
        return number(value)
    try:
        course = Course.parse(value)
        if course.low < 0:
            raise ValueError(f"it goes down to {course.low:g}, and must not be below 0")
    except ValueError as error:
        raise PydanticCustomError("course", "{why}", {"why": str(error)}) from error
    return course


if TYPE_CHECKING:
    Rate = float | Course
    Share = float | Course
    Images = float | Course
else:
    Rate = Annotated[float, Field(gt=0), WrapValidator(_or_course)]
    Share = Annotated[float, WrapValidator(_or_course)]
    Images = Annotated[int, Field(ge=0), WrapValidator(_or_course)]


@dataclass(frozen=True, config=STRICT)
class Part:
    """A component by name, with the options of its constructor."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, config=STRICT)
class Optimizer:
    """How one tuple of players learns.

    name: of an optimiser.  lr: its step size.  betas, eps, momentum, alpha, weight_decay: as the optimiser understands
    them; those that it has not are left out.  None of them given leaves its own default.
    lr, betas and weight_decay may be courses, and so may its other `options`.
    schedule: of the step size, counted in images: constant; linear, from `decay_start_images` to 0; cosine, to 0.
    schedule_images: where the schedule ends, by default the recipe's `images`.
    Raises `ValueError` for a schedule of a step size that has a course.
    """

    name: str = "adam"
    lr: Rate | None = None
    betas: tuple[Share, Share] | None = None
    eps: float | None = None
    momentum: float | None = None
    alpha: float | None = None
    weight_decay: Share | None = None
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    decay_start_images: int = Field(default=0, ge=0)
    schedule_images: int | None = Field(default=None, gt=0)
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.schedule != "constant" and isinstance(self.lr, Course):
            raise PydanticCustomError("course", "`lr` has a course already: leave `schedule` out")

    def common(self) -> dict[str, Any]:
        """Those options that many optimisers have, as far as they are given; the step size without its schedule."""
        names = ("lr", "betas", "eps", "momentum", "alpha", "weight_decay")
        return {name: value for name in names if (value := getattr(self, name)) is not None}

    def step_size(self, lr: Varying) -> Course:
        """The course of the step size `lr`, be it one already or have it a schedule."""
        if isinstance(lr, Course) or self.schedule == "constant":
            return course_of(lr)
        end = Moment(self.schedule_images) if self.schedule_images else Moment(1.0, share=True)
        waits = [Stage(lr, lr, Moment(self.decay_start_images), "constant")] * bool(self.decay_start_images)
        return Course([*waits, Stage(lr, 0.0, end, self.schedule)])


@dataclass(frozen=True, config=STRICT)
class Init:
    """model: trained weights to start from: a run or model folder, a name of `ganzoo models`, or user/name on the Hub.

    freeze: layers that stay as they are there: "D:4", the first 4 of D, or "G.mapping", a part of G.
    warmup: images over which all step sizes rise from 0.
    misfits: whether layers that do not fit start afresh, or the run is refused.
    Raises `ValueError` for any of these without a model.
    """

    model: str | None = Field(default=None, min_length=1)
    freeze: tuple[str, ...] = ()
    warmup: int = Field(default=0, ge=0)
    misfits: Literal["fresh", "refuse"] = "fresh"

    def __post_init__(self) -> None:
        if self.model is None and (self.freeze or self.warmup or self.misfits != "fresh"):
            raise PydanticCustomError("init", "there is no model to start from: name it with --init MODEL")


@dataclass(frozen=True, config=STRICT)
class Ema:
    """half_life_images: of the generator's moving average, or its course; 0 keeps none.

    ramp: the half-life is at most ramp · images seen, so that early pictures are no average with noise; 0 for no ramp.
    buffers: what layers measured, as BatchNorm's statistics, is copied, or averaged like the weights.
    """

    half_life_images: Images = 10_000
    ramp: float = Field(default=0.05, ge=0)
    buffers: Literal["copied", "averaged"] = "copied"


@dataclass(frozen=True, config=STRICT)
class Previews:
    """every: images between pictures; 0 begins with `first` and grows by a quarter of the images seen.

    count: samples shown.
    """

    every: int = Field(default=0, ge=0)
    first: int = Field(default=1_000, gt=0)
    count: int = Field(default=64, ge=1)


@dataclass(frozen=True, config=STRICT)
class Checkpoints:
    """every: images between checkpoints; 0 goes by `minutes` alone.  keep: how many to keep.

    best: a metric, as "fid", or "lower NAME" or "higher NAME" for any value in `metrics.jsonl`: where it is best, a
    checkpoint is written and kept besides the newest, and its model as `model-best`.
    """

    every: int = Field(default=0, ge=0)
    minutes: float = Field(default=2.0, gt=0)
    keep: int = Field(default=2, ge=1)
    best: str | None = Field(default=None, pattern=r"^((lower|higher) )?\S+$")


@dataclass(frozen=True, config=STRICT)
class Metrics:
    """every: images between rows of `metrics.jsonl`."""

    every: int = Field(default=5_000, gt=0)


@dataclass(frozen=True, config=STRICT)
class Evaluation:
    """every: images between evaluations during training; 0 for none.

    metrics: by default FID for pictures, and all that fit for values.  features: an extractor, as in `ganzoo eval`.
    samples: to generate each time.
    """

    every: int = Field(default=0, ge=0)
    metrics: tuple[str, ...] = ()
    features: str | None = None
    samples: int = Field(default=10_000, ge=2)


@dataclass(frozen=True, config=STRICT)
class Health:
    """on_collapse: what a finding of severity failure does: warn; stop, with a checkpoint; or rollback, to the last
    healthy checkpoint, once.

    every: iterations between measurements.  held_out: compare D's scores with those of the data's split "test".
    """

    on_collapse: Literal["warn", "stop", "rollback"] = "warn"
    every: int = Field(default=64, ge=1)
    held_out: bool = False


@dataclass(frozen=True, config=STRICT)
class EarlyStopping:
    """Ends training before its images, with all that a finished run has; with more of either it goes on.

    patience: images without a better value of `metric`; 0 for any number.
    metric: as in `checkpoints.best`, and by default that.
    minutes: of training, those before a resume included; 0 for any number.
    """

    patience: int = Field(default=0, ge=0)
    metric: str | None = Field(default=None, pattern=r"^((lower|higher) )?\S+$")
    minutes: float = Field(default=0.0, ge=0, allow_inf_nan=False)


@dataclass(frozen=True, config=STRICT)
class TrainerOptions:
    """precision: bf16 and tf32 need hardware; auto takes the fastest that is safe.

    channels_last: memory layout of convolutional players.  workers: processes that read streamed data.
    micro_batch: samples a process computes at once, the gradients of several being added up; 0 for its whole share.
    fake_labels: generated samples have the labels of the batch's real ones, or drawn ones, each class as likely.
    sync_batch_norm: normalise over the batch of all processes instead of each one's own.
    deterministic: bit-identical results on CUDA too.
    fused: optimisers that update all parameters in one kernel.  graphs: record updates and play them, as CUDA graphs
    or, if they are short, as their bare operations.  compile: record them through torch's compiler instead, equal to
    rounding; takes up to minutes to start.
    onednn: large linear layers by oneDNN on processors where it is faster than MKL, equal to rounding.
    threads: of the CPU that compute updates; 0 for torch's number, or one where networks are very small.
    resident_share: of the training device's free memory; samples that take more are streamed.
    """

    precision: Literal["auto", "fp32", "tf32", "bf16"] = "auto"
    channels_last: bool = True
    deterministic: bool = False
    workers: int = Field(default=2, ge=0)
    micro_batch: int = Field(default=0, ge=0)
    fake_labels: Literal["real", "uniform"] = "real"
    sync_batch_norm: bool = False
    fused: bool = True
    graphs: bool = True
    compile: bool = False
    onednn: bool = True
    threads: int = Field(default=0, ge=0, le=1024)
    resident_share: float = Field(default=0.5, ge=0, le=1)

    @property
    def uses_onednn(self) -> bool:
        """True if oneDNN may compute linear layers; torch's compiler multiplies in its own way."""
        return self.onednn and not self.compile


SECTIONS: Mapping[str, Any] = {
    "growth": Growth,
    "init": Init,
    "ema": Ema,
    "previews": Previews,
    "checkpoints": Checkpoints,
    "metrics": Metrics,
    "eval": Evaluation,
    "health": Health,
    "stop": EarlyStopping,
    "trainer": TrainerOptions,
}
