"""Files that try to make a reader of checkpoints run, import or allocate something, made by hand, opcode by opcode."""

from __future__ import annotations

import io
import pickle
import random
import struct
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from functools import cache

import numpy as np
import torch

STOP, MARK, REDUCE, BUILD, NEWOBJ = b".", b"(", b"R", b"b", b"\x81"
ENCODE = b"c_codecs\nencode\n"
MAGIC = 0x1950A86A20F9469CFC6C

NAMES = [
    "posix system", "builtins eval", "builtins exec", "builtins getattr", "builtins __import__", "subprocess Popen",
    "importlib import_module", "runpy _run_code", "ctypes CDLL", "pickle loads", "operator attrgetter", "torch load",
    "torch.hub load", "numpy load", "numpy memmap", "torch._utils _rebuild_sparse_tensor", "__main__ Mine",
]  # fmt: skip


def text(value: str) -> bytes:
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def raw(value: bytes) -> bytes:
    return b"B" + struct.pack("<I", len(value)) + value


def number(value: int) -> bytes:
    data = pickle.encode_long(value)
    return b"\x8a" + bytes([len(data)]) + data


def name(path: str) -> bytes:
    return b"c" + path.replace(" ", "\n").encode() + b"\n"


def several(*parts: bytes) -> bytes:
    return MARK + b"".join(parts) + b"t"


def call(path: str, *arguments: bytes) -> bytes:
    return name(path) + several(*arguments) + REDUCE


# ---- names and opcodes


def callers() -> Iterator[tuple[str, bytes]]:
    """Every way to call a name."""
    command = text("touch pwned")
    for path in NAMES:
        module, attribute = path.split(" ")
        yield f"reduce {path}", name(path) + several(command) + REDUCE + STOP
        yield f"inst {path}", MARK + command + b"i" + path.replace(" ", "\n").encode() + b"\n" + STOP
        yield f"obj {path}", MARK + name(path) + command + b"o" + STOP
        yield f"stack global {path}", text(module) + text(attribute) + b"\x93" + several(command) + REDUCE + STOP
        yield f"newobj {path}", name(path) + several(command) + NEWOBJ + STOP
        yield f"newobj_ex {path}", name(path) + several(command) + b"}" + b"\x92" + STOP
        yield f"mention {path}", b"]" + name(path) + b"a" + STOP
        yield f"nested {path}", b"}" + text("a") + b"]" + name(path) + several(command) + REDUCE + b"as" + STOP


def opcodes() -> Iterator[tuple[str, bytes]]:
    yield from {
        "ext1": b"\x82\x01.", "ext2": b"\x83\x01\x01.", "ext4": b"\x84\x01\x01\x01\x01.", "persid": b"Pthing\n.",
        "binpersid": text("thing") + b"Q.", "next buffer": b"\x97.", "read-only buffer": b"N\x98.",
        "unknown opcode": b"\xff.", "no stop": b"N", "two values": b"NN.", "open mark": b"(N.", "no value": b".",
        "get of nothing": b"h\x05.", "text get": b"g123456789\n.", "reduce a list": b"]" + several() + b"R.",
        "reduce a number": b"K\x01)R.", "call with a list": name("collections OrderedDict") + b"]R.",
        "build on a number": b"K\x01}b.", "build on a list": b"]}b.", "build on a name": name("numpy dtype") + b"}b.",
        "append to a number": b"K\x01Na.", "append to a tuple": b")Na.", "set a key of a list": b"]NNs.",
        "odd dictionary": b"}(N" + b"u.", "odd dict": b"(Nd.", "add to a list": b"](N\x90.",
        "list as key": b"}]Ns.", "tuple as key": b"})Ns.", "vast key": b"}" + number(1 << 70) + b"Ns.",
        "set of tuples": b"\x8f()\x90.", "frozen set of lists": b"(]\x91.", "vast memo": b"Np99999999999\n.",
        "negative memo": b"Np-1\n.", "state twice": name("argparse Namespace") + b")R}b}b.",
        "keywords that are none": name("argparse Namespace") + b"))\x92.",
        "name of numbers": b"K\x01K\x02\x93.", "name of a megabyte": text("a" * 2**20) + text("b") + b"\x93.",
        "control characters in a name": text("os\x1b[2J\nx") + text("system\x07") + b"\x93.",
    }.items()  # fmt: skip
    for code in (b"a", b"e", b"u", b"s", b"t", b"R", b"b", b"o", b"0", b"1", b"2", b"\x85", b"\x86", b"\x87",
                 b"\x90", b"\x91", b"\x92", b"\x93", b"\x94", b"q\x00", b"d", b"l", b"Q"):  # fmt: skip
        yield f"empty stack {code!r}", b"\x80\x04" + code + STOP


