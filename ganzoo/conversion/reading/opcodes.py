"""What each opcode of a pickle does to the machine. No torch here."""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Mapping
from typing import Any

from .machine import Machine
from .parts import Refused, key, mapping
from .stream import Stream

_PUSHED = frozenset(
    {"INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"}
    | {"STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"}
    | {"UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"}
)
_MAX_BITS = 128


def run(machine: Machine, stream: Stream) -> Any:
    """What the pickle that begins at the stream's position holds. Raises `Refused`."""
    for opcode, argument, place in pickletools.genops(stream):  # type: ignore[arg-type]
        machine.budget.step()
        name = opcode.name
        if name in _PUSHED:
            if type(argument) is int and argument.bit_length() > _MAX_BITS:
                raise Refused(f"a number of more than {_MAX_BITS} bits stands at byte {place}")
            machine.stack.append(argument)
            continue
        step = _STEPS.get(name)
        if step is None:
            raise Refused(f"the opcode {name} at byte {place} has no place in a checkpoint")
        try:
            step(machine, argument)
        except (IndexError, KeyError) as error:
            raise Refused(f"the opcode {name} at byte {place} asks for what is not there") from error
    if len(machine.stack) != 1 or machine.below:
        raise Refused("its end leaves more or less than one value")
    return machine.stack.pop()


def _mark(machine: Machine, _: Any) -> None:
    machine.below.append(machine.stack)
    machine.stack = []


def _tuple_of(count: int) -> Callable[[Machine, Any], None]:
    def push(machine: Machine, _: Any) -> None:
        stack = machine.stack
        machine.stack[-count:] = [tuple([stack[place] for place in range(-count, 0)])]

    return push


def _made(make: Callable[[list[Any]], Any]) -> Callable[[Machine, Any], None]:
    """A container of what lies above the mark."""

    def push(machine: Machine, _: Any) -> None:
        values = machine.marked()
        machine.stack.append(make(values))

    return push


def _reduce(machine: Machine, _: Any) -> None:
    arguments = machine.stack.pop()
    machine.stack[-1] = machine.call(machine.stack[-1], arguments)


def _new_with_keywords(machine: Machine, _: Any) -> None:
    keywords, arguments = machine.stack.pop(), machine.stack.pop()
    machine.stack[-1] = machine.call(machine.stack[-1], arguments, keywords)


def _instance(machine: Machine, argument: str) -> None:
    arguments = tuple(machine.marked())
    machine.refer(*argument.split(" ", 1))
    _reduce_with(machine, arguments)


def _object(machine: Machine, _: Any) -> None:
    cls, *arguments = machine.marked() or [None]
    machine.stack.append(cls)
    _reduce_with(machine, tuple(arguments))


def _reduce_with(machine: Machine, arguments: tuple[Any, ...]) -> None:
    machine.stack[-1] = machine.call(machine.stack[-1], arguments)


def _global(machine: Machine, argument: str) -> None:
    machine.refer(*argument.split(" ", 1))


def _stack_global(machine: Machine, _: Any) -> None:
    name, module = machine.stack.pop(), machine.stack.pop()
    machine.refer(module, name)


def _persistent(machine: Machine, argument: Any) -> None:
    identifier = machine.stack.pop() if argument is None else argument
    if machine.persistent is None:
        raise Refused("it asks for a persistent object, which only PyTorch's files have")
    machine.stack.append(machine.persistent(identifier))


_STEPS: Mapping[str, Callable[[Machine, Any], Any]] = {
    "NONE": lambda machine, _: machine.stack.append(None),
    "NEWTRUE": lambda machine, _: machine.stack.append(True),
    "NEWFALSE": lambda machine, _: machine.stack.append(False),
    "PROTO": lambda machine, _: None,
    "FRAME": lambda machine, _: None,
    "STOP": lambda machine, _: None,
    "MARK": _mark,
    "POP": lambda machine, _: machine.stack.pop() if machine.stack else machine.marked(),
    "POP_MARK": lambda machine, _: machine.marked(),
    "DUP": lambda machine, _: machine.stack.append(machine.stack[-1]),
    "EMPTY_LIST": lambda machine, _: machine.stack.append([]),
    "EMPTY_DICT": lambda machine, _: machine.stack.append({}),
    "EMPTY_SET": lambda machine, _: machine.stack.append(set()),
    "EMPTY_TUPLE": lambda machine, _: machine.stack.append(()),
    "TUPLE1": _tuple_of(1),
    "TUPLE2": _tuple_of(2),
    "TUPLE3": _tuple_of(3),
    "TUPLE": _made(tuple),
    "LIST": _made(list),
    "DICT": _made(mapping),
    "FROZENSET": _made(lambda values: frozenset(map(key, values))),
    "APPEND": lambda machine, _: machine.extend([machine.stack.pop()]),
    "APPENDS": lambda machine, _: machine.extend(machine.marked()),
    "SETITEM": lambda machine, _: machine.update([machine.stack.pop(), machine.stack.pop()][::-1]),
    "SETITEMS": lambda machine, _: machine.update(machine.marked()),
    "ADDITEMS": lambda machine, _: machine.add(machine.marked()),
    **dict.fromkeys(["PUT", "BINPUT", "LONG_BINPUT"], lambda machine, place: machine.remember(place)),
    "MEMOIZE": lambda machine, _: machine.remember(len(machine.memo)),
    **dict.fromkeys(["GET", "BINGET", "LONG_BINGET"], lambda machine, place: machine.stack.append(machine.memo[place])),
    "GLOBAL": _global,
    "STACK_GLOBAL": _stack_global,
    "INST": _instance,
    "OBJ": _object,
    "REDUCE": _reduce,
    "NEWOBJ": _reduce,
    "NEWOBJ_EX": _new_with_keywords,
    "BUILD": lambda machine, _: machine.build(),
    "PERSID": _persistent,
    "BINPERSID": _persistent,
}
"""What each opcode does; those that extend the language (EXT1, NEXT_BUFFER …) are missing on purpose."""
