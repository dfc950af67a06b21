from __future__ import annotations

import io
import re
from types import SimpleNamespace

import pytest
from rich.console import Console

from ganzoo.training.callbacks.progress import Progress

VALUES = {f"loss/{name}": 0.123456 for name in ("D", "G", "D/r1")} | {"D(real)": 0.5, "D(fake)": 0.25, "ada/p": 0.1}


def lines(width: int, images: int = 123_456, total: int = 25_000_000) -> list[str]:
    """What a terminal of this width shows at the end, line by line."""
    file = io.StringIO()
    console = Console(file=file, width=width, height=10, force_terminal=True, color_system=None, legacy_windows=False)
    run = SimpleNamespace(
        images=0, recipe=SimpleNamespace(images=total), over=False, values=lambda: VALUES, callbacks=[]
    )
    bar = Progress(console)
    bar.on_start(run)
    bar._begin -= 100  # seconds ago
    run.images, run.over = images, True
    bar.on_iteration(run)
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", file.getvalue()).replace("\r", "\n")
    return [line.rstrip() for line in shown.splitlines() if "123,456" in line or "img/s" in line]


def test_at_80_columns_count_bar_speed_and_time_left_stay_and_values_go_from_the_right():
    line = lines(80)[-1]
    assert re.match(r"123,456/25,000,000  ━*[ ]*  1,2\d\d img/s  5:3\d:\d\d left  D 0.123", line)
    assert len(line) < 80 and "ada/p" not in line


def test_a_wide_terminal_shows_all():
    assert lines(200)[-1].endswith("D 0.123  G 0.123  D/r1 0.123  D(real) 0.5  D(fake) 0.25  ada/p 0.1")


@pytest.mark.parametrize("width", range(20, 121, 5))
def test_no_width_wraps(width):
    assert all(len(line) < width for line in lines(width))


@pytest.mark.parametrize("width", range(50, 80, 5))
def test_in_a_narrow_terminal_the_bar_becomes_shorter_before_numbers_go(width):
    assert re.match(r"123,456/25,000,000  ━*\s*1,2\d\d img/s  5:3\d:\d\d left", lines(width)[-1])
