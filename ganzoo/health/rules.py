"""The rules: what a symptom is, how long it must last, how bad it then is, and what helps.

A rule looks at medians of a few rows. Its evidence is a sentence without its end, or None where all is well or nothing
was measured. Thresholds were set on runs that were broken on purpose and on healthy ones; `docs/health.md` lists them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from .stakes import Stakes


@dataclass(frozen=True)
class View:
    """What the rules see, by the names of `metrics.jsonl`.

    now: medians of the last rows.  first: the first value of each name.  rates: step sizes by player.
    """

    now: Mapping[str, float]
    first: Mapping[str, float]
    stakes: Stakes | None
    rates: Mapping[str, float]

    def of(self, player: str, signal: str) -> float | None:
        return self.now.get(f"health/{player}/{signal}")

    def at_first(self, player: str, signal: str) -> float | None:
        return self.first.get(f"health/{player}/{signal}")

    @cached_property
    def _players(self) -> Mapping[str, list[str]]:
        found: dict[str, list[str]] = {}
        for name in self.now:
            part = name.split("/")
            if len(part) == 3 and part[0] == "health":
                found.setdefault(part[2], []).append(part[1])
        return found

    def having(self, signal: str) -> list[str]:
        """Players of whom a signal was measured."""
        return self._players.get(signal, [])

    def pair(self) -> tuple[str, str] | None:
        """The only D and the only G, or None in a game of more."""
        judges, makers = self.having("separation"), self.having("spread")
        return (judges[0], makers[0]) if len(judges) == len(makers) == 1 else None

    def paid(self) -> tuple[Stakes, float, float] | None:
        """What is at stake, D's loss, and where that lies from 0, never wrong, to 1, guessing; None if unknown."""
        loss = self.now.get("loss/D")
        share = None if self.stakes is None or loss is None else self.stakes.share(loss)
        return None if self.stakes is None or loss is None or share is None else (self.stakes, loss, share)

    def slower(self, player: str, factor: float = 4.0) -> str:
        """A setting that divides a player's step size."""
        rate = self.rates.get(player)
        return (
            f"`--set optimizer.{player}.lr={rate / factor:.1g}`"
            if rate
            else f"a smaller `--set optimizer.{player}.lr=…`"
        )


Evidence = Callable[[View, str], str | None]
Remedy = Callable[[View, str], str]


@dataclass(frozen=True)
class Rule:
    """signal: the rule is about every player of whom it was measured; "" for the game as a whole.

    images, iterations: how long the symptom must last.  explained_by: codes that make this finding superfluous.
    """

    code: str
    severity: str
    signal: str
    images: int
    evidence: Evidence
    remedy: Remedy
    explained_by: tuple[str, ...] = ()
    iterations: int = 200

    def players(self, view: View) -> Iterable[str]:
        return view.having(self.signal) if self.signal else [""]


def _frozen(view: View, player: str) -> str | None:
    moved, gradient = view.of(player, "moved"), view.of(player, "gradient")
    if moved is None or gradient is None or moved >= 1e-3 or gradient < 1e-12:
        return None  # a player without a gradient is not to blame for standing still
    return f"{player} does not learn: its weights moved by {moved:.1%} of their norm"


def _collapsed(view: View, player: str) -> str | None:
    spread, distinct = view.of(player, "spread"), view.of(player, "distinct")
    if spread is None or distinct is None or (spread >= 0.03 and distinct >= 0.01):
        return None
    return (
        f"{player} makes the same sample again and again: its samples lie {spread:.2g} times as far apart as the "
        f"data's, nearest neighbours {distinct:.2g} times"
    )


def _little_variety(view: View, player: str) -> str | None:
    spread = view.of(player, "spread")
    if spread is None or spread >= 0.25:
        return None
    return f"{player}'s samples differ little: they lie {spread:.2g} times as far apart as the data's"


def _outrun(view: View, player: str) -> str | None:
    pair = view.pair()
    if pair is None or player != pair[1]:
        return None
    separation, discrepancy = view.of(pair[0], "separation"), view.of(player, "discrepancy")
    if separation is None or discrepancy is None or separation < 0.9 or discrepancy < 0.22:
        return None
    return (
        f"{player} does not follow: D tells {separation:.1%} of pairs apart{_accuracies(view, pair[0])}, and the "
        f"samples stay far from the data (discrepancy {discrepancy:.2f})"
    )


def _wins(limit: float) -> Evidence:
    def evidence(view: View, player: str) -> str | None:
        paid, pair = view.paid(), view.pair()
        if paid is None or pair is None:
            return None
        (stakes, loss, share), separation = paid, view.of(pair[0], "separation")
        if separation is None or share > limit or separation < 0.99:
            return None
        return (
            f"D wins: it tells {separation:.1%} of pairs apart{_accuracies(view, pair[0])}, its loss is {loss:.2g} "
            f"where guessing costs {stakes.even:.2g}"
        )

    return evidence


