"""A run in a word: what is wrong, or whether anything would be known by now. Evaluations are evidence, too.

The rules about rows need a symptom to last, so a short run passes them all; and they see values, not which modes or
classes are missing, so only an evaluation can call a run healthy. No torch here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .history import History
from .judge import SEVERITIES, Finding, open_findings, written
from .rules import RULES

_CALM = {"failure": "failing", "warning": "to watch"}


@dataclass(frozen=True)
class Verdict:
    """severity: the worst of what is wrong now, "good" if nothing is, "note" if that is not known.

    text: in a word or a few.  why: a sentence.
    """

    severity: str
    text: str
    why: str


def verdict(history: History, findings: Sequence[Finding]) -> Verdict:
    """Judge a run by its findings, those of `evaluated` among them: what is wrong now, not what once was."""
    now = {one.severity for one, over in open_findings(findings) if over is None}
    worst = max(now & {"warning", "failure"}, key=SEVERITIES.index, default="")
    if worst:
        return Verdict(worst, _CALM[worst], "The findings say what is wrong, on what evidence, and what to try.")
    if not any(name.startswith("health/") for name in history.names()):
        return Verdict("note", "unknown", "This run measured no signs of health yet.")
    seen, needed = int(history.rows[-1]["images"]), images_needed(history)
    if seen < needed:
        why = f"The rules need {needed:,} images to say whether anything is wrong, and these are {seen:,}."
        return Verdict("note", "too early to tell", why)
    if not any(_known(one) for one in history.evaluations):
        why = (
            "Nothing is wrong as far as the rules can tell. They do not see which modes or classes are missing: "
            f"`ganzoo eval {history.folder}` measures how good the samples are."
        )
        return Verdict("note", "no symptoms", why)
    return Verdict("good", "healthy", "Nothing is wrong as far as the rules and the evaluations can tell.")


def images_needed(history: History) -> int:
    """Images after which every rule that warns could have spoken, at the run's images an iteration."""
    rules = [rule for rule in RULES if rule.severity != "note"]
    last = next((row for row in reversed(history.rows) if row.get("iteration", 0) > 0), None)
    batch: float = last["images"] / last["iteration"] if last else 1.0
    return max(round(max(rule.images, rule.iterations * batch)) for rule in rules)


def evaluated(history: History) -> list[Finding]:
    """What evaluations show to be wrong: the last one of each metric counts."""
    newest: dict[str, Mapping[str, Any]] = {}
    for one in sorted(filter(_known, history.evaluations), key=_images):
        newest[one["name"]] = one
    found = []
    for name, one in newest.items():
        code, evidence = _EVIDENCE[name]
        real = one["provenance"].get("real")
        said = evidence(one["value"], real if isinstance(real, int | float) else None)
        if said:
            found.append(Finding(code, "", "warning", _images(one), said, "try more images, `--penalty r1`"))
    return found


def _known(one: Mapping[str, Any]) -> bool:
    """True for an evaluation whose numbers say by themselves whether something is wrong; an FID does not."""
    whole = isinstance(one.get("value"), int | float) and isinstance(one.get("provenance"), Mapping)
    return whole and str(one.get("name")) in _EVIDENCE


def _images(one: Mapping[str, Any]) -> int:
    images = one["provenance"].get("images")
    return images if isinstance(images, int) else 0


def _modes(value: float, real: float | None) -> str | None:
    if real is None or value >= real:
        return None
    return f"Modes are missing: {value:g} of {real:g} are recovered"


def _near(value: float, real: float | None) -> str | None:
    return f"Few samples are near a mode: {value:.1%} are within 3σ of one" if value < 0.5 else None


def _precise(value: float, real: float | None) -> str | None:
    return f"Few samples look like the data: precision {value:.2g}" if value < 0.1 else None


def _covering(name: str) -> Callable[[float, float | None], str | None]:
    def evidence(value: float, real: float | None) -> str | None:
        return f"The samples cover little of the data: {name} {value:.2g}" if value < 0.1 else None

    return evidence


_EVIDENCE: Mapping[str, tuple[str, Callable[[float, float | None], str | None]]] = {
    "modes-recovered": ("modes-missing", _modes),
    "share-within-3-sigma": ("off-target", _near),
    "precision": ("off-target", _precise),
    "recall": ("little-covered", _covering("recall")),
    "coverage": ("little-covered", _covering("coverage")),
}
"""By metric: the code of the finding, and what is wrong with a value, given the data's own where that is known."""


def recorded(history: History) -> list[Finding]:
    """The findings that a run wrote down, ends of earlier ones among them, and those of evaluations; by images."""
    found = [finding for row in history.rows for finding in written(row)]
    return sorted([*found, *evaluated(history)], key=lambda one: one.images)
