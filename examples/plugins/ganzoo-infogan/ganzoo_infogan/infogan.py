"""InfoGAN: latents with codes in them that D can read off the samples.

Paper: Chen et al. 2016, "InfoGAN: Interpretable Representation Learning by Information Maximizing Generative Adversarial
Nets" (arXiv:1606.03657), sections 5 and 7.2, appendix C.1. Written from the paper.

Differences from the paper:
- Any picture whose sides are multiples of 4; `width` is an option.
- A continuous code has a fixed variance, so that its term is a mean squared error.

Shapes: N batch, Z noise, K categories, U continuous codes; a latent is (N, Z + K + U).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

import ganzoo
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss, one_hot, softplus


@runtime_checkable
class Coded(Protocol):
    """A generator whose latents hold codes."""

    def codes(self, latent: Tensor) -> tuple[Tensor, Tensor]:
        """latent: (N, L). Returns the category of each, (N,) int64, and its continuous codes, (N, U)."""
        ...


class InfoGAN(ganzoo.AdversarialLoss):
    """min over G and Q, max over D, of V(D, G) - λ · L_I(G, Q), Q being heads of D (equation 6).

    category, continuous: λ for the category and for the continuous codes, 1 and 0.1 in the paper's program.
    n_critic, reuse_fake: as for every adversarial loss.
    """

    needs: Mapping[str, type] = {"G": Coded}

    def __init__(
        self,
        category: ganzoo.Varying = 1.0,
        continuous: ganzoo.Varying = 0.1,
        n_critic: int = 1,
        reuse_fake: bool = True,
    ) -> None:
        super().__init__(n_critic, reuse_fake=reuse_fake)
        self.category, self.continuous = ganzoo.Dial(category), ganzoo.Dial(continuous)
        if min(self.category.low, self.continuous.low) < 0:
            raise ValueError(f"category and continuous are at least 0, not {category} and {continuous}")

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """-E log D(x) - E log(1 - D(G(z, c)))."""
        return softplus(-real).mean() + softplus(fake).mean()

    def generator(self, fake: Tensor, real: Tensor) -> Tensor:
        """-E log D(G(z, c))."""
        return softplus(-fake).mean()

    def discriminator_phase(self, turn: ganzoo.Turn) -> Tensor:
        return super().discriminator_phase(turn) + self.unread(turn)

    def generator_phase(self, turn: ganzoo.Turn) -> Tensor:
        return super().generator_phase(turn) + self.unread(turn)

    def unread(self, turn: ganzoo.Turn) -> Tensor:
        """λ times what the heads do not know of the codes, an upper bound of H(c) - I(c; G(z, c)) but for a constant."""
        generator = turn.players["G"]
        assert isinstance(generator, Coded)  # as `needs` says
        category_N, continuous_NU = generator.codes(turn.source("G"))
        category = cross_entropy(turn.answer(turn.fake(), "category"), category_N)
        continuous = mse_loss(turn.answer(turn.fake(), "continuous"), continuous_NU)
        turn.log("unread/category", category)
        turn.log("unread/continuous", continuous)
        return self.category.value * category + self.continuous.value * continuous

    def problems(self, players: Mapping[str, nn.Module], spec: ganzoo.DataSpec | None = None) -> Sequence[str]:
        """Heads that do not fit the codes."""
        generator, judge = players["G"], players["D"]
        if not isinstance(generator, Generator) or not isinstance(judge, Discriminator):
            return ()  # parts of others; the heads are missed when they are asked for
        if (generator.categories, generator.continuous) == (judge.categories, judge.continuous):
            return ()
        codes = f"{generator.categories} categories and {generator.continuous} continuous codes"
        sought = f"{judge.categories} and {judge.continuous}"
        return (f"G has {codes}, D looks for {sought}: set `categories` and `continuous` alike in both",)


class Generator(ganzoo.Generator):
    """FC 1024, FC, two transposed convolutions, with BatchNorm (table 1).

    noise: length of z.  categories: of the categorical code.  continuous: codes that are uniform in [-1, 1].
    width: channels of the last map before the picture.
    """

    def __init__(
        self,
        source: ganzoo.Sample | None,
        target: ganzoo.Sample,
        classes: int,
        noise: int = 62,
        categories: int = 10,
        continuous: int = 2,
        width: int = 64,
    ) -> None:
        super().__init__()
        if source is not None:
            raise ganzoo.Incompatible("generator infogan makes pictures from latents, it translates none")
        _refuse("generator", target, categories, continuous)
        self.target, self.noise, self.categories, self.continuous = target, noise, categories, continuous
        colours, height, width_ = target.shape
        self.dense = nn.Sequential(
            nn.Linear(noise + categories + continuous, 16 * width), nn.BatchNorm1d(16 * width), nn.ReLU(),
            nn.Linear(16 * width, 2 * width * (height // 4) * (width_ // 4)),
            nn.BatchNorm1d(2 * width * (height // 4) * (width_ // 4)), nn.ReLU(),
            nn.Unflatten(1, (2 * width, height // 4, width_ // 4)),
        )  # fmt: skip
        self.maps = nn.Sequential(
            nn.ConvTranspose2d(2 * width, width, 4, 2, 1), nn.BatchNorm2d(width), nn.ReLU(),
            nn.ConvTranspose2d(width, colours, 4, 2, 1),
        )  # fmt: skip

    def sample_latent(self, n: int, device: torch.device) -> Tensor:
        """(n, Z + K + U): z from N(0, 1), one category of K, codes from [-1, 1]."""
        noise = torch.randn(n, self.noise, device=device)
        category = torch.randint(self.categories, (n,), device=device)
        return self.latent(noise, category, 2 * torch.rand(n, self.continuous, device=device) - 1)

    def latent(self, noise: Tensor, category: Tensor, continuous: Tensor) -> Tensor:
        """Put a latent together. noise: (N, Z).  category: (N,) int64.  continuous: (N, U) in [-1, 1]."""
        return torch.cat([noise, one_hot(category, self.categories).to(noise), continuous], 1)

    def codes(self, latent: Tensor) -> tuple[Tensor, Tensor]:
        """The category, (N,) int64, and the continuous codes, (N, U), of latents."""
        _, category, continuous = latent.split([self.noise, self.categories, self.continuous], 1)
        return category.argmax(1), continuous

    def truncate(self, latent: Tensor, truncation: float) -> Tensor:
        """Pull the noise towards 0; codes stay what they are."""
        return torch.cat([truncation * latent[:, : self.noise], latent[:, self.noise :]], 1)

    def interpolate(self, first: Tensor, second: Tensor, share: float) -> Tensor:
        """Noise along the great circle, continuous codes along the line, and the category changes half-way."""
        noise = super().interpolate(first[: self.noise], second[: self.noise], share)
        category = (first if share < 0.5 else second)[self.noise : self.noise + self.categories]
        continuous = torch.lerp(first, second, share)[self.noise + self.categories :]
        return torch.cat([noise, category, continuous])

    def forward(self, source: Tensor, label: Tensor) -> Tensor:
        """source: (N, Z + K + U). Returns (N, C, H, W) in the target's range."""
        return self.target.scaled(torch.tanh(self.maps(self.dense(source))))


