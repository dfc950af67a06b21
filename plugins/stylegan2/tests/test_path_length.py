"""The path length against a generator whose Jacobian is known, a·I."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field

import pytest
import torch
from torch import Tensor, nn

import ganzoo
from ganzoo_stylegan2.path_length import PathLength

SIDE = 3


class Scaled(nn.Module):
    """The style is the latent, L times; the picture is a · the sum of the styles, so that ‖Jᵀy‖ = a‖y‖ for each."""

    def __init__(self, a: float, layers: int = 1) -> None:
        super().__init__()
        self.a, self.layers = nn.Parameter(torch.tensor(a)), layers

    def map(self, source: Tensor, label: Tensor) -> Tensor:
        assert len(source) == len(label)
        return source[:, None].expand(-1, self.layers, -1).requires_grad_()

    def synthesise(self, style: Tensor) -> Tensor:
        self.seen = style
        return self.a * style.sum(dim=1).unflatten(1, (1, SIDE, SIDE))


@dataclass
class FakeTurn:
    """The part of a turn that the penalty sees."""

    generator: nn.Module
    size: int = 8
    logged: dict[str, Tensor] = field(default_factory=dict)

    @property
    def players(self) -> dict[str, nn.Module]:
        return {"G": self.generator}

    @property
    def label(self) -> Tensor:
        return torch.zeros(self.size, dtype=torch.int64)

    def latent(self, role: str) -> Tensor:
        assert role == "G"
        return torch.ones(self.size, SIDE * SIDE)

    def autocast(self):
        return contextlib.nullcontext()

    def log(self, name: str, value: Tensor) -> None:
        self.logged[name] = value.detach()


def directions(n: int) -> Tensor:
    """‖y‖ of the directions that the penalty draws under seed 0, (n,): normal, over √(H · W)."""
    torch.manual_seed(0)
    return (torch.randn(n, 1, SIDE, SIDE) / SIDE).flatten(1).norm(dim=1)


@pytest.mark.parametrize("layers", [1, 4])
def test_value_and_gradient_of_a_known_jacobian(layers):
    generator, penalty = Scaled(3.0, layers), PathLength(weight=2.0, batch_shrink=2, decay=0.25)
    penalty.mean.fill_(1.0)
    norm = directions(4)
    lengths = 3 * norm  # the mean over the styles of equal squares
    mean = 0.75 + 0.25 * lengths.mean()
    turn = FakeTurn(generator)
    torch.manual_seed(0)
    value = penalty(turn)
    value.backward()
    torch.testing.assert_close(value.detach(), 2 * (lengths - mean).square().mean())
    torch.testing.assert_close(generator.a.grad, 2 * (2 * (lengths - mean) * norm).mean())
    torch.testing.assert_close(penalty.mean, mean)
    torch.testing.assert_close(turn.logged["path_length"], lengths.mean())


def test_the_mean_is_over_styles_and_the_sum_over_their_numbers():
    class First(Scaled):
        def synthesise(self, style: Tensor) -> Tensor:
            return self.a * style[:, 0].unflatten(1, (1, SIDE, SIDE))

    turn = FakeTurn(First(3.0, layers=4))
    torch.manual_seed(0)
    PathLength(batch_shrink=1)(turn)
    # three of four styles change nothing: √(mean of squares) is half of the first one's
    torch.testing.assert_close(turn.logged["path_length"], (3 * directions(8) / 2).mean())


@pytest.mark.parametrize(("size", "shrink", "expected"), [(8, 2, 4), (9, 2, 4), (8, 1, 8), (1, 2, 1), (3, 8, 1)])
def test_it_takes_a_share_of_the_batch(size, shrink, expected):
    turn = FakeTurn(Scaled(1.0), size)
    PathLength(batch_shrink=shrink)(turn)
    assert len(turn.generator.seen) == expected


def test_a_generator_that_ignores_its_style_gets_finite_gradients():
    generator = Scaled(0.0)
    PathLength()(FakeTurn(generator)).backward()
    assert generator.a.grad.isfinite()


def test_defaults_are_the_papers():
    penalty = PathLength()
    assert (penalty.role, penalty.every, penalty.weight.high, penalty.batch_shrink, penalty.decay) == (
        "G",
        4,
        2.0,
        2,
        0.01,
    )
    assert penalty.needs == {"G": ganzoo.StyleSpace} and set(penalty.state_dict()) == {"mean"}


@pytest.mark.parametrize("options", [{"weight": -1}, {"every": 0}, {"batch_shrink": 0}, {"decay": 0}, {"decay": 1.5}])
def test_silly_options_are_refused_by_name(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        PathLength(**options)


def test_generators_without_styles_are_refused(tmp_path):
    with pytest.raises(
        ganzoo.Incompatible,
        match=r"path-length needs G to be StyleSpace, which DCGANGenerator is not; of installed ones .*stylegan2",
    ):
        ganzoo.train("stylegan2-mini", generator="dcgan", out=tmp_path / "run", device="cpu", progress=False)


def test_a_game_without_a_player_g_is_refused():
    (problem,) = PathLength().problems({"G_ab": nn.Identity()})
    assert "G_ab" in problem and problem.endswith(".")
