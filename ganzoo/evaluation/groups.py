"""Runs that differ in nothing but the seed, as groups: mean, deviation, interval, and ranks where intervals allow.

No torch here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

_T = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120,
    2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip
"""Student's t at 97.5 % for 1 to 30 degrees of freedom."""
_NORMAL = 1.95996


@dataclass(frozen=True)
class Spread:
    """A number over seeds.

    deviation: of single seeds, with n - 1; None for one seed.  half: half the width of the mean's 95 % interval by
    Student's t; None for one seed.  lost: seeds that came to no number, which makes the mean one of survivors.
    """

    count: int
    mean: float
    deviation: float | None
    half: float | None
    lost: int = 0

    @property
    def bounds(self) -> tuple[float, float] | None:
        """The interval; None where there is none, or where it would be one of survivors."""
        return None if self.half is None or self.lost else (self.mean - self.half, self.mean + self.half)

    def __str__(self) -> str:
        return f"{self.mean:.4g}" + ("" if self.deviation is None else f" ± {self.deviation:.2g}")


def spread(values: Sequence[float], lost: int = 0) -> Spread:
    """Mean and deviation of at least one value."""
    mean = math.fsum(values) / len(values)
    if len(values) < 2:
        return Spread(len(values), mean, None, None, lost)
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))
    return Spread(len(values), mean, deviation, student(len(values) - 1) * deviation / math.sqrt(len(values)), lost)


def student(freedom: int) -> float:
    """Student's t at 97.5 %; beyond 30 degrees of freedom by its series in 1/freedom, right to a ten-thousandth.

    Abramowitz & Stegun 1964, "Handbook of Mathematical Functions", 26.7.5.
    """
    if freedom <= len(_T):
        return _T[freedom - 1]
    z = _NORMAL
    return z + (z**3 + z) / (4 * freedom) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)


def ranks(spreads: Mapping[str, Spread], better: Literal["lower", "higher"]) -> dict[str, tuple[int, int] | None]:
    """The best and the worst place that each group may have; equal where intervals allow one place only.

    A group is better than another if its interval lies wholly on the better side of the other's. None for groups
    without interval, and for one that is alone in having one.
    """
    bounds = {name: one.bounds for name, one in spreads.items()}
    known = {name: one for name, one in bounds.items() if one is not None}

    def ahead(a: tuple[float, float], b: tuple[float, float]) -> bool:
        return a[1] < b[0] if better == "lower" else a[0] > b[1]

    found: dict[str, tuple[int, int] | None] = dict.fromkeys(spreads)
    for name, own in known.items() if len(known) > 1 else ():
        above = sum(ahead(other, own) for other in known.values())
        below = sum(ahead(own, other) for other in known.values())
        found[name] = (1 + above, len(known) - below)
    return found


def told_rank(rank: tuple[int, int] | None) -> str:
    """ "1", "2–3" where intervals leave it open, or "" where there are none."""
    if rank is None:
        return ""
    return str(rank[0]) if rank[0] == rank[1] else f"{rank[0]}–{rank[1]}"


def leaves(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A recipe's mapping by dotted keys; a part without options is a key with the value "on"."""
    found: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            found |= leaves(value, f"{prefix}{key}.") if value else {f"{prefix}{key}": "on"} if prefix else {}
        else:
            found[prefix + str(key)] = value
    return found


def group_by_recipe(recipes: Mapping[str, Mapping[str, Any]]) -> dict[str, list[str]]:
    """Names of runs by group, those together whose recipes differ in nothing but the seed.

    recipes: by name of a run.  A group's label has what sets it apart from the others, as "loss.name hinge".
    """
    flat = {name: {key: one for key, one in leaves(tree).items() if key != "seed"} for name, tree in recipes.items()}
    groups: list[list[str]] = []
    for name, own in flat.items():
        group = next((one for one in groups if flat[one[0]] == own), None)
        if group is None:
            groups.append([name])
        else:
            group.append(name)
    firsts = [flat[group[0]] for group in groups]
    keys = dict.fromkeys(key for one in firsts for key in one)
    apart = [key for key in keys if any(one.get(key) != firsts[0].get(key) for one in firsts)]
    if not apart:
        return {str(firsts[0].get("name", "")): groups[0]} if groups else {}
    return {
        ", ".join(f"{key} {one.get(key, '–')}" for key in apart): group
        for one, group in zip(firsts, groups, strict=True)
    }
