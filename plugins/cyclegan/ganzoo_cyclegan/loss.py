"""CycleGAN's game: two generators that undo each other, and a discriminator in each domain.

Zhu et al. 2017 (arXiv:1703.10593), sections 3, 4 and 5.2. The adversarial part is that of Mao et al. 2017
(arXiv:1611.04076) without its factor 1/2.

Shapes: N batch; a and b are the fields' own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor
from torch.nn.functional import l1_loss

import ganzoo

from .pool import HistoryPool


class CycleGAN(ganzoo.Loss):
    """Translate a to b and b to a, unpaired.

    G minimises, over both directions, (D(G(x)) - 1)² + λ·(‖back - x‖ + identity · ‖G(y) - y‖), where back is x
    translated there and back again, y is a real sample of G's target, and ‖·‖ is the mean absolute error.
    D minimises half of (D(y) - 1)² + D(G(x))² on samples of a history of generated ones, into which go those that G has
    just learned from, as it made them before that.

    cycle_a, cycle_b: λ for samples of a, and of b, 10 in the paper.
    identity: weight of the identity term as a share of λ, 0.5 in the paper; it needs fields of one shape, 0 leaves it
    out.  pool: generated samples that the history of each domain holds, 50 in the paper; 0 for none.
    """

    roles: Mapping[str, ganzoo.Role] = {
        "G_ab": ganzoo.Role("generator", target="b", source="a"),
        "G_ba": ganzoo.Role("generator", target="a", source="b"),
        "D_a": ganzoo.Role("discriminator", target="a"),
        "D_b": ganzoo.Role("discriminator", target="b"),
    }

    def __init__(
        self,
        cycle_a: ganzoo.Varying = 10.0,
        cycle_b: ganzoo.Varying = 10.0,
        identity: ganzoo.Varying = 0.5,
        pool: int = 50,
    ) -> None:
        super().__init__()
        self.cycle_a, self.cycle_b, self.identity = map(ganzoo.Dial, (cycle_a, cycle_b, identity))
        if min(self.cycle_a.low, self.cycle_b.low, self.identity.low) < 0:
            raise ValueError(f"cycle_a, cycle_b and identity are at least 0, not {cycle_a}, {cycle_b} and {identity}")
        self.pool_a, self.pool_b = HistoryPool(pool), HistoryPool(pool)

    def phases(self) -> Sequence[ganzoo.Phase]:
        """Both generators learn together, then both discriminators, from what was generated before that."""
        return (
            ganzoo.Phase("G", ("G_ab", "G_ba"), self._generators),
            ganzoo.Phase("D", ("D_a", "D_b"), self._discriminators, reuses=True),
        )

    def _generators(self, turn: ganzoo.Turn) -> Tensor:
        a, b = turn.field("a"), turn.field("b")
        fake_a, fake_b = turn.fake("G_ba"), turn.fake("G_ab")
        loss = least_squares(turn.logits(fake_a, "D_a"), 1.0) + least_squares(turn.logits(fake_b, "D_b"), 1.0)
        cycle_a = l1_loss(turn.generate("G_ba", fake_b), a)
        cycle_b = l1_loss(turn.generate("G_ab", fake_a), b)
        turn.log("cycle/a", cycle_a)
        turn.log("cycle/b", cycle_b)
        loss = loss + self.cycle_a.value * cycle_a + self.cycle_b.value * cycle_b
        return loss + self._identity(turn, a, b) if self.identity.high else loss

    def _identity(self, turn: ganzoo.Turn, a: Tensor, b: Tensor) -> Tensor:
        """λ · identity · ‖G(y) - y‖ in both directions: a sample that is in the target's domain stays as it is."""
        if a.shape != b.shape:
            shapes = " and ".join("x".join(map(str, sample.shape[1:])) for sample in (a, b))
            raise ganzoo.Incompatible(
                f"the identity term of loss cyclegan needs samples of one shape, a and b are {shapes}: leave it out "
                "with `--set loss.identity=0`"
            )
        identity_a = l1_loss(turn.generate("G_ba", a), a)
        identity_b = l1_loss(turn.generate("G_ab", b), b)
        turn.log("identity/a", identity_a)
        turn.log("identity/b", identity_b)
        return self.identity.value * (self.cycle_a.value * identity_a + self.cycle_b.value * identity_b)

    def _discriminators(self, turn: ganzoo.Turn) -> Tensor:
        return self._judge(turn, "a", self.pool_a) + self._judge(turn, "b", self.pool_b)

    def _judge(self, turn: ganzoo.Turn, field: str, pool: HistoryPool) -> Tensor:
        judge, maker = ("D_a", "G_ba") if field == "a" else ("D_b", "G_ab")
        real, fake = turn.both(judge, turn.field(field), pool(turn.fake(maker)))
        turn.log(f"{judge}(real)", real.mean())
        turn.log(f"{judge}(fake)", fake.mean())
        return 0.5 * (least_squares(real, 1.0) + least_squares(fake, 0.0))


def least_squares(logits: Tensor, wanted: float) -> Tensor:
    """E(D - wanted)², over all logits."""
    return (logits - wanted).square().mean()