def _accuracies(view: View, player: str) -> str:
    real, fake = view.of(player, "accuracy(real)"), view.of(player, "accuracy(fake)")
    return "" if real is None or fake is None else f", accuracy {real:.2f}/{fake:.2f} on real/generated"


def _worse_than_guessing(view: View, player: str) -> str | None:
    stakes, loss = view.stakes, view.now.get("loss/D")
    if stakes is None or loss is None or stakes.floor is None or loss <= 3 * stakes.even or view.pair() is None:
        return None
    return f"D does worse than guessing: its loss is {loss:.3g} where guessing costs {stakes.even:.3g}"


def _runaway(view: View, player: str) -> str | None:
    if view.stakes is None or view.stakes.boundary is None:
        return None
    scores = {"real": view.of(player, "logit(real)"), "generated": view.of(player, "logit(fake)")}
    known = {kind: score for kind, score in scores.items() if score is not None}
    kind = max(known, key=lambda one: abs(known[one]), default="")
    if not kind or abs(known[kind] - view.stakes.boundary) <= 20:
        return None
    return f"{player}'s scores run away: {known[kind]:.3g} on average for {kind} samples{_of_generator(view)}"


def _of_generator(view: View) -> str:
    loss = view.now.get("loss/G")
    return "" if loss is None else f", G's loss is {loss:.3g}"


def _unheld(view: View, player: str) -> str | None:
    slope, pair = view.of(player, "slope"), view.pair()
    if view.stakes is None or view.stakes.floor is not None or slope is None or pair is None or slope <= 1.2:
        return None
    discrepancy = view.of(pair[1], "discrepancy")
    if discrepancy is None or discrepancy < 0.15:
        return None
    return (
        f"The critic {player} is not held: its score changes by {slope:.2g} per unit of distance, that of a "
        f"1-Lipschitz critic by 1 at most, and the samples stay far from the data (discrepancy {discrepancy:.2f})"
    )


def _blind(view: View, player: str) -> str | None:
    pair = view.pair()
    if pair is None:
        return None
    separation, discrepancy = view.of(pair[0], "separation"), view.of(pair[1], "discrepancy")
    if separation is None or discrepancy is None or separation > 0.6 or discrepancy <= 0.03:
        return None
    faded = _faded(view, pair[0])
    if discrepancy < 0.15 and not faded:
        return None
    return (
        f"D is blind: it tells {separation:.0%} of pairs apart, no more than luck, though the samples differ plainly "
        f"from the data (discrepancy {discrepancy:.2f}){faded}"
    )


def _faded(view: View, player: str) -> str:
    """That a judge has next to no gradient left, for its weights and for its input, in words; nothing if it has."""
    gradient, first = view.of(player, "gradient"), view.at_first(player, "gradient")
    slope, steepest = view.of(player, "slope"), view.at_first(player, "slope")
    if gradient is None or first is None or gradient > first / 200:
        return ""
    if slope is not None and steepest is not None and slope > steepest / 50:
        return ""
    return f", and its gradient fell from {first:.2g} to {gradient:.2g}"


def _starved(view: View, player: str) -> str | None:
    pair, gradient, first = view.pair(), view.of(player, "gradient"), view.at_first(player, "gradient")
    if pair is None or player != pair[1] or gradient is None or first is None:
        return None
    separation = view.of(pair[0], "separation")
    if separation is None or separation < 0.98 or gradient > 1e-3 * first:
        return None
    return f"{player} gets no gradient: its norm fell from {first:.2g} to {gradient:.2g} while D is sure"


def _steep(view: View, player: str) -> str | None:
    gradient, first = view.of(player, "gradient"), view.at_first(player, "gradient")
    if gradient is None or not first or gradient < 300 * first:
        return None
    return f"{player}'s gradient grew from {first:.2g} to {gradient:.2g}"


def _lopsided(view: View, player: str) -> str | None:
    real, fake = view.of(player, "accuracy(real)"), view.of(player, "accuracy(fake)")
    if real is None or fake is None or abs(real - fake) < 0.6 or _undecided(view):
        return None
    said = "generated" if fake > real else "real"
    return f"{player} calls nearly everything {said}: accuracy {real:.2f} on real, {fake:.2f} on generated samples"


def _undecided(view: View) -> bool:
    """True if D pays what guessing costs: on which side of the boundary its scores then lie says nothing."""
    paid = view.paid()
    return paid is not None and abs(paid[2] - 1) < 0.02


def _overfitting(view: View, player: str) -> str | None:
    known = view.of(player, "held_out")
    if known is None or known < 0.75:
        return None
    return f"{player} knows its samples by heart: it scores them above unseen ones in {known:.0%} of pairs, luck is 50%"


