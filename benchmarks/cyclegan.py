"""CycleGAN, batch 1: ganzoo against a plain loop that does what the published program does in a step.

    python -m benchmarks.cyclegan [--size 128] [--width 64] [--rounds 7] [--threads 2] [--json]

The networks are those of the paper in both, 9 residual blocks from 256 pixels on and 6 below; two sets of 64 coloured
pictures of blurred noise, of which a random window of 8/9 of the side is cut and mirrored; Adam at 2e-4 with betas 0.5
and 0.999, identity weight 0.5, cycle weights 10, histories of 50.

- published: the steps of the program of Zhu et al. Pictures by PIL, resized anew each time, and a DataLoader with two
  workers; contiguous tensors and torch's InstanceNorm; all six translations in one pass, D frozen while G learns; then
  each D on the same fakes, through its history; a square loss against a target of the logits' shape; losses are kept
  as numbers at every hundredth step.

ganzoo plays its `cyclegan` recipe. FLOPs are counted in one step of each; ganzoo makes no more passes than the other.
"""

from __future__ import annotations

import itertools
import random
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from benchmarks import pairs, telling
from benchmarks.dcgan import pictures

COUNT, POOL, CYCLE, IDENTITY = 64, 50, 10.0, 0.5
WIDTH = 64


def generator(size: int, width: int = WIDTH) -> nn.Sequential:
    """The paper's G: (N, 3, size, size) to the same."""
    layers: list[nn.Module] = [nn.ReflectionPad2d(3), nn.Conv2d(3, width, 7), *normalised(width)]
    for wide in (width, 2 * width):
        layers += [nn.Conv2d(wide, 2 * wide, 3, 2, 1), *normalised(2 * wide)]
    layers += [Residual(4 * width) for _ in range(9 if size >= 256 else 6)]
    for wide in (4 * width, 2 * width):
        layers += [nn.ConvTranspose2d(wide, wide // 2, 3, 2, 1, output_padding=1), *normalised(wide // 2)]
    layers += [nn.ReflectionPad2d(3), nn.Conv2d(width, 3, 7), nn.Tanh()]
    return nn.Sequential(*layers).apply(initialise)


class Residual(nn.Module):
    """Two 3x3 convolutions on reflected borders, added to their input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        first = [nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3), *normalised(channels)]
        second = [nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3), nn.InstanceNorm2d(channels)]
        self.layers = nn.Sequential(*first, *second)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = x + self.layers(x)
        return result


def discriminator(width: int = WIDTH) -> nn.Sequential:
    """The paper's D: (N, 3, H, W) to a logit for each patch of 70x70 pixels."""
    layers: list[nn.Module] = [nn.Conv2d(3, width, 4, 2, 1), nn.LeakyReLU(0.2, True)]
    for depth in range(3):
        wide = width << depth
        layers += [nn.Conv2d(wide, 2 * wide, 4, 2 if depth < 2 else 1, 1), nn.InstanceNorm2d(2 * wide)]
        layers.append(nn.LeakyReLU(0.2, True))
    return nn.Sequential(*layers, nn.Conv2d(8 * width, 1, 4, 1, 1)).apply(initialise)


def normalised(channels: int) -> tuple[nn.Module, nn.Module]:
    """InstanceNorm and ReLU, as most layers have."""
    return nn.InstanceNorm2d(channels), nn.ReLU(True)


def initialise(module: nn.Module) -> None:
    """Weights from N(0, 0.02), biases 0."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
        nn.init.zeros_(module.bias)  # type: ignore[arg-type]


class Unpaired(Dataset[tuple[Tensor, Tensor]]):
    """A file of the first folder and a random one of the second, resized, cut and mirrored."""

    def __init__(self, folders: Sequence[Path], size: int, length: int = 100_000) -> None:
        self._files = [sorted(folder.iterdir()) for folder in folders]
        self._length = length
        self._transform = transforms.Compose([
            transforms.Resize(load_size(size), transforms.InterpolationMode.BICUBIC),
            transforms.RandomCrop(size),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize([0.5] * 3, [0.5] * 3),
        ])  # fmt: skip

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        a, b = self._files
        files = a[index % len(a)], b[random.randrange(len(b))]
        first, second = (self._transform(Image.open(file).convert("RGB")) for file in files)
        return first, second


def load_size(size: int) -> int:
    """286 for 256."""
    return size * 286 // 256


def written(folder: Path, size: int, count: int) -> list[Path]:
    """Two folders of pictures that are somewhat larger than they are trained at."""
    folders = [folder / side for side in "ab"]
    for number, picture in enumerate(pictures(load_size(size), 2 * count)):
        place = folders[number % 2]
        place.mkdir(exist_ok=True)
        Image.fromarray(picture.numpy()).save(place / f"{number}.png")
    return folders


class History:
    """Fifty fakes; half of the new ones are exchanged for an old one."""

    def __init__(self) -> None:
        self._kept: list[Tensor] = []

    def __call__(self, fakes: Tensor) -> Tensor:
        judged = []
        for fake in fakes.detach():
            if len(self._kept) < POOL:
                self._kept.append(fake)
            elif random.random() > 0.5:
                place = random.randrange(POOL)
                fake, self._kept[place] = self._kept[place].clone(), fake
            judged.append(fake)
        return torch.stack(judged)


def published(folders: Sequence[Path], size: int, width: int = WIDTH, workers: int = 2) -> pairs.Rival:
    """The published program's step."""
    g_ab, g_ba, d_a, d_b = generator(size, width), generator(size, width), discriminator(width), discriminator(width)
    g_optimizer, d_optimizer = (
        torch.optim.Adam(itertools.chain(*(one.parameters() for one in players)), lr=2e-4, betas=(0.5, 0.999))
        for players in ((g_ab, g_ba), (d_a, d_b))
    )
    square, absolute = nn.MSELoss(), nn.L1Loss()
    histories = History(), History()
    batches = _endless(DataLoader(Unpaired(folders, size), batch_size=1, shuffle=True, num_workers=workers))
    told: dict[str, float] = {}
    steps = 0

    def against(logits: Tensor, target: float) -> Tensor:
        return square(logits, torch.tensor(target).expand_as(logits))

    def generators(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        fake_b, fake_a = g_ab(a), g_ba(b)
        back_a, back_b = g_ba(fake_b), g_ab(fake_a)
        same = CYCLE * IDENTITY * (absolute(g_ab(b), b) + absolute(g_ba(a), a))
        loss = against(d_b(fake_b), 1.0) + against(d_a(fake_a), 1.0) + same
        loss = loss + CYCLE * (absolute(back_a, a) + absolute(back_b, b))
        loss.backward()
        return loss, fake_a, fake_b

    def step() -> None:
        nonlocal steps
        a, b = next(batches)
        judges = (d_a, d_b)
        for judge in judges:
            judge.requires_grad_(False)
        g_optimizer.zero_grad()
        g_loss, *fakes = generators(a, b)
        g_optimizer.step()
        for judge in judges:
            judge.requires_grad_(True)
        d_optimizer.zero_grad()
        losses = []
        for judge, history, real, fake in zip(judges, histories, (a, b), fakes, strict=True):
            losses.append(0.5 * (against(judge(real), 1.0) + against(judge(history(fake)), 0.0)))
            losses[-1].backward()
        d_optimizer.step()
        if steps % 100 == 0:
            told.update(G=g_loss.item(), D_a=losses[0].item(), D_b=losses[1].item())
        steps += 1

    return pairs.Rival("published", step, 1, lambda: list(told.values()), 1.0)


def _endless(loader: DataLoader[tuple[Tensor, Tensor]]) -> Iterator[tuple[Tensor, Tensor]]:
    while True:
        yield from loader


def run(
    size: int,
    plan: pairs.Plan,
    settings: Sequence[str] = (),
    width: int = WIDTH,
    count: int = COUNT,
    workers: int = 2,
) -> object:
    """Measure at one size, and return the summary."""
    with tempfile.TemporaryDirectory() as name:
        folders = written(Path(name), size, count)
        rivals = [published(folders, size, width, workers)]
        alternation = pairs.Alternation(1, rivals, plan, count=True)
        data = [f"data.size={size}", f"data.load_size={load_size(size)}"]
        networks = [f"generator.width={width}", f"discriminator.width={width}"]
        changes = {"data": f"pair:{folders[0]}:{folders[1]}", "set": [*data, *networks, *settings]}
        times = pairs.measure("cyclegan", changes, alternation)
    return telling.summary(f"cyclegan 3x{size}x{size}", "images", times, rivals)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = telling.parser(__doc__)
    parser.add_argument("--size", type=int, default=128, help="of the pictures, 256 in the paper (default 128)")
    parser.add_argument("--width", type=int, default=WIDTH, help="channels of the first maps (default 64)")
    options = parser.parse_args(arguments)
    plan = pairs.prepared(options, warmup=1)
    telling.report([run(options.size, plan, options.set, options.width)], options.json)


if __name__ == "__main__":
    main()
