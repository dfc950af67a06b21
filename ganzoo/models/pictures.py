"""Samples as pictures: grids of images and waves, plots of values and tables, and films of them.

Channels are shown as what their number says: one is gray, two gray with alpha, three red, green and blue, four those
with alpha. Five and more are shown one beside the other, each in gray, so that nothing of a sample is hidden.
"""

from __future__ import annotations

import base64
import importlib
import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from ..contract import Columns, Density, Sample, Signal
from ..errors import UsageError
from .views.tables import draw_table
from .views.waves import waves

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_GAP, _BACKGROUND = 2, 255
_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
"""By the number of channels; more are no picture by themselves."""
_BAR = 24  # for a title
_BETWEEN = 16  # two pictures beside each other
_TILE, _FRAME = 56, 256  # smaller pictures, and frames of films, are enlarged by a whole factor, so that one sees them


def to_images(samples: Tensor, spec: Sample) -> list[Image.Image]:
    """samples: (N, C, H, W) in the spec's range. A picture each: L, LA, RGB or RGBA; of C > 4 a strip of gray ones."""
    unit = (samples.detach().float().cpu() - spec.low) / (spec.high - spec.low)
    bytes_NHWC = unit.clamp(0, 1).mul(255).round().to(torch.uint8).permute(0, 2, 3, 1)
    if bytes_NHWC.shape[-1] not in _MODES:
        bytes_NHWC = bytes_NHWC.transpose(2, 3).flatten(2)[..., None]
    return [Image.fromarray(one.squeeze(-1).numpy() if one.shape[-1] == 1 else one.numpy()) for one in bytes_NHWC]


def from_images(images: Sequence[Image.Image], spec: Sample) -> Tensor:
    """Pictures as samples, (N, C, H, W) in the spec's range: the middle of each, of the spec's proportions, resized.

    Raises `UsageError` for samples of five channels and more, which no picture file has.
    """
    channels, height, width = spec.shape
    if channels not in _MODES:
        raise UsageError(f"a picture has no {channels} channels, as these samples have: give numbers instead")
    mode = _MODES[channels]
    shown = [one.convert(mode) if mode.endswith("A") else opaque(one).convert(mode) for one in images]
    fitted = [ImageOps.fit(one, (width, height), Image.Resampling.LANCZOS) for one in shown]
    bytes_NHWC = torch.from_numpy(np.stack([np.asarray(one).reshape(height, width, channels) for one in fitted]))
    return bytes_NHWC.permute(0, 3, 1, 2).float() * ((spec.high - spec.low) / 255) + spec.low


def opaque(image: Image.Image) -> Image.Image:
    """A picture with alpha laid over white, as RGB; others as they are."""
    if not image.has_transparency_data:
        return image
    layer = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")


def columns(stages: Sequence[tuple[Tensor, Sample]]) -> Image.Image:
    """Samples beside what became of them: a column a stage, a row a sample; colour where any stage has it.

    A stage of values is a plot of them all.
    """
    sheets = [
        opaque(grid(samples, spec, columns=1) if spec.looks.single else plot(samples, f"stage {number}", spec=spec))
        for number, (samples, spec) in enumerate(stages, 1)
    ]
    mode = "RGB" if any(sheet.mode == "RGB" for sheet in sheets) else "L"
    height = max(sheet.height for sheet in sheets)
    whole = Image.new(mode, (sum(sheet.width for sheet in sheets), height), _BACKGROUND if mode == "L" else (255,) * 3)
    left = 0
    for sheet in sheets:
        whole.paste(sheet.convert(mode), (left, 0))
        left += sheet.width
    return whole


def sheet(samples: Tensor, spec: Sample, title: str, real: Tensor | None = None, dataset: Any = None) -> Image.Image:
    """One picture of samples, (N, *spec.shape), whatever they are: a grid of single ones, or a plot of all.

    title, real, dataset: for plots, as `plot` takes them.
    """
    return grid(samples, spec) if spec.looks.single else plot(samples, title, real, dataset, spec)