def _even(view: View, player: str) -> str | None:
    pair = view.pair()
    if pair is None:
        return None
    separation, discrepancy = view.of(pair[0], "separation"), view.of(pair[1], "discrepancy")
    if separation is None or discrepancy is None or abs(separation - 0.5) > 0.1 or discrepancy > 0.03:
        return None
    return (
        f"The players are even: D tells {separation:.0%} of pairs apart, no more than luck, and the samples are near "
        f"the data (discrepancy {discrepancy:.2f}{_probabilities(view)})"
    )


def _ahead(view: View, player: str) -> str | None:
    paid, pair = view.paid(), view.pair()
    if paid is None or pair is None:
        return None
    (stakes, loss, share), separation = paid, view.of(pair[0], "separation")
    if separation is None or share > 0.35 or separation < 0.97:
        return None
    return (
        f"D is well ahead: it tells {separation:.0%} of pairs apart, its loss is {loss:.2g} where guessing costs "
        f"{stakes.even:.2g}{_probabilities(view)}"
    )


def _probabilities(view: View) -> str:
    """D(real) and D(fake) beside the equilibrium, where scores are logits."""
    real, fake, stakes = view.now.get("D(real)"), view.now.get("D(fake)"), view.stakes
    if stakes is None or not stakes.probabilities or real is None or fake is None:
        return ""
    return f", D(real) {real:.2f} and D(fake) {fake:.2f} where 0.5 is undecided"


def _try(*lines: str) -> Remedy:
    """Options to try, with the players' names and step sizes filled in."""

    def remedy(view: View, player: str) -> str:
        judge = (view.pair() or ("D", "G"))[0]
        words = {"player": player, "slower": view.slower(player or judge), "slower_D": view.slower(judge)}
        return "try " + " or ".join(line.format(**words) for line in lines)

    return remedy


def _nothing(view: View, player: str) -> str:
    return ""


_R1, _SLOWER_D = "`--penalty r1`", "{slower_D}"
_WRONG = ("frozen", "starved", "collapse", "runaway", "unheld-critic", "blind", "outrun", "worse-than-guessing")
RULES = (
    Rule("frozen", "failure", "moved", 20_000, _frozen, _try("`--set optimizer.{player}.lr=2e-4`")),
    Rule("blind", "failure", "", 30_000, _blind,
         _try("a larger `--discriminator`", "a larger `--set optimizer.D.lr=…`, or a smaller one if it once saw more"),
         ("frozen", "unheld-critic")),
    Rule("collapse", "failure", "spread", 40_000, _collapsed,
         _try(_R1, "{slower}", "another `--generator` if this one ignores its latents"),
         ("frozen", "blind", "starved")),
    Rule("unheld-critic", "failure", "slope", 30_000, _unheld,
         _try("`--penalty gradient-penalty`", "`--set loss.clip=0.01`")),
    Rule("starved", "failure", "gradient", 20_000, _starved, _try("`--loss non-saturating`", _SLOWER_D), ("frozen",)),
    Rule("runaway", "failure", "logit(fake)", 30_000, _runaway, _try(_SLOWER_D, _R1), ("frozen", "starved")),
    Rule("worse-than-guessing", "failure", "", 40_000, _worse_than_guessing, _try(_SLOWER_D, _R1), ("frozen", "blind")),
    Rule("d-wins", "failure", "", 60_000, _wins(0.02), _try(_R1, _SLOWER_D),
         ("frozen", "starved", "collapse", "runaway")),
    Rule("d-wins", "warning", "", 40_000, _wins(0.1), _try(_R1, _SLOWER_D),
         ("frozen", "starved", "collapse", "runaway")),
    Rule("outrun", "failure", "discrepancy", 80_000, _outrun, _try(_SLOWER_D, _R1),
         ("frozen", "starved", "collapse", "runaway", "worse-than-guessing", "d-wins")),
    Rule("little-variety", "warning", "spread", 60_000, _little_variety, _try(_R1, _SLOWER_D), _WRONG),
    Rule("steep", "warning", "gradient", 30_000, _steep, _try("{slower}", _R1), _WRONG),
    Rule("lopsided", "warning", "accuracy(fake)", 60_000, _lopsided, _try(_SLOWER_D, _R1), _WRONG),
    Rule("overfitting", "warning", "held_out", 40_000, _overfitting,
         _try("`--augment diffaugment`", "`--penalty lecam`", "more data")),
    Rule("ahead", "note", "", 50_000, _ahead, _nothing, (*_WRONG, "d-wins")),
    Rule("even", "note", "", 50_000, _even, _nothing, _WRONG),
)  # fmt: skip
"""In the order in which they are told; what explains others comes before them."""
