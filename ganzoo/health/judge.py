"""Judges a run by the rows of its metrics: what goes wrong, since when, on what evidence, and what to try.

Pure rules on numbers; no torch here. `docs/health.md` says what each signal means for which loss.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from .history import FINDINGS
from .rules import RULES, Rule, View
from .stakes import Stakes

SEVERITIES = ("note", "warning", "failure")
_RECENT = 3
"""Rows whose median is judged, so that one odd row is not taken for a trend."""
_SIGNIFICANT = 6
"""Digits of the values in `metrics.jsonl`."""
EVENTS = ("diverged", "rolled-back")
"""Findings that are told when they happen and cannot be read from rows."""


@dataclass(frozen=True)
class Finding:
    """One thing that a run shows.

    code: of the rule.  player: whom it is about, "" for the game.  severity: note, warning or failure.
    images: seen when it was found.  ended: True where it says that an earlier finding is over.
    """

    code: str
    player: str
    severity: str
    images: int
    evidence: str
    remedy: str = ""
    ended: bool = False

    def __str__(self) -> str:
        return f"{self.evidence}; {self.remedy}" if self.remedy else self.evidence

    def to_dict(self) -> dict[str, Any]:
        """JSON form, as in `metrics.jsonl`; the images are those of its row."""
        return {key: value for key, value in asdict(self).items() if key != "images" and value not in ("", False)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], images: int) -> Finding | None:
        """Read what `to_dict` gave; None if it is something else."""
        texts = {key: data.get(key, "") for key in ("code", "player", "severity", "evidence", "remedy")}
        if not all(isinstance(text, str) for text in texts.values()) or texts["severity"] not in SEVERITIES:
            return None
        return cls(**texts, images=images, ended=data.get("ended") is True)


@dataclass
class Judge:
    """Reads the rows of one run in order.

    stakes: of D's loss, None where it has no such two-player loss.  rates: step sizes by player, for the advice.
    """

    stakes: Stakes | None = None
    rates: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._recent: dict[str, list[float]] = {}
        self._first: dict[str, float] = {}
        self._since: dict[str, list[int]] = {}
        self._told: dict[str, str] = {}
        self.last = [0, 0]

    def see(self, row: Mapping[str, Any]) -> list[Finding]:
        """Judge one more row. Returns what is new: findings, and the end of earlier ones."""
        for name, value in row.items():
            if isinstance(value, int | float) and math.isfinite(value):
                rounded = float(f"{value:.{_SIGNIFICANT}g}")
                self._first.setdefault(name, rounded)
                self._recent[name] = [*self._recent.get(name, []), rounded][-_RECENT:]
        now = [int(row.get("images", 0)), int(row.get("iteration", 0))]
        view = View(
            {name: statistics.median(values) for name, values in self._recent.items()},
            self._first, self.stakes, self.rates,
        )  # fmt: skip
        new: list[Finding] = []
        for rule in RULES:
            for player in rule.players(view):
                new += self._apply(rule, player, view, now)
        self.last = now
        return new

    def _apply(self, rule: Rule, player: str, view: View, now: Sequence[int]) -> Iterator[Finding]:
        evidence = rule.evidence(view, player)
        key = f"{rule.code}/{rule.severity}/{player}"
        if evidence is None:
            self._since.pop(key, None)
            told = self._told.pop(key, None)
            if told is not None:
                yield Finding(rule.code, player, rule.severity, now[0], f"Over: {told}", ended=True)
            return
        images, iterations = self._since.setdefault(key, list(self.last))
        held = now[0] - images
        if key in self._told or held < rule.images or now[1] - iterations < rule.iterations:
            return
        if any(other.split("/")[0] in rule.explained_by for other in self._told):
            return
        self._told[key] = evidence
        told = f"{evidence}, for {held:,} images"
        yield Finding(rule.code, player, rule.severity, now[0], told, rule.remedy(view, player))

    @property
    def ailing(self) -> bool:
        """True while the symptoms of a failure are there, told or not."""
        return any(key.split("/")[1] == "failure" for key in self._since)

    def state_dict(self) -> dict[str, Any]:
        return {
            "recent": self._recent,
            "first": self._first,
            "since": self._since,
            "told": self._told,
            "last": self.last,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._recent = {name: list(values) for name, values in state["recent"].items()}
        self._first, self._told = dict(state["first"]), dict(state["told"])
        self._since = {key: list(value) for key, value in state["since"].items()}
        self.last = list(state["last"])


def judge(rows: Iterable[Mapping[str, Any]], stakes: Stakes | None, rates: Mapping[str, float]) -> list[Finding]:
    """Every finding of a history, by images; of those written down, the events that no rule can find again."""
    one, found = Judge(stakes, rates), []
    for row in rows:
        if row.keys() - {"images", "iteration", FINDINGS}:
            found += one.see(row)
        found += [finding for finding in written(row) if finding.code in EVENTS]
    return found


def written(row: Mapping[str, Any]) -> list[Finding]:
    """The findings in a row of `metrics.jsonl`; what is none is left out."""
    every = [Finding.from_dict(one, int(row["images"])) for one in row.get(FINDINGS, []) if isinstance(one, Mapping)]
    return [finding for finding in every if finding is not None]


def open_findings(findings: Iterable[Finding]) -> list[tuple[Finding, int | None]]:
    """Findings in order, each with the images after which it was over, or None."""
    told: list[tuple[Finding, int | None]] = []
    for finding in findings:
        if not finding.ended:
            told.append((finding, None))
            continue
        same = (finding.code, finding.player, finding.severity)
        for i in range(len(told) - 1, -1, -1):
            earlier, over = told[i]
            if over is None and (earlier.code, earlier.player, earlier.severity) == same:
                told[i] = (earlier, finding.images)
                break
    return told


Probe = Callable[[float, float], float]


def stakes_of(loss: Probe) -> Stakes | None:
    """Learn what D's loss says by itself. loss: what D pays for a score on a real and one on a generated sample.

    Returns None if the loss is not finite at scores of everyday size.
    """
    steps = [i / 20 for i in range(-60, 61)]
    level = [loss(score, score) for score in steps]
    if not all(map(math.isfinite, level)):
        return None
    even = min(level)
    slack = 1e-5 * max(1.0, abs(even))
    best = [score for score, value in zip(steps, level, strict=True) if value <= even + slack]
    inside = best[0] > steps[0] and best[-1] < steps[-1]
    boundary = (best[0] + best[-1]) / 2 if inside else None
    middle = boundary or 0.0
    far = [*(k / 2 for k in range(-6, 7)), *(sign * 10.0**power for power in (1, 2, 3) for sign in (-1, 1))]
    pairs = [
        *((middle + real, middle + fake) for real in far for fake in far),
        *((middle + s, middle - s) for s in steps),
    ]
    apart = {pair: value for pair in pairs if math.isfinite(value := loss(*pair))}
    real, fake = min(apart, key=lambda pair: (apart[pair], abs(pair[0] - pair[1])))
    floor = None if apart[real, fake] < even - 100 * max(1.0, abs(even)) else apart[real, fake]
    sign = -1 if real < fake else 1
    return Stakes(even, boundary, floor, boundary is not None and _is_cross_entropy(even, boundary), sign)


def _is_cross_entropy(even: float, boundary: float) -> bool:
    """True if guessing costs what it costs under cross-entropy with targets 1 - s and 0, where 2σ(boundary) = 1 - s."""
    probability = 1 / (1 + math.exp(-boundary))
    target = 2 * probability
    cost = -target * math.log(probability) - (2 - target) * math.log(1 - probability)
    return target <= 1 + 1e-9 and abs(cost - even) < 0.01 * cost