def lengths() -> Iterator[tuple[str, bytes]]:
    """Lengths and numbers far beyond the file."""
    for code, form in ((b"B", "<I"), (b"X", "<I"), (b"T", "<i"), (b"\x8b", "<i"), (b"\x8e", "<Q"), (b"\x8d", "<Q"),
                       (b"\x96", "<Q")):  # fmt: skip
        for size in (2**31 - 1, 2**62):
            if size < 2 ** (8 * struct.calcsize(form)):
                yield f"{code!r} of {size}", code + struct.pack(form, size) + b"abc."
    yield "frame", b"\x80\x04\x95" + struct.pack("<Q", 2**62) + b"K"
    yield "negative long", b"\x8b\xff\xff\xff\xff."
    yield "long of 200 bytes", b"\x8a\xc8" + b"\x7f" * 200 + STOP
    yield "digits", b"I" + b"9" * 100_000 + b"\n."
    yield "digits of a long", b"L" + b"9" * 4000 + b"L\n."


def laughs() -> Iterator[tuple[str, bytes]]:
    """Small files that ask for much work or memory."""
    long_text = text("a" * 10_000)
    yield "encode again and again", (
        ENCODE + b"q\x000" + long_text + b"q\x010" + b"]"
        + b"".join(b"h\x00h\x01" + text("latin1") + b"\x86Ra" for _ in range(2000)) + STOP
    )  # fmt: skip
    yield "a dictionary again and again", (
        name("collections OrderedDict") + b"q\x000"
        + b"](" + b"".join(number(key) + b"N\x86" for key in range(2000)) + b"eq\x010" + b"]"
        + b"".join(b"h\x00h\x01\x85Ra" for _ in range(2000)) + STOP
    )  # fmt: skip
    yield "a key of doubling tuples", b"}" + b"N" + b"2\x86" * 60 + b"Ns."
    yield "millions of opcodes", b"N" + b"N0" * 50_000 + STOP
    yield "millions of sets", b"(" + b"\x8f" * 100_000 + b"t."


# ---- NumPy


def dtype(code: str, *state: bytes) -> bytes:
    made = call("numpy dtype", text(code), b"\x89", b"\x88")
    return made + several(*state) + BUILD if state else made


PLAIN_STATE = (b"K\x03", text("<"), b"N", b"N", b"N", number(-1), number(-1), b"K\x00")


def array(type_: bytes, shape: bytes, data: bytes, cls: str = "numpy ndarray") -> bytes:
    made = call("numpy.core.multiarray _reconstruct", name(cls), several(b"K\x00"), raw(b"b"))
    return made + several(b"K\x01", shape, type_, b"\x89", data) + BUILD


