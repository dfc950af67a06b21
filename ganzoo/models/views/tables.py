"""Rows of a table: read back from samples, and drawn as the margins of their columns and the correlations between them.

Shapes: N rows, D places of a sample, K columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ...contract import Column, Columns

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SHOWN = 10  # columns, beside the two of correlations, in a picture
_ACROSS = 4
_VALUES, _LETTERS = 12, 10  # bars of a discrete column, and letters of what stands below one


def numbers(samples_ND: Tensor, view: Columns) -> Tensor:
    """Samples to what their columns hold, float64 (N, K): a number in its own units, or which of the values."""
    samples_ND, found = samples_ND.double(), []
    for column, place in view.places():
        given = samples_ND[:, place]
        known = given.argmax(1).double() if column.values else given[:, 0] * column.scale + column.centre
        found.append(known)
    return torch.stack(found, 1)


def decided(samples_ND: Tensor, view: Columns) -> Tensor:
    """Samples whose discrete columns hold one value each, 1 where it stands and 0 elsewhere; float32 (N, D)."""
    found = samples_ND.detach().float().cpu().clone()
    for column, place in view.places():
        if column.values:
            chosen = found[:, place].argmax(1)
            found[:, place] = torch.nn.functional.one_hot(chosen, column.width).float()
    return found


def correlations(samples_ND: Tensor, view: Columns) -> Tensor:
    """How places of rows go together, (D, D) in [-1, 1]; 0 beside a place that is the same in all rows."""
    rows = decided(samples_ND, view).double()
    rows = rows - rows.mean(0)
    deviation = rows.square().mean(0).sqrt()
    scaled = torch.where(deviation > 1e-9, rows / deviation.clamp_min(1e-9), 0.0)
    return scaled.T @ scaled / len(rows)


def draw_table(figure: Figure, samples: Tensor, view: Columns, real: Tensor | None, title: str) -> None:
    """A panel for each column, generated filled and real in outline; two for correlations of real and generated."""
    figure.suptitle(title, fontsize=10)
    columns = list(enumerate(view.columns))[:_SHOWN]
    matrices = [("data", real), ("G(z)", samples)]
    panels = len(columns) + sum(rows is not None for _, rows in matrices)
    down = -(-panels // _ACROSS)
    axes = figure.subplots(down, _ACROSS, squeeze=False).flatten()
    made, known = numbers(samples, view), None if real is None else numbers(real, view)
    for place, (number, column) in zip(axes, columns, strict=False):
        _margin(place, column, made[:, number], None if known is None else known[:, number])
    spare = iter(axes[len(columns) :])
    for name, rows in matrices:
        if rows is not None:
            panel = next(spare)
            panel.imshow(correlations(rows, view).numpy(), cmap="RdBu", vmin=-1, vmax=1)
            panel.set_title(f"correlations, {name}", fontsize=8)
            panel.set_xticks([])
            panel.set_yticks([])
    for panel in spare:
        panel.set_axis_off()


def _margin(axes: Axes, column: Column, made: Tensor, real: Tensor | None) -> None:
    """The distribution of one column; the axes follow the real one, where there is one."""
    axes.set_title(column.name, fontsize=8)
    axes.tick_params(labelsize=6)
    if column.values:
        shown = min(len(column.values), _VALUES)
        place, labels = range(shown), [value[:_LETTERS] for value in column.values[:shown]]
        axes.bar(place, _shares(made, column)[:shown], color="C0", alpha=0.6)
        if real is not None:
            axes.bar(place, _shares(real, column)[:shown], fill=False, edgecolor="k")
        axes.set_xticks(list(place), labels, rotation=30, ha="right")
        return
    leading = made if real is None else real
    low, high = leading.quantile(0.001).item(), leading.quantile(0.999).item()
    margin = 0.2 * (high - low) + 1e-9 * max(1.0, abs(high))
    options: Any = {"bins": 40, "range": (low - margin, high + margin), "density": True}
    axes.hist(made.clamp(low - margin, high + margin).numpy(), histtype="stepfilled", color="C0", alpha=0.6, **options)
    if real is not None:
        axes.hist(real.numpy(), histtype="step", color="k", **options)


def _shares(codes: Tensor, column: Column) -> Any:
    return (torch.bincount(codes.long(), minlength=len(column.values)) / len(codes)).numpy()