def grid(samples: Tensor, spec: Sample, columns: int | None = None) -> Image.Image:
    """One picture of all samples, pictures or signals, in rows, as near to a square as they allow."""
    if isinstance(spec.looks, Signal):
        samples, spec = waves(samples, spec)
    images = to_images(samples, spec)
    one = images[0]
    columns = columns or min(len(images), math.ceil(math.sqrt(len(images) * one.height / one.width)))
    factor = max(1, math.ceil(_TILE / max(one.size)))
    width, height = (side * factor + _GAP for side in one.size)
    sheet = Image.new(
        one.mode,
        (columns * width + _GAP, math.ceil(len(images) / columns) * height + _GAP),
        _BACKGROUND if one.mode == "L" else (_BACKGROUND,) * len(one.mode),
    )
    for i, image in enumerate(images):
        enlarged = image.resize((width - _GAP, height - _GAP), Image.Resampling.NEAREST)
        sheet.paste(enlarged, (i % columns * width + _GAP, i // columns * height + _GAP))
    return sheet


def side_by_side(real: Image.Image, fake: Image.Image, titles: tuple[str, str] = ("real", "generated")) -> Image.Image:
    """Real samples on the left, generated ones on the right, each with its title."""
    width = real.width + fake.width + _BETWEEN
    sheet = Image.new("RGB", (width, max(real.height, fake.height) + _BAR), (255, 255, 255))
    for image, left, title in ((real, 0, titles[0]), (fake, real.width + _BETWEEN, titles[1])):
        sheet.paste(titled(image, title), (left, 0))
    return sheet


def apart(sheet: Image.Image) -> tuple[Image.Image, Image.Image]:
    """Both pictures of `side_by_side` again, without their titles, where they are of one size."""
    side = (sheet.width - _BETWEEN) // 2
    left, right = (sheet.crop((at, _BAR, at + side, sheet.height)) for at in (0, sheet.width - side))
    return left, right


def enlarged(image: Image.Image) -> Image.Image:
    """A small picture enlarged by a whole factor to what one sees well in a film."""
    factor = math.ceil(_FRAME / max(image.size))
    return (
        image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST) if factor > 1 else image
    )


def url(image: Image.Image) -> str:
    """A picture as the data URL of a PNG, for pages and notebooks."""
    image.save(buffer := io.BytesIO(), format="png")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def titled(image: Image.Image, title: str) -> Image.Image:
    """A picture with a line of text above it, wide enough for both."""
    from PIL import ImageDraw, ImageFont

    font = ImageFont.load_default(size=14)
    width = max(image.width, math.ceil(font.getlength(title)) + 8)
    sheet = Image.new("RGB", (width, image.height + _BAR), (255, 255, 255))
    ImageDraw.Draw(sheet).text((4, 4), title, fill=(0, 0, 0), font=font)
    sheet.paste(opaque(image).convert("RGB"), (0, _BAR))
    return sheet


def plot(
    samples: Tensor, title: str, real: Tensor | None = None, dataset: Any = None, spec: Sample | None = None
) -> Image.Image:
    """Samples of values, (N, D): a histogram over the true density for D = 1, a scatter over the data otherwise.

    real: (M, D), or None.  dataset: its density is drawn if it is a `Density`.  spec: what they are; rows of a table
    are drawn as margins and correlations.
    """
    from matplotlib.figure import Figure

    samples, real = samples.detach().float().cpu(), None if real is None else real.detach().float().cpu()
    if spec is not None and isinstance(spec.looks, Columns):
        figure = Figure(figsize=(9.6, 6.4), dpi=100)
        figure.subplots_adjust(left=0.05, right=0.98, bottom=0.1, top=0.9, hspace=0.6, wspace=0.3)
        draw_table(figure, samples, spec.looks, real, title)
    else:
        figure = Figure(figsize=(5.2, 4.2), dpi=100)
        figure.subplots_adjust(left=0.1, right=0.97, bottom=0.08, top=0.92)  # laying out by itself takes twice as long
        (_histogram if samples.shape[1] == 1 else _scatter)(figure, samples, real, dataset, title)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return Image.open(buffer).convert("RGB")


def _histogram(figure: Figure, samples: Tensor, real: Tensor | None, dataset: Any, title: str) -> None:
    """The axes follow the real samples, where there are any, so that a film's frames can be compared."""
    axes = figure.subplots()
    low, high = _window(samples if real is None else real)
    shown, bins = samples.clamp(low, high).flatten().numpy(), 80
    axes.hist(shown, bins=bins, range=(low, high), density=True, histtype="stepfilled", color="C0", alpha=0.6,
              label="G(z)")  # fmt: skip
    if real is not None:
        height, _ = np.histogram(real.flatten().numpy(), bins, (low, high), density=True)
        axes.set_ylim(0, 2 * height.max())
    if isinstance(dataset, Density):
        x = torch.linspace(low, high, 400)[:, None]
        axes.plot(x.flatten().numpy(), dataset.density(x).numpy(), color="k", lw=1.5, label="true density")
    elif real is not None:
        axes.hist(real.flatten().numpy(), bins=bins, range=(low, high), density=True, histtype="step", color="k",
                  label="data")  # fmt: skip
    axes.set_xlim(low, high)
    mean, std = samples.mean().item(), samples.std().item()
    axes.set_title(
        f"{title}: mean {mean:.3f}, std {std:.3f}{_outside((samples < low) | (samples > high))}", fontsize=10
    )
    axes.legend(loc="upper right")


def _window(samples: Tensor) -> tuple[float, float]:
    """Where nearly all samples lie, and as much again for those of a generator that is still learning."""
    low, high = samples.quantile(0.0005).item(), samples.quantile(0.9995).item()
    margin = 0.5 * (high - low) + 1e-3
    return low - margin, high + margin


def _outside(outside: Tensor) -> str:
    """For a title, that samples lie outside the axes."""
    share = outside.float().mean().item()
    return f", {share:.0%} outside" if share >= 0.005 else ""


def _scatter(figure: Figure, samples: Tensor, real: Tensor | None, dataset: Any, title: str) -> None:
    """The axes follow the real samples, where there are any, so that a film's frames can be compared."""
    axes = figure.subplots()
    shown = (samples if real is None else real)[:, :2]
    spread = (shown.amax(0) - shown.amin(0)).max().item() * 0.65 + 1e-3
    centre = (shown.amax(0) + shown.amin(0)) / 2
    if real is not None:
        axes.scatter(real[:, 0].numpy(), real[:, 1].numpy(), s=8, color="0.7", linewidths=0, label="data")
    axes.scatter(samples[:, 0].numpy(), samples[:, 1].numpy(), s=3, color="C0", alpha=0.6, linewidths=0, label="G(z)")
    axes.set_xlim(centre[0].item() - spread, centre[0].item() + spread)
    axes.set_ylim(centre[1].item() - spread, centre[1].item() + spread)
    axes.set_aspect("equal")
    axes.set_title(title + _outside(((samples[:, :2] - centre).abs() > spread).any(1)), fontsize=10)
    axes.legend(loc="upper right")


def video_library() -> Any:
    """The module imageio.v3 with what it needs for films. Raises `UsageError` with the line that installs both."""
    try:
        importlib.import_module("imageio_ffmpeg")
        return importlib.import_module("imageio.v3")
    except ImportError as error:
        raise UsageError("an .mp4 needs imageio and ffmpeg: pip install 'imageio[ffmpeg]', or write a .gif") from error


def film(frames: Sequence[Image.Image], path: Path, seconds: float = 6.0, loop: bool = False) -> None:
    """Write frames as .gif or .webp, or as .mp4 (needs the extra "video").

    loop: the last frame leads on to the first; else it stays for a while. Small ones are enlarged by a whole factor.
    """
    frames = [enlarged(frame) for frame in frames]
    if path.suffix.lower() == ".mp4":
        imageio = video_library()
        even = [
            opaque(frame).convert("RGB").crop((0, 0, frame.width // 2 * 2, frame.height // 2 * 2)) for frame in frames
        ]
        imageio.imwrite(path, [np.asarray(frame) for frame in even], fps=len(frames) / seconds, macro_block_size=1)
        return
    each = max(40, round(1000 * seconds / len(frames)))
    durations = [each] * (len(frames) - 1) + [each if loop else 1500]
    if path.suffix.lower() == ".webp":
        frames[0].save(path, save_all=True, append_images=frames[1:], duration=durations, loop=0, quality=90)
        return
    first, *rest = [opaque(frame).convert("P", palette=Image.Palette.ADAPTIVE) for frame in frames]
    first.save(path, save_all=True, append_images=rest, duration=durations, loop=0)
