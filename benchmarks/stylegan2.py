"""StyleGAN2 on small pictures in colour: ganzoo against a plain loop in the manner of public programs.

    python -m benchmarks.stylegan2 [--size 32] [--batch 16] [--rounds 7] [--threads 2] [--json]

Both have the networks of the recipe `stylegan2-mini`: 64 channels at most, two mapping layers, skips in G, residual
blocks in D. The non-saturating loss, R1 each 8th iteration, path length each 4th, Adam, an average of G.

- plain: weights of each sample's own by a grouped convolution, the filter as a convolution of each channel, pictures
  by PIL and a DataLoader with two workers; D judges real and generated pictures one after the other, and collects
  gradients while G learns; losses are read in each iteration.

A block is measured in multiples of 8 iterations, so that each has its share of lazy penalties.
"""

from __future__ import annotations

import copy
import math
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d, leaky_relu, linear, softplus

from benchmarks import pairs, telling
from benchmarks.dcgan import pictures
from benchmarks.pictures import Endless, endless_batches

BATCH, COUNT, SIZE, STYLE = 16, 2_000, 32, 64
R1_EVERY, PATH_EVERY = 8, 4


def channels(side: int) -> int:
    """Of maps of this side, in the recipe `stylegan2-mini`."""
    return min(512 // side, 64)


class Dense(nn.Module):
    """A layer with an equalised learning rate."""

    def __init__(self, inputs: int, outputs: int, bias: float = 0.0, rate: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / rate)
        self.bias = nn.Parameter(torch.full((outputs,), bias / rate))
        self.gain, self.rate = rate / math.sqrt(inputs), rate

    def forward(self, x: Tensor) -> Tensor:
        return linear(x, self.weight * self.gain, self.bias * self.rate)


def active(x: Tensor) -> Tensor:
    """LeakyReLU times √2."""
    return leaky_relu(x, 0.2) * math.sqrt(2)


def filtered(x: Tensor, padding: int, gain: float = 1.0, stride: int = 1) -> Tensor:
    """[1, 3, 3, 1] along both sides."""
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
    kernel = (gain * taps[:, None] * taps).expand(x.shape[1], 1, 4, 4)
    return conv2d(x, kernel, padding=padding, stride=stride, groups=x.shape[1])


class Styled(nn.Module):
    """A convolution with weights for each sample; doubles the side, adds noise, or makes colours."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, up: bool = False) -> None:
        super().__init__()
        self.affine = Dense(STYLE, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.strength = nn.Parameter(torch.zeros(())) if kernel == 3 else None
        self.up = up

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        n, inputs, height, width = x.shape
        outputs, kernel = len(self.weight), self.weight.shape[-1]
        weight = self.weight / math.sqrt(inputs * kernel**2) * self.affine(style)[:, None, :, None, None]
        if kernel == 3:
            weight = weight * (weight.square().sum(dim=(2, 3, 4), keepdim=True) + 1e-8).rsqrt()
        x = x.reshape(1, n * inputs, height, width)
        if self.up:
            weight = weight.transpose(1, 2).reshape(n * inputs, outputs, kernel, kernel)
            x = conv_transpose2d(x, weight, stride=2, groups=n)
            x = filtered(x.view(n, outputs, *x.shape[2:]), padding=1, gain=4.0)
        else:
            weight = weight.view(n * outputs, inputs, kernel, kernel)
            x = conv2d(x, weight, padding=kernel // 2, groups=n).view(n, outputs, height, width)
        if self.strength is None:
            return x + self.bias[:, None, None]
        noise = torch.randn(n, 1, *x.shape[2:])
        return active(x + self.strength * noise + self.bias[:, None, None])


class Generator(nn.Module):
    """Latents (N, 64) to (N, 3, side, side)."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.mapping = nn.ModuleList(Dense(STYLE, STYLE, rate=0.01) for _ in range(2))
        self.constant = nn.Parameter(torch.randn(1, channels(4), 4, 4))
        sides = [4 << level for level in range(int(math.log2(side)) - 1)]
        self.ups = nn.ModuleList(Styled(channels(one // 2), channels(one), up=True) for one in sides[1:])
        self.keeps = nn.ModuleList(Styled(channels(one), channels(one)) for one in sides)
        self.colours = nn.ModuleList(Styled(channels(one), 3, kernel=1) for one in sides)

    def styles(self, z: Tensor) -> Tensor:
        """A style for each of the layers, (N, layers, 64)."""
        x = z * (z.square().mean(dim=1, keepdim=True) + 1e-8).rsqrt()
        for layer in self.mapping:
            x = active(layer(x))
        return x[:, None].expand(-1, 2 * len(self.keeps), -1)

    def forward(self, styles: Tensor) -> Tensor:
        x = self.keeps[0](self.constant.expand(len(styles), -1, -1, -1), styles[:, 0])
        picture: Tensor = self.colours[0](x, styles[:, 1])
        for level, up in enumerate(self.ups, start=1):
            x = self.keeps[level](up(x, styles[:, 2 * level - 1]), styles[:, 2 * level])
            n, _, height, width = picture.shape
            wide = picture.new_zeros(n, 3, height, 2, width, 2)
            wide[:, :, :, 0, :, 0] = picture
            wide = nn.functional.pad(wide.view(n, 3, 2 * height, 2 * width), (2, 1, 2, 1))
            picture = filtered(wide, padding=0, gain=4.0) + self.colours[level](x, styles[:, 2 * level + 1])
        return picture


class Convolution(nn.Module):
    """A layer of D, which may halve the side."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, down: bool = False, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.gain, self.padding, self.down = 1 / math.sqrt(inputs * kernel**2), kernel // 2, down

    def forward(self, x: Tensor) -> Tensor:
        if self.down:
            return conv2d(filtered(x, padding=1 + self.padding), self.weight * self.gain, self.bias, stride=2)
        return conv2d(x, self.weight * self.gain, self.bias, padding=self.padding)


class Discriminator(nn.Module):
    """(N, 3, side, side) to logits (N,)."""

    def __init__(self, side: int) -> None:
        super().__init__()
        sides = [side >> level for level in range(int(math.log2(side)) - 2)]
        self.colours = Convolution(3, channels(side), 1)
        self.keeps = nn.ModuleList(Convolution(channels(one), channels(one)) for one in sides)
        self.halves = nn.ModuleList(Convolution(channels(one), channels(one // 2), down=True) for one in sides)
        self.skips = nn.ModuleList(
            Convolution(channels(one), channels(one // 2), 1, down=True, bias=False) for one in sides
        )
        last = channels(4)
        self.last, self.dense, self.logit = Convolution(last + 1, last), Dense(16 * last, last), Dense(last, 1)

    def forward(self, picture: Tensor) -> Tensor:
        x = active(self.colours(picture))
        for keep, halve, skip in zip(self.keeps, self.halves, self.skips, strict=True):
            x = (active(halve(active(keep(x)))) + skip(x)) / math.sqrt(2)
        n, features, height, width = x.shape
        deviation = (x.view(4, -1, features, height, width).var(dim=0, unbiased=False) + 1e-8).sqrt()
        deviation = deviation.mean(dim=(1, 2, 3)).repeat(4).view(n, 1, 1, 1).expand(-1, 1, height, width)
        x = active(self.last(torch.cat([x, deviation], dim=1)))
        logits: Tensor = self.logit(active(self.dense(x.flatten(1)))).flatten()
        return logits


def plain(images_NHWC: Tensor, side: int, batch: int = BATCH, workers: int = 2) -> pairs.Rival:
    """One update of each, and of each penalty when it is due."""
    g, d = Generator(side), Discriminator(side)
    average = copy.deepcopy(g).requires_grad_(False)
    g_optimizer, d_optimizer = (torch.optim.Adam(one.parameters(), lr=2e-3, betas=(0.0, 0.99)) for one in (g, d))
    batches = endless_batches(Endless(images_NHWC, 100_000), batch, workers)
    told: dict[str, float] = {}
    mean = torch.zeros(())
    step_number = 1

    def made() -> Tensor:
        styles, others = g.styles(torch.randn(batch, STYLE)), g.styles(torch.randn(batch, STYLE))
        layers = torch.arange(styles.shape[1])
        if torch.rand(()) < 0.9:
            styles = torch.where((layers < torch.randint(1, len(layers), ()))[:, None], styles, others)
        return g(styles)

    def learn(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def penalise(real: Tensor) -> None:
        if step_number % R1_EVERY == 0:
            real = real.requires_grad_()
            (gradient,) = torch.autograd.grad(d(real).sum(), real, create_graph=True)
            learn(d_optimizer, R1_EVERY / 2 * gradient.square().sum(dim=(1, 2, 3)).mean())
        if step_number % PATH_EVERY == 0:
            styles = g.styles(torch.randn(batch // 2, STYLE))
            picture = g(styles)
            direction = torch.randn_like(picture) / side
            (gradient,) = torch.autograd.grad((picture * direction).sum(), styles, create_graph=True)
            length = (gradient.square().sum(dim=2).mean(dim=1) + 1e-8).sqrt()
            mean.lerp_(length.detach().mean(), 0.01)
            learn(g_optimizer, 2 * PATH_EVERY * (length - mean).square().mean())

    def step() -> None:
        nonlocal step_number
        real, _ = next(batches)
        with torch.no_grad():
            fake = made()
        d_loss = softplus(-d(real)).mean() + softplus(d(fake)).mean()
        learn(d_optimizer, d_loss)
        g_loss = softplus(-d(made())).mean()
        learn(g_optimizer, g_loss)
        penalise(real)
        with torch.no_grad():
            for old, new in zip(average.parameters(), g.parameters(), strict=True):
                old.lerp_(new, 0.002)
        told.update(D=d_loss.item(), G=g_loss.item())
        step_number += 1

    return pairs.Rival("plain", step, batch, lambda: list(told.values()), 1.2)


def run(
    size: int,
    plan: pairs.Plan,
    settings: Sequence[str] = (),
    batch: int = BATCH,
    count: int = COUNT,
    workers: int = 2,
) -> object:
    """Measure at one size, and return the summary."""
    images = pictures(size, count)
    rivals = [plain(images, size, batch, workers)]
    alternation = pairs.Alternation(batch, rivals, plan, count=True, multiple=R1_EVERY)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pictures.npz"
        np.savez(path, images=images.numpy())
        changes = {"data": f"npz:{path}", "set": [f"data.size={size}", *settings], "batch": batch}
        times = pairs.measure("stylegan2-mini", changes, alternation)
    return telling.summary(f"stylegan2 3x{size}x{size}", "images", times, rivals)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = telling.parser(__doc__)
    parser.add_argument("--size", type=int, default=SIZE, help="of the pictures, a power of two (default 32)")
    parser.add_argument("--batch", type=int, default=BATCH, metavar="COUNT", help="pictures an update (default 16)")
    options = parser.parse_args(arguments)
    told = run(options.size, pairs.prepared(options, warmup=R1_EVERY), options.set, options.batch)
    telling.report([told], options.json)


if __name__ == "__main__":
    main()
