"""A traced update, cut where one stage ends and the next begins: between them others may change what it reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx

MARK = "ganzoo.stage"
"""The profiler's mark under which a stage is traced."""


@dataclass(frozen=True)
class Piece:
    """One stage. graph: a function of the constants, of what the stage is given, and of what it takes.

    takes: values of earlier stages, as they were traced, by name.  leaves: names of those that later stages take; they
    follow the gradients.
    """

    graph: fx.Graph
    takes: dict[str, Tensor]
    leaves: list[str]
    gradients: int

    def examples(self) -> list[Tensor]:
        """Tensors such as it takes, with values of any kind."""
        return [
            torch.empty_strided(one.shape, one.stride(), dtype=one.dtype, device=one.device)
            for one in self.takes.values()
        ]


def cut(graph: fx.Graph, constants: int, given: list[int]) -> list[Piece]:
    """The pieces of a graph that returns a list of gradients for each stage.

    constants: arguments that come first.  given: how many of the others belong to each stage, in order.
    """
    shared, place = _places(graph, constants, given)
    results: Any = graph.output_node().args[0]
    return [_piece(number, shared, place, results[number]) for number in range(len(given))]


def _places(graph: fx.Graph, constants: int, given: list[int]) -> tuple[list[fx.Node], dict[fx.Node, int]]:
    """The nodes that all stages share, and the stage of every other one."""
    arguments = list(graph.find_nodes(op="placeholder"))
    own = iter(arguments[constants:])
    place = {next(own): stage for stage, count in enumerate(given) for _ in range(count)}
    stage = -1
    for node in graph.nodes:
        if "_record_function" in str(node.target):
            stage += node.args[0] == MARK
        elif node.op == "call_function":
            place[node] = stage
    return arguments[:constants], place


def _piece(stage: int, shared: list[fx.Node], place: dict[fx.Node, int], gradients: list[fx.Node]) -> Piece:
    mine = [node for node in place if place[node] == stage]
    wanted = [used for node in mine for used in node.all_input_nodes] + list(gradients)
    takes = dict.fromkeys(node for node in wanted if place.get(node, stage) < stage)
    leaves = [node for node in mine if any(place.get(user, stage) > stage for user in node.users)]
    graph, copies = fx.Graph(), dict[fx.Node, fx.Node]()
    for node in [*shared, *(node for node in mine if node.op == "placeholder"), *takes]:
        copies[node] = graph.placeholder(node.name)
    for node in mine:
        if node.op != "placeholder":
            copies[node] = graph.node_copy(node, copies.__getitem__)
    graph.output([copies[node] for node in [*gradients, *leaves]])
    taken = {node.name: node.meta["val"] for node in takes}
    return Piece(graph, taken, [node.name for node in leaves], len(gradients))