def arrays() -> Iterator[tuple[str, bytes]]:
    floats, address = dtype("f4", *PLAIN_STATE), raw(struct.pack("<Q", 0x4141414141414141))
    for code in ("O8", "O", "S8", "U8", "V8", "M8", "m8", "f16", "c8", "i3", "|O", "i4,O8", ""):
        yield f"type {code!r}", array(dtype(code), several(b"K\x01"), address) + STOP
    for place, value in ((0, b"K\x04"), (1, text("|O")), (2, several(text("O"), several())), (3, several(text("a"))),
                         (4, b"}"), (5, b"K\x08"), (6, b"K\x08"), (7, b"K\x3f")):  # fmt: skip
        state = (*PLAIN_STATE[:place], value, *PLAIN_STATE[place + 1 :])
        yield f"state {place} of a type", array(dtype("i8", *state), several(b"K\x01"), address) + STOP
    yield "state of a type twice", dtype("i8", *PLAIN_STATE) + several(*PLAIN_STATE) + BUILD + STOP
    yield "short state of a type", dtype("i8", b"K\x03") + STOP
    shapes = {
        "vast": several(number(2**40)),
        "beyond": several(b"K\x03"),
        "no tuple": b"N",
        "negative": several(number(-1)),
        "many axes": several(*[b"K\x01"] * 40),
        "half": several(b"G" + b"\0" * 8),
        "true": several(b"\x88"),
        "product": several(*[number(2**40)] * 8),
    }
    for what, shape in shapes.items():
        yield f"shape {what}", array(floats, shape, raw(b"\0" * 8)) + STOP
    yield "no bytes", array(floats, several(b"K\x02"), b"]") + STOP
    yield "objects in a list", array(floats, several(b"K\x02"), b"](NNe") + STOP
    yield "text that is no bytes", array(floats, several(b"K\x01"), text("€")) + STOP
    yield "no type", array(b"N", several(b"K\x01"), raw(b"\0" * 4)) + STOP
    yield "another class", array(floats, several(b"K\x01"), raw(b"\0" * 4), "argparse Namespace") + STOP
    yield "no truth", array(dtype("b1"), several(b"K\x01"), raw(b"\x02")) + STOP
    yield "an array by its class", call("numpy ndarray", several(b"K\x02"), dtype("O8")) + STOP
    yield "scalar of an object", call("numpy.core.multiarray scalar", dtype("O8"), address) + STOP
    yield "scalar of nothing", call("numpy._core.multiarray scalar", dtype("f8"), raw(b"")) + STOP
    yield "buffer", call("numpy._core.numeric _frombuffer", address, floats, several(b"K\x03"), text("C")) + STOP
    yield "encode as code", ENCODE + several(text("a"), text("rot13")) + REDUCE + STOP
    yield "encode a number", ENCODE + several(b"K\x01", text("latin1")) + REDUCE + STOP


# ---- PyTorch


def persistent(kind: str = "torch FloatStorage", key: bytes = text("0"), count: bytes = b"K\x04") -> bytes:
    return several(text("storage"), name(kind), key, text("cpu"), count) + b"Q"


def tensor(held: bytes, offset: bytes = b"K\x00", size: bytes = b"K\x04", stride: bytes = b"K\x01") -> bytes:
    hooks = call("collections OrderedDict")
    arguments = (held, offset, several(size), several(stride), b"\x89", hooks)
    return call("torch._utils _rebuild_tensor_v2", *arguments)