class Discriminator(ganzoo.Discriminator):
    """Two convolutions and FC 1024, on which the logit and both heads stand (table 1).

    categories, continuous: as the generator's.  width: channels of the first map.
    """

    def __init__(
        self,
        source: ganzoo.Sample | None,
        target: ganzoo.Sample,
        classes: int,
        categories: int = 10,
        continuous: int = 2,
        width: int = 64,
    ) -> None:
        super().__init__()
        _refuse("discriminator", target, categories, continuous)
        self.categories, self.continuous = categories, continuous
        self.heads = {"category": (categories,), "continuous": (continuous,)}
        colours, height, width_ = target.shape
        self.trunk = nn.Sequential(
            nn.Conv2d(colours, width, 4, 2, 1), nn.LeakyReLU(0.1),
            nn.Conv2d(width, 2 * width, 4, 2, 1), nn.BatchNorm2d(2 * width), nn.LeakyReLU(0.1), nn.Flatten(),
            nn.Linear(2 * width * (height // 4) * (width_ // 4), 16 * width), nn.BatchNorm1d(16 * width),
            nn.LeakyReLU(0.1),
        )  # fmt: skip
        self.judge = nn.Linear(16 * width, 1)
        self.reader = nn.Sequential(
            nn.Linear(16 * width, 2 * width), nn.BatchNorm1d(2 * width), nn.LeakyReLU(0.1),
            nn.Linear(2 * width, categories + continuous),
        )  # fmt: skip

    def forward(self, sample: Tensor, label: Tensor) -> Mapping[str, Tensor]:
        """sample: (N, C, H, W). Returns logits (N,), scores of categories (N, K), and continuous codes (N, U)."""
        hidden = self.trunk(sample)
        category, continuous = self.reader(hidden).split([self.categories, self.continuous], 1)
        return {"logit": self.judge(hidden).squeeze(1), "category": category, "continuous": continuous}


def _refuse(what: str, target: ganzoo.Sample, categories: int, continuous: int) -> None:
    if categories < 2 or continuous < 1:
        raise ValueError(f"categories is at least 2 and continuous at least 1, not {categories} and {continuous}")
    if not target.is_image or not target.bounded or target.shape[1] % 4 or target.shape[2] % 4:
        raise ganzoo.Incompatible(
            f"{what} infogan is for pictures whose sides are multiples of 4, the data are {target}: try `--set data.size=32`"
        )
