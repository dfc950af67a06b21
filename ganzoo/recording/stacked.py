"""One update of many games that differ in nothing but their seeds, as one function over parameters that are stacked.

It is traced in one of the games, and torch.func gives every operation an axis of games. What an update draws is drawn
outside of it, from the random numbers of each game, so that each gets what it would have drawn alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, fx, nn

from ..contract import Draws, Turn
from ..errors import GanzooError, first_line
from .meter import Meter
from .recordings import Given, Stage
from .tracing import quick, traced, with_constants_as_arguments

_MADE = "aten.empty."
"""How operations begin that make memory for others to fill."""
_NORMAL = 16
"""So many normal values torch makes at a time on a CPU; what is left over takes random numbers of its own."""


class Unstackable(GanzooError):
    """Why games are not trained as one."""


@dataclass(frozen=True)
class Computed:
    """An update of all games. Shapes: G games.

    gradients: (G, *shape) each, None where there is none.  logged: scalars, (G,) each, in the order of their names.
    kept: what a look at it starts from.
    """

    gradients: Sequence[Tensor | None]
    logged: Sequence[Tensor]
    kept: Sequence[Any]


class StackedUpdate:
    """The update of one stage. Shapes: G games.

    asks: whether it asks for a batch.  draws: what makes the random tensors of one game's update, in their order.
    learning: which parameters get a gradient.  logged: names of the scalars that it logs.
    seen: names of those that a look at it logs.
    Making it makes the stage, whose effects the caller undoes. Raises `Unstackable`.
    """

    def __init__(
        self,
        stage: Stage,
        look: Callable[[Turn], None],
        given: Given,
        parameters: Sequence[nn.Parameter],
        meter: Meter,
        memory: Memory,
    ) -> None:
        """given: to one game's stage; its batch may turn out not to be asked for.  parameters: of its learners.

        look: adds to the meter what is to be seen of an update once its step is made.
        memory: where parameters and buffers of that game are found among those of all.
        """
        self.logged: list[str] = []
        self.seen: list[str] = []
        self.learning: list[bool] = []
        self.asks = False

        def update(*tensors: Tensor) -> list[Tensor]:
            before = meter.counts.copy()
            turn = stage(given.of(tensors).real, Draws())
            self.asks, logged = turn.drawn is not None, meter.take()
            gradients = [parameter.grad for parameter in parameters]
            look(turn)
            seen = meter.take()
            if (meter.counts - before).total() != len(logged) + len(seen):
                raise RuntimeError("it logs a value twice in an update")
            self.learning = [gradient is not None for gradient in gradients]
            self.logged, self.seen = list(logged), list(seen)
            return [*(one for one in gradients if one is not None), *logged.values(), *seen.values()]

        try:
            module = traced(update, [tensor.detach() for tensor in given.tensors])
            self.draws = _drawn_outside(module.graph)
            graph, constants = with_constants_as_arguments(module)
            examples = [tensor.unsqueeze(0).expand(memory.games, *tensor.shape) for tensor in given.tensors]
            examples += [torch.stack([draw()] * memory.games) for draw in self.draws]
            self._constants = [memory.of(one) for one in constants]
            shared = [one is two for one, two in zip(constants, self._constants, strict=True)]
            self._unread = examples[: len(given.tensors)]
            operations = _over_games(graph, self._constants, shared, examples)
            self._function, self._look = _parted(operations, sum(self.learning) + len(self.logged))
        except Exception as error:  # a part may do anything that cannot be traced, or that has no form for many games
            raise Unstackable(first_line(error)) from error

    @torch.no_grad()
    def __call__(self, given: Sequence[Tensor], draws: Sequence[Tensor]) -> Computed:
        """given, draws: those of all games, (G, *shape)."""
        arguments = [*self._constants, *(given if self.asks else self._unread), *draws]
        found, kept = self._function(*arguments)
        gradients, count = iter(found), sum(self.learning)
        learnt = [next(gradients) if learns else None for learns in self.learning]
        return Computed(learnt, found[count:], [*arguments, *kept])

    @torch.no_grad()
    def look(self, made: Computed) -> Sequence[Tensor]:
        """What is seen of an update after its step: scalars, (G,) each, in the order of their names."""
        return self._look(*made.kept)


class Memory:
    """Tensors of many games in one: each game keeps its own as a view, so that whatever it does to it counts.

    games: how many there are.
    """

    def __init__(self, games: int) -> None:
        self.games = games
        self._stacked: dict[tuple[int, torch.Size], Tensor] = {}

    @torch.no_grad()
    def join(self, tensors: Sequence[Tensor]) -> Tensor:
        """Stack one tensor of each game, (G, *shape), and let each be its part of it."""
        stacked = torch.stack([tensor.detach() for tensor in tensors])
        for tensor, part in zip(tensors, stacked, strict=True):
            tensor.data = part
        self._stacked[_place(tensors[0])] = stacked
        return stacked

    def of(self, constant: Any) -> Any:
        """The stack that a tensor of the first game is part of; what is no game's own, as it is."""
        return self._stacked.get(_place(constant), constant) if isinstance(constant, Tensor) else constant


