from __future__ import annotations

import pytest
import torch

import ganzoo
from ganzoo import DataSpec, Drawn, Sample, Stream, Table, Unpaired
from ganzoo.data.feed import Order, make_feed, normalise

CPU = torch.device("cpu")
PICTURE = DataSpec({"image": Sample((1, 2, 2))}, classes=3)
PAIR = DataSpec({"a": Sample((1, 2, 2)), "b": Sample((1, 1, 1))})
VALUE = DataSpec({"value": Sample((1,), -torch.inf, torch.inf)})


def pictures(count: int) -> torch.Tensor:
    return torch.arange(count * 4, dtype=torch.uint8).reshape(count, 2, 2, 1)


def read_picture(index: int) -> dict[str, torch.Tensor]:
    return {"image": pictures(10)[index]}


FEEDS = {
    "table": lambda: make_feed(Table({"image": pictures(10)}, torch.arange(10) % 3, flip=True), PICTURE, 4, 7, CPU),
    "drawn": lambda: make_feed(Drawn(lambda n, g: ({"value": torch.randn(n, 1, generator=g)}, None)), VALUE, 4, 7, CPU),
    "unpaired": lambda: make_feed(
        Unpaired({"a": Table({"a": pictures(10)}), "b": Table({"b": pictures(7)}, crop=True, flip=True)}),
        PAIR,
        4,
        7,
        CPU,
    ),
    "stream": lambda: make_feed(Stream(10, read_picture, torch.arange(10) % 3, flip=True), PICTURE, 4, 7, CPU),
}


def drawn(feed, batches: int) -> list[torch.Tensor]:
    found = [feed.next() for _ in range(batches)]
    return [torch.cat([*(f.flatten(1) for f in b.fields.values()), b.label[:, None].float()], 1) for b in found]


@pytest.mark.parametrize("kind", FEEDS)
def test_a_feed_goes_on_exactly_from_its_state(kind):
    whole, part = FEEDS[kind](), FEEDS[kind]()
    expected = drawn(whole, 7)
    drawn(part, 3)
    resumed = FEEDS[kind]()
    resumed.load_state_dict(part.state_dict())
    for a, b in zip(expected[3:], drawn(resumed, 4), strict=True):
        assert torch.equal(a, b)


def test_a_stream_gives_the_same_batches_as_a_table_and_as_its_workers():
    table, stream = drawn(FEEDS["table"](), 6), drawn(FEEDS["stream"](), 6)
    workers = make_feed(Stream(10, read_picture, torch.arange(10) % 3, flip=True), PICTURE, 4, 7, CPU, workers=1)
    for a, b, c in zip(table, stream, drawn(workers, 6), strict=True):
        assert torch.equal(a, b) and torch.equal(a, c)


def test_unpaired_fields_each_come_once_in_an_epoch_of_their_own():
    spec = DataSpec({"a": Sample((1, 2, 2), 0, 255), "b": Sample((1, 2, 2), 0, 255)})
    parts = {"a": Table({"a": pictures(10)}), "b": Table({"b": pictures(5)})}
    feed = make_feed(Unpaired(parts), spec, 5, 7, CPU)
    batches = [feed.next() for _ in range(2)]
    first = {name: torch.cat([batch.fields[name][:, 0, 0, 0] / 4 for batch in batches]).tolist() for name in "ab"}
    assert sorted(first["a"]) == list(range(10))
    assert sorted(first["b"][:5]) == sorted(first["b"][5:]) == list(range(5))
    assert first["a"][:5] != first["b"][:5]


@pytest.mark.parametrize("kind", [Table, Stream])
def test_larger_pictures_are_cropped_at_random_everywhere(kind):
    whole = torch.arange(12, dtype=torch.uint8).reshape(1, 3, 4, 1)
    spec = DataSpec({"image": Sample((1, 2, 2), 0, 255)})
    samples = (
        Table({"image": whole}, crop=True)
        if kind is Table
        else Stream(1, lambda index: {"image": whole[index]}, crop=True)
    )
    feed = make_feed(samples, spec, 64, 0, CPU)
    windows = {tuple(window.flatten().tolist()) for window in feed.next().fields["image"]}
    assert windows == {(corner, corner + 1, corner + 4, corner + 5) for corner in (0, 1, 2, 4, 5, 6)}


def test_each_index_comes_once_an_epoch():
    order = Order(10, seed=1)
    indices = torch.cat([order.next(4) for _ in range(5)])
    assert sorted(indices[:10].tolist()) == sorted(indices[10:].tolist()) == list(range(10))
    assert indices[:10].tolist() != indices[10:].tolist()


def test_pixels_span_the_range_of_the_spec():
    pixels = torch.tensor([0, 51, 204, 255], dtype=torch.uint8).reshape(1, 2, 2, 1)
    expected = torch.tensor([-1.0, -0.6, 0.6, 1.0]).reshape(1, 1, 2, 2)
    torch.testing.assert_close(normalise(pixels, Sample((1, 2, 2))), expected)
    torch.testing.assert_close(normalise(pixels, Sample((1, 2, 2), 0.0, 1.0)), (expected + 1) / 2)
    deep = (pixels.to(torch.int32) * 257 + 100).clamp(max=65535).to(torch.uint16)
    within = normalise(deep, Sample((1, 2, 2))) - expected  # what 16 bits say beyond the first eight
    torch.testing.assert_close(within[0, 0, 0], torch.full((2,), 200 / 65535), atol=1e-6, rtol=0)


def test_mirrored_pictures_are_flipped_left_to_right():
    pixels = pictures(2)
    flipped = normalise(pixels, Sample((1, 2, 2), 0, 255), torch.tensor([True, False]))
    assert flipped.flatten(1).tolist() == [[1, 0, 3, 2], [4, 5, 6, 7]]


def test_pictures_arrive_in_channels_last_memory():
    feed = make_feed(Table({"image": pictures(10).expand(10, 2, 2, 3).contiguous()}), PICTURE, 4, 0, CPU)
    assert feed.next().fields["image"].is_contiguous(memory_format=torch.channels_last)


def test_unlabelled_samples_have_zero_labels():
    assert FEEDS["drawn"]().next().label.tolist() == [0, 0, 0, 0]


def test_empty_data_are_refused():
    with pytest.raises(ganzoo.DataError, match="empty"):
        make_feed(Table({"image": pictures(0)}), PICTURE, 4, 0, CPU)


def test_fields_of_different_length_are_refused():
    with pytest.raises(ganzoo.DataError, match="different numbers"):
        make_feed(Table({"a": pictures(3), "b": pictures(4)}), PICTURE, 4, 0, CPU)


def test_a_set_that_changed_since_the_checkpoint_is_refused():
    state = FEEDS["table"]().state_dict()
    other = make_feed(Table({"image": pictures(9)}), PICTURE, 4, 7, CPU)
    with pytest.raises(ganzoo.DataError, match="9 samples, but the run was begun with 10"):
        other.load_state_dict(state)
