"""One update of many games that differ in nothing but their seeds, as one function over parameters that are stacked.

It is traced in one of the games, and torch.func gives every operation an axis of games. What an update draws is drawn
outside of it, from the random numbers of each game, so that each gets what it would have drawn alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, fx, nn

from ..contract import Draws
from ..errors import GanzooError, first_line
from .meter import Meter
from .recordings import Given, Stage
from .tracing import quick, traced, with_constants_as_arguments

Gradients = Sequence[Tensor | None]
_MADE = "aten.empty."
"""How operations begin that make memory for others to fill."""


class Unstackable(GanzooError):
    """Why games are not trained as one."""


class StackedUpdate:
    """The update of one stage. Shapes: G games.

    asks: whether it asks for a batch.  draws: by number, what makes the random tensors of one game's update.
    logged: names of the scalars that it logs.  learning: which parameters get a gradient.
    Making it makes the stage, whose effects the caller undoes. Raises `Unstackable`.
    """

    def __init__(
        self, stage: Stage, given: Given, parameters: Sequence[nn.Parameter], meter: Meter, memory: Memory
    ) -> None:
        """given: to one game's stage; its batch may turn out not to be asked for.  parameters: of its learners.

        memory: where parameters and buffers of that game are found among those of all.
        """
        self.logged: list[str] = []
        self.learning: list[bool] = []
        self.asks = False

        def update(*tensors: Tensor) -> list[Tensor]:
            before = meter.counts.copy()
            turn = stage(given.of(tensors).real, Draws())
            self.asks, logged = turn.drawn is not None, meter.take()
            self.learning = [parameter.grad is not None for parameter in parameters]
            if (meter.counts - before).total() != len(logged):
                raise RuntimeError("it logs a value twice in an update")
            self.logged = list(logged)
            return [*(parameter.grad for parameter in parameters if parameter.grad is not None), *logged.values()]

        try:
            module = traced(update, [tensor.detach() for tensor in given.tensors])
            self.draws = _drawn_outside(module.graph)
            graph, constants = with_constants_as_arguments(module)
            examples = [tensor.unsqueeze(0).expand(memory.games, *tensor.shape) for tensor in given.tensors]
            examples += [torch.stack([draw()] * memory.games) for draw in self.draws]
            self._constants = [memory.of(one) for one in constants]
            shared = [one is two for one, two in zip(constants, self._constants, strict=True)]
            self._unread = examples[: len(given.tensors)]
            self._function = _over_games(graph, self._constants, shared, examples)
        except Exception as error:  # a part may do anything that cannot be traced, or that has no form for many games
            raise Unstackable(first_line(error)) from error

    @torch.no_grad()
    def __call__(self, given: Sequence[Tensor], draws: Sequence[Tensor]) -> tuple[Gradients, Sequence[Tensor]]:
        """Gradients, (G, *shape) or None each, and logged scalars, (G,) each, in the order of `logged`.

        given, draws: those of all games, (G, *shape).
        """
        found = self._function(*self._constants, *(given if self.asks else self._unread), *draws)
        gradients, count = iter(found), sum(self.learning)
        return [next(gradients) if learns else None for learns in self.learning], found[count:]


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
) -> Callable[..., Sequence[Tensor]]:
    """The graph's function with an axis of games, as plain operations one after the other."""
    axes = [None if one else 0 for one in shared] + [0] * len(changing)
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
    return fx.GraphModule(nn.Module(), operations[0]).forward


def _drawn_outside(graph: fx.Graph) -> list[Callable[[], Tensor]]:
    """Take what draws random numbers out of a graph: it becomes an argument, and what is returned makes it."""
    found = list[Callable[[], Tensor]]()
    last = [node for node in graph.nodes if node.op == "placeholder"][-1]
    for node in list(graph.nodes):
        if torch.Tag.nondeterministic_seeded not in getattr(node.target, "tags", ()):
            continue
        if any(not str(one.target).startswith(_MADE) or len(one.users) > 1 for one in node.all_input_nodes):
            raise RuntimeError(f"{node.target} draws within the networks")
        found.append(_maker(node))
        with graph.inserting_after(last):
            last = graph.placeholder(f"drawn_{len(found)}")
        node.replace_all_uses_with(last)
        graph.erase_node(node)
    return found


def _maker(node: fx.Node) -> Callable[[], Tensor]:
    """What an operation draws, into memory made anew where it fills some."""
    if not node.all_input_nodes:
        return partial(quick(node.target), *node.args, **node.kwargs)
    target, args, kwargs = quick(node.target), node.args, node.kwargs

    def fresh(one: Any) -> Any:
        return one.target(*one.args, **one.kwargs) if isinstance(one, fx.Node) else one  # type: ignore[operator]

    return lambda: target(*map(fresh, args), **kwargs)