def _place(tensor: Tensor) -> tuple[int, torch.Size]:
    return tensor.data_ptr(), tensor.shape


def _over_games(
    graph: fx.Graph, constants: Sequence[Any], shared: Sequence[bool], changing: Sequence[Tensor]
) -> fx.Graph:
    """The graph with an axis of games, as plain operations one after the other."""
    axes = [None if one else 0 for one in shared] + [0] * len(changing)
    for node in graph.nodes:
        if node.target == torch.ops.aten._foreach_norm.Scalar:
            node.target = _norms
    one_game = fx.GraphModule(nn.Module(), graph).forward
    all_games = torch.func.vmap(one_game, in_dims=tuple(axes))
    # what an update changes in place is not to change while it is traced
    tried = [one.clone() if isinstance(one, Tensor) else one for one in constants]
    with torch.no_grad():
        module = traced(all_games, [*tried, *changing])
    operations = with_constants_as_arguments(module)
    if operations[1]:
        raise RuntimeError("it keeps tensors of its own")
    for node in operations[0].nodes:
        node.target = quick(node.target)
    return operations[0]


def _norms(tensors: Sequence[Tensor], order: float = 2.0) -> list[Tensor]:
    """Those of a list, one by one, as lists have no form for many games."""
    return [torch.linalg.vector_norm(tensor, order) for tensor in tensors]


def _parted(graph: fx.Graph, count: int) -> tuple[Callable[..., Any], Callable[..., Sequence[Tensor]]]:
    """A function of the graph's arguments that gives its first results and what is kept for the others.

    count: of results that the first gives.  The second function makes the others, from the arguments and what is kept.
    """
    *nodes, output = graph.nodes
    results = output.args[0]
    end = 1 + max(map(nodes.index, results[:count]))
    early, late = nodes[:end], nodes[end:]
    arguments = [node for node in early if node.op == "placeholder"]
    wanted = {*results[count:], *(one for node in late for one in node.all_input_nodes)}
    kept = [node for node in early if node in wanted and node not in arguments]
    return (
        _as_function(arguments, early[len(arguments) :], (results[:count], kept)),
        _as_function([*arguments, *kept], late, results[count:]),
    )


def _as_function(arguments: Sequence[fx.Node], nodes: Sequence[fx.Node], results: Any) -> Callable[..., Any]:
    graph = fx.Graph()
    own = {node: graph.placeholder(node.name) for node in arguments}
    for node in nodes:
        own[node] = graph.node_copy(node, own.__getitem__)
    graph.output(fx.map_arg(results, own.__getitem__))
    return fx.GraphModule(nn.Module(), graph).forward


def _drawn_outside(graph: fx.Graph) -> list[Draw]:
    """Take what draws random numbers out of a graph: it becomes an argument."""
    found = list[Draw]()
    last = [node for node in graph.nodes if node.op == "placeholder"][-1]
    for node in list(graph.nodes):
        if torch.Tag.nondeterministic_seeded not in getattr(node.target, "tags", ()):
            continue
        if any(not str(one.target).startswith(_MADE) or len(one.users) > 1 for one in node.all_input_nodes):
            raise RuntimeError(f"{node.target} draws within the networks")
        found.append(Draw(node))
        with graph.inserting_after(last):
            last = graph.placeholder(f"drawn_{len(found)}")
        node.replace_all_uses_with(last)
        graph.erase_node(node)
    return found


class Draw:
    """What an operation draws, into memory made anew where it fills some. Those of one kind draw alike."""

    def __init__(self, node: fx.Node) -> None:
        made = [partial(quick(one.target), *one.args, **one.kwargs) for one in node.all_input_nodes]
        self._operation, self._target = node.target, quick(node.target)
        self._args: list[Any] = [made.pop(0) if isinstance(one, fx.Node) else one for one in node.args]
        self._kwargs: dict[str, Any] = dict(node.kwargs)
        self.kind = f"{node.target} {self._args} {self._kwargs}"

    def __call__(self) -> Tensor:
        """One random tensor."""
        args = [one() if isinstance(one, partial) else one for one in self._args]
        drawn: Tensor = self._target(*args, **self._kwargs)
        return drawn

    def several(self, count: int) -> Tensor:
        """(count, *shape): what so many calls give one after the other."""
        if not self._in_sequence():
            return torch.stack([self() for _ in range(count)])
        size, *others = self._args
        drawn: Tensor = self._target([count, *size], *others, **self._kwargs)
        return drawn

    def _in_sequence(self) -> bool:
        """True if torch makes the values of one large tensor as it makes those of several, one after the other."""
        normal = self._operation == torch.ops.aten.randn.default and math.prod(self._args[0]) % _NORMAL == 0
        return normal or self._operation == torch.ops.aten.rand.default
