"""Networks that are still the same, and those that are not."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from ganzoo.recording.fingerprint import Fingerprint


def network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(2, 3), nn.LeakyReLU(0.2), nn.BatchNorm1d(3), nn.Dropout(0.1))


def values(net: nn.Sequential) -> None:
    with torch.no_grad():
        net[0].weight.add_(1)
        net[2].running_mean.fill_(3)
    net[0].weight.requires_grad_(False)
    net[0].weight.grad = torch.ones(3, 2)


def test_what_tensors_hold_may_change():
    net = network()
    known = Fingerprint([net])
    values(net)
    assert known.still([net])


@pytest.mark.parametrize(
    "change",
    [
        lambda net: setattr(net[0], "weight", nn.Parameter(net[0].weight.detach())),
        lambda net: setattr(net[0].weight, "data", net[0].weight.detach().clone()),
        lambda net: setattr(net[0], "bias", None),
        lambda net: setattr(net[2], "running_mean", torch.zeros(3)),
        lambda net: net.append(nn.ReLU()),
        lambda net: net.__setitem__(1, nn.LeakyReLU(0.2)),
        lambda net: net.__delitem__(3),
        lambda net: net[1].register_buffer("more", torch.zeros(1)),
        lambda net: net[1].register_forward_hook(lambda *_: None),
        lambda net: net[1].register_forward_pre_hook(lambda *_: None),
        lambda net: setattr(net[1], "negative_slope", 0.3),
        lambda net: setattr(net[3], "p", 0.5),
        lambda net: net.eval(),
        lambda net: net[0].register_parameter("scale", nn.Parameter(torch.ones(1))),
    ],
)
def test_what_is_exchanged_added_taken_away_or_set_is_noticed(change):
    net = network()
    known = Fingerprint([net])
    change(net)
    assert not known.still([net])


def test_another_network_is_another_though_it_holds_the_same():
    net = network()
    known = Fingerprint([net])
    assert not known.still([copy.deepcopy(net)]) and not known.still([net, net]) and not known.still([])


def test_what_an_update_itself_changes_is_taken_over_unless_a_recording_reads_it():
    net = network()
    net.updates = 0
    known, read = Fingerprint([net]), {net[0].weight.data_ptr()}
    net.updates += 1
    net[2].running_mean = torch.ones(3)
    known.allow(read)
    assert known.still([net])
    net.updates += 1
    assert known.still([net]), "it counts in Python"
    net[2].running_mean = torch.ones(3)
    assert not known.still([net]), "but now nobody has said that an update did it"
    known.allow(read)
    net[0].weight = nn.Parameter(torch.zeros(3, 2))
    known.allow(read)
    assert not known.still([net])
