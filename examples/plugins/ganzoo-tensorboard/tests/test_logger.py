"""The plugin keeps ganzoo's promises, and writes what a run says."""

from __future__ import annotations

from pathlib import Path

import ganzoo
import pytest
from ganzoo.testing import Case, cases
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


@pytest.mark.parametrize("case", cases(Path(__file__).parents[1]), ids=str)
def test_plugin_conforms(case: Case) -> None:
    case()


def test_rows_pictures_and_weights_can_be_read_back(tmp_path: Path) -> None:
    changes = {"generator.widths": [8], "discriminator.widths": [8], "metrics.every": 64, "previews.every": 128}
    run = ganzoo.train(
        "ring",
        images=128,
        batch=32,
        out=tmp_path / "run",
        device="cpu",
        progress=False,
        set={**changes, "callbacks": {"tensorboard-weights": {"every": 64}}},
    )
    events = EventAccumulator(str(run.folder / "tensorboard-weights"), size_guidance={"images": 0, "histograms": 0})
    events.Reload()
    assert [event.step for event in events.Scalars("loss/D")] == [64, 128]
    assert [event.step for event in events.Histograms("G/layers.0.weight")] == [32, 64, 128]
    assert events.Images("samples")[-1].step == 128
