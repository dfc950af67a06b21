"""The plugin keeps ganzoo's promises, and a run of it can be heard."""

from __future__ import annotations

import wave
from pathlib import Path

import ganzoo
import pytest
import torch
from ganzoo.testing import Case, cases

from ganzoo_wave.wave import Discriminator, Drums, Generator, shuffled

LABEL = torch.zeros(1, dtype=torch.int64)


@pytest.mark.parametrize("case", cases(Path(__file__).parents[1]), ids=str)
def test_plugin_conforms(case: Case) -> None:
    case()


def test_the_networks_have_the_papers_sizes() -> None:
    target = ganzoo.Sample((1, 16384))
    with torch.device("meta"):
        maker, judge = Generator(None, target, 0), Discriminator(None, target, 0)
        assert maker(torch.zeros(1, 100), LABEL).shape == (1, 1, 16384)
    assert maker.dense.out_features == 16 * 1024 and judge.judge.in_features == 16 * 1024
    assert [layer.in_channels for layer in maker.layers] == [1024, 512, 256, 128, 64]
    assert [layer.out_channels for layer in judge.layers] == [64, 128, 256, 512, 1024]


def test_a_shuffled_phase_is_a_shift_mirrored_at_the_ends() -> None:
    torch.manual_seed(0)
    signal = torch.arange(6.0).expand(64, 1, 6)
    rows = {tuple(row) for row in shuffled(signal, 2)[:, 0].tolist()}
    assert rows == {
        (2, 1, 0, 1, 2, 3), (1, 0, 1, 2, 3, 4), (0, 1, 2, 3, 4, 5), (1, 2, 3, 4, 5, 4), (2, 3, 4, 5, 4, 3),
    }  # fmt: skip


def test_a_hat_is_higher_than_a_snare_and_a_snare_than_a_kick() -> None:
    fields, drum = Drums()._draw(300, torch.Generator().manual_seed(0))
    power = torch.fft.rfft(fields["sound"][:, 0]).abs().square()
    pitch = (power * torch.arange(power.shape[1])).sum(1) / power.sum(1)
    kick, snare, hat = (float(pitch[drum == kind].mean()) for kind in range(3))
    assert kick < snare / 2 < hat / 2


def test_a_run_writes_what_can_be_heard(tmp_path: Path) -> None:
    narrow = {"generator.width": 4, "discriminator.width": 4, "data.length": 256, "previews.count": 4}
    run = ganzoo.train("wave", images=320, batch=16, out=tmp_path / "run", device="cpu", progress=False, set=narrow)
    with wave.open(str(tmp_path / "run" / "samples.wav")) as file:
        assert file.getframerate() == 4096 and file.getnframes() == 4 * (256 + 1024)
    assert run.model().interpolate(2, 3, seed=0).shape == (6, 1, 256)


def test_what_is_no_signal_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ganzoo.Incompatible, match=r"signals \(C, T\) of 64"):
        ganzoo.train("wave", data="ring", out=tmp_path, device="cpu", progress=False)