def zipped(members: Mapping[str, bytes], packing: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w", packing) as archive:
        warnings.simplefilter("ignore")
        for path, data in members.items():
            archive.writestr(path.replace("#", ""), data)
    return file.getvalue()


def torch_zip(pickled: bytes, packing: int = zipfile.ZIP_STORED, **members: bytes) -> bytes:
    content = {"x/data.pkl": pickled + STOP, "x/data/0": struct.pack("<4f", 1, 2, 3, 4)}
    return zipped(content | {f"x/{path.replace('__', '/')}": data for path, data in members.items()}, packing)


def tensors() -> Iterator[tuple[str, bytes]]:
    """Tensors that reach beyond their storage, and storages that are not what they claim."""
    bad: dict[str, dict[str, bytes]] = {
        "offset": {"offset": b"K\x01"},
        "vast offset": {"offset": number(2**47)},
        "negative offset": {"offset": number(-1)},
        "true offset": {"offset": b"\x88"},
        "size": {"size": b"K\x05"},
        "vast size": {"size": number(2**47)},
        "negative size": {"size": number(-4)},
        "stride": {"stride": b"K\x02"},
        "negative stride": {"stride": number(-1)},
        "vast stride": {"stride": number(2**47)},
        "expanded": {"size": number(2**40), "stride": b"K\x00"},
        "no size": {"size": b"N"},
        "axes": {"size": b"K\x02K\x02"},
        "axes of a million": {"size": b"K\x01" * 50},
    }
    for what, arguments in bad.items():
        yield f"tensor: {what}", torch_zip(tensor(persistent(), **arguments))
    yield "tensor of a list", torch_zip(tensor(b"]"))
    yield "tensor of an array", torch_zip(tensor(array(dtype("f4"), several(b"K\x01"), raw(b"\0" * 4))))
    yield "parameter of text", torch_zip(call("torch._utils _rebuild_parameter", text("a"), b"\x88", b"}"))
    for what, held in (("longer", persistent(count=b"K\x05")), ("vast", persistent(count=number(2**60))),
                       ("shorter", persistent(count=b"K\x03")), ("missing", persistent(key=text("7"))),
                       ("of doubles", persistent("torch DoubleStorage")), ("of no key", persistent(key=b"]")),
                       ("unknown", persistent("torch QInt8Storage")), ("no storage", persistent("torch device")),
                       ("outside", persistent(key=text("../../etc/passwd")))):  # fmt: skip
        yield f"storage {what}", torch_zip(tensor(held))
    both = b"](" + persistent() + persistent("torch IntStorage") + b"e"
    yield "storage of two types", torch_zip(both)
    yield "persistent text", torch_zip(b"Pabc\n")
    yield (
        "persistent module",
        torch_zip(several(text("module"), name("torch FloatStorage"), text("a"), text("b")) + b"Q"),
    )


def archives() -> Iterator[tuple[str, bytes]]:
    """Zips that are damaged, or that unpack to more than they are."""
    honest = torch_zip(tensor(persistent()))
    zeros = b"\0" * (64 * 2**20)
    many = persistent(count=number(len(zeros) // 4))
    yield "zip bomb as storage", torch_zip(tensor(many), zipfile.ZIP_DEFLATED, data__0=zeros)
    yield "zip bomb as pickle", zipped({"x/data.pkl": b"N0" * 2**20 + zeros}, zipfile.ZIP_DEFLATED)
    yield "bzip2", torch_zip(tensor(persistent()), zipfile.ZIP_BZIP2)
    yield "lzma", torch_zip(tensor(persistent()), zipfile.ZIP_LZMA)
    yield "a member twice", zipped({"x/data.pkl": b"N.", "x/data/0": b"a", "#x/data/0": b"b"})
    yield "two pickles", zipped({"x/data.pkl": b"N.", "y/data.pkl": b"N."})
    yield "no pickle", zipped({"x/data/0": b"N."})
    yield "nothing", zipped({})
    yield "TorchScript", torch_zip(b"N", code__main=b"def forward(self): ...")
    yield "byte order", torch_zip(tensor(persistent()), byteorder=b"middle")
    yield "more after the pickle", zipped({"x/data.pkl": b"N.N."})
    yield "pickle that runs", zipped({"x/data.pkl": call("posix system", text("touch pwned")) + STOP})
    central = honest.index(b"PK\x01\x02")
    end = honest.index(b"PK\x05\x06")

    def patched(place: int, form: str, value: int) -> bytes:
        return honest[:place] + struct.pack(form, value) + honest[place + struct.calcsize(form) :]

    yield "wrong checksum", honest.replace(struct.pack("<4f", 1, 2, 3, 4), struct.pack("<4f", 1, 2, 3, 5))
    yield "encrypted", patched(central + 8, "<H", 1)
    yield "packed size", patched(central + 20, "<I", 2**31)
    yield "size", patched(central + 24, "<I", 2**31)
    yield "place", patched(central + 42, "<I", 2**31)
    yield "place within another", patched(central + 42, "<I", 4)
    yield "directory's size", patched(end + 12, "<I", 2**31)
    yield "directory's place", patched(end + 16, "<I", 2**31)
    yield "local name", patched(26, "<H", 65535)
    yield "half", honest[: len(honest) // 2]
    twins = torch_zip(tensor(persistent()), data__1=struct.pack("<4f", 1, 2, 3, 4))
    *_, first, second = (place for place in range(len(twins)) if twins[place : place + 4] == b"PK\x01\x02")
    shared = twins[: second + 42] + twins[first + 42 : first + 46] + twins[second + 46 :]
    yield "members in the same place", shared


def npz() -> Iterator[tuple[str, bytes]]:
    def npy(header: str, data: bytes = b"\0" * 4) -> bytes:
        return zipped({"a.npy": b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + data})

    fields = "'fortran_order': False, 'shape': "
    yield "npz of objects", npy("{'descr': '|O', " + fields + "(1,), }")
    yield "npz of records", npy("{'descr': [('a', '<f4')], " + fields + "(1,), }")
    yield "npz too short", npy("{'descr': '<f4', " + fields + "(2,), }")
    yield "npz vast", npy("{'descr': '<f4', " + fields + "(" + "9" * 30 + ",), }")
    yield "npz that runs", npy("{'descr': '<f4', " + fields + "(__import__('os').system('touch pwned'),), }")
    yield "npz of digits", npy("{'descr': '<f4', " + fields + "(" + "9" * 3900 + ",), }")
    yield "npz without header", zipped({"a.npy": b"\x93NUMPY"})
    yield "npz of text", zipped({"a.npy": b"hello, I am no array at all"})
    zeros = b"\0" * (64 * 2**20)
    header = ("{'descr': '|u1', " + fields + f"({len(zeros)},), }}").encode()
    bomb = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + zeros
    yield "npz bomb", zipped({"a.npy": bomb}, zipfile.ZIP_DEFLATED)


def legacy_file(
    pickled: bytes, keys: bytes = b"](" + text("0") + b"e", rest: bytes = struct.pack("<q4f", 4, 1, 2, 3, 4),
    magic: int = MAGIC, version: int = 1001, facts: bytes = b"}" + text("little_endian") + b"\x88s",
) -> bytes:  # fmt: skip
    return number(magic) + STOP + number(version) + STOP + facts + STOP + pickled + STOP + keys + STOP + rest


def legacy() -> Iterator[tuple[str, bytes]]:
    honest = tensor(persistent())
    yield "legacy: storage longer than the file", legacy_file(honest, rest=struct.pack("<q", 2**40))
    yield "legacy: storage of 2**62", legacy_file(tensor(persistent(count=number(2**47)), size=number(2**47)))
    yield "legacy: other length", legacy_file(tensor(persistent(count=b"K\x03"), size=b"K\x03"))
    yield "legacy: negative storage", legacy_file(honest, rest=struct.pack("<q", -1))
    yield "legacy: no storage", legacy_file(honest, rest=b"")
    yield "legacy: keys that are none", legacy_file(honest, keys=b"N")
    yield "legacy: key twice", legacy_file(honest, keys=b"](" + text("0") * 2 + b"e")
    yield "legacy: unknown key", legacy_file(honest, keys=b"](" + text("1") + b"e")
    yield "legacy: no key", legacy_file(honest, keys=b"]", rest=b"")
    yield "legacy: more bytes", legacy_file(honest, rest=struct.pack("<q4f", 4, 1, 2, 3, 4) + b"x")
    yield "legacy: version", legacy_file(honest, version=7)
    yield "legacy: other byte order", legacy_file(honest, facts=b"}" + text("little_endian") + b"\x89s")
    yield "legacy: no facts", legacy_file(honest, facts=b"N")
    yield "legacy: two types", legacy_file(b"](" + persistent() + persistent("torch IntStorage") + b"e")
    yield "legacy: only a magic number", number(MAGIC) + STOP
    identifier = several(text("storage"), name("torch FloatStorage"), text("0"), text("cpu"), b"K\x04",
                         several(text("1"), b"K\x03", b"K\x02"))  # fmt: skip
    yield "legacy: part beyond", legacy_file(tensor(identifier + b"Q", size=b"K\x02"))
    code = several(text("module"), name("posix system"), text("a.py"), text("import os; os.mkdir('pwned')")) + b"Q"
    yield "legacy: class with source", legacy_file(code)
    yield "legacy: runs", legacy_file(call("posix system", text("touch pwned")))
    for what, data in (("garbage", b"garbage"), ("a program", call("posix system", text("touch pwned")) + STOP),
                       ("nested again", legacy_file(call("torch.storage _load_from_bytes", raw(b"N.")))),
                       ("no storage", legacy_file(b"N", b"]", b"")), ("nothing", b"")):  # fmt: skip
        yield f"bytes of a storage: {what}", tensor(call("torch.storage _load_from_bytes", raw(data))) + STOP
    yield "bytes of a storage: text", tensor(call("torch.storage _load_from_bytes", text("a"))) + STOP


def made_by_hand() -> dict[str, bytes]:
    """Files that must be refused, by what they try."""
    found: dict[str, bytes] = {"nothing but zeros": b"\0" * 100, "hdf5": b"\x89HDF\r\n\x1a\n", "gzip": b"\x1f\x8b" * 9}
    for source in (callers, opcodes, lengths, laughs, arrays, tensors, archives, npz, legacy):
        for what, data in source():
            assert what not in found, what
            found[what] = data
    return found


# ---- honest files, and what becomes of them by chance


@cache
def honest() -> dict[str, bytes]:
    """Small files as the programs themselves write them."""
    state = OrderedDict(a=torch.arange(6.0).reshape(2, 3), b=torch.tensor([True, False]), c=torch.zeros(3, 0))
    state["t"] = state["a"].t()
    tree = {"g": state, "steps": 3, "rate": 0.5, "names": ["a", "b"], "half": torch.ones(2, dtype=torch.float16)}
    brain = {"w": torch.tensor([1.5, -2.0], dtype=torch.bfloat16), "p": torch.nn.Parameter(torch.ones(2))}
    values = {"f": np.arange(6, dtype=np.float32).reshape(2, 3), "i": np.int64(3), "big": np.arange(3, dtype=">i4")}
    values["fortran"] = np.asfortranarray(values["f"])
    found = {f"pickle {protocol}": pickle.dumps(values, protocol) for protocol in range(6)}
    for what, content in (("tree", tree), ("brain", brain)):
        for zip_ in (True, False):
            file = io.BytesIO()
            torch.save(content, file, _use_new_zipfile_serialization=zip_)
            found[f"torch {what} {'zip' if zip_ else 'legacy'}"] = file.getvalue()
    found["tensors in a plain pickle"] = pickle.dumps(tree)
    for what, write in (("npz", np.savez), ("npz packed", np.savez_compressed)):
        file = io.BytesIO()
        write(file, **values)
        found[what] = file.getvalue()
    return found


def damaged(count: int) -> Iterator[tuple[str, bytes]]:
    """Honest files with bytes changed, taken out, put in, moved or cut off."""
    chance = random.Random(0)
    sources = list(honest().items())
    for index in range(count):
        what, data = sources[index % len(sources)]
        changed = bytearray(data)
        for _ in range(chance.choice([1, 1, 2, 5, 20])):
            if len(changed) < 8:
                break
            place = chance.randrange(len(changed))
            match chance.randrange(5):
                case 0:
                    changed[place] ^= 1 << chance.randrange(8)
                case 1:
                    changed[place] = chance.choice(b"().0128RQPabcdeghijloqrstu}]\x81\x82\x85\x8c\x92\x93\x94\xff\x00")
                case 2:
                    del changed[place : place + chance.choice([1, 4, 40])]
                case 3:
                    changed[place:place] = changed[: chance.choice([1, 8, 60])]
                case _:
                    changed = changed[: max(place, 4)]
        yield f"{what} {index}", bytes(changed)
