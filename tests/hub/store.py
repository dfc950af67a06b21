"""What the server keeps: model repositories as bare git repositories, and what their README says."""

import dataclasses
import functools
import hashlib
import json
import os
import re
import secrets
import threading
import time
import zlib
from datetime import UTC, datetime

import yaml

LFS_SUFFIXES = [
    "7z", "arrow", "bin", "bz2", "ckpt", "ftz", "gz", "h5", "joblib", "lfs.*", "mlmodel", "model", "msgpack",
    "npy", "npz", "onnx", "ot", "parquet", "pb", "pickle", "pkl", "pt", "pth", "rar", "safetensors", "tar",
    "tar.*", "tflite", "tgz", "wasm", "xz", "zip", "zst",
]  # fmt: skip
GITATTRIBUTES = "".join(f"*.{s} filter=lfs diff=lfs merge=lfs -text\n" for s in LFS_SUFFIXES)
POINTER = re.compile(rb"version https://git-lfs\.github\.com/spec/v1\noid sha256:([0-9a-f]{64})\nsize (\d+)\n")
FRONT_MATTER = re.compile(r"\A\s*---[ \t]*\r?\n(.*?)\r?\n---[ \t]*(?:\r?\n|\Z)", re.S)


class HubError(Exception):
    """An error answer; `code` is the X-Error-Code that the client maps to one of its exceptions."""

    def __init__(self, status, message, code=None, **headers):
        super().__init__(message)
        self.status, self.code, self.headers = status, code, headers


def write_atomic(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    tmp = path.with_name(f".{secrets.token_hex(8)}")
    tmp.write_bytes(data)
    os.replace(tmp, path)


def iso(timestamp):
    return datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def card_data(readme):
    """The metadata block of a README; {} if there is none. Raises ValueError on a bad one."""
    match = FRONT_MATTER.match(readme)
    try:
        data = yaml.safe_load(match[1]) if match else {}
    except yaml.YAMLError as exc:
        raise ValueError(f"Invalid YAML: {exc}") from None
    if data is not None and not isinstance(data, dict):
        raise ValueError("The metadata must be a mapping")
    return json.loads(json.dumps(data or {}, default=str))


def card_problems(readme):
    """(errors, warnings) as the Hub's validation of a model card gives them."""
    try:
        data = card_data(readme)
    except ValueError as exc:
        return [{"message": str(exc)}], []
    errors = []
    for key, kinds in {
        "tags": (list,),
        "license": (str, list),
        "language": (str, list),
        "library_name": (str,),
        "pipeline_tag": (str,),
        "datasets": (str, list),
        "model-index": (list,),
    }.items():
        if data.get(key) is not None and not isinstance(data[key], kinds):
            errors.append({"message": f'"{key}" must be a {" or a ".join(k.__name__ for k in kinds)}'})
    return errors, [] if data else [{"message": "empty or missing yaml metadata in repo card"}]


@dataclasses.dataclass(frozen=True)
class Entry:
    path: str
    oid: str
    size: int
    sha256: str | None = None  # set if the file is stored with LFS
    pointer_size: int = 0


class Repo:
    """One repository: a bare git repository plus repo.json."""

    def __init__(self, root, kind, repo_id):
        self.kind, self.id, self.path, self.lock = kind, repo_id, root / f"{kind}s" / repo_id, threading.RLock()

    @functools.cached_property
    def meta(self):
        return json.loads((self.path / "repo.json").read_text())

    def save(self, **changes):
        self.meta = {**self.meta, **changes}
        write_atomic(self.path / "repo.json", json.dumps(self.meta, indent=1).encode())

    def create(self, author, private):
        (self.path / "refs" / "heads").mkdir(parents=True)
        (self.path / "refs" / "tags").mkdir()
        (self.path / "objects").mkdir()
        (self.path / "HEAD").write_text("ref: refs/heads/main\n")
        (self.path / "config").write_text("[core]\n\trepositoryformatversion = 0\n\tbare = true\n")
        self.meta = {
            "private": private,
            "gated": False,
            "granted": [],
            "created": time.time(),
            "downloads": 0,
            "likes": 0,
        }
        self.save()
        attributes = self.put("blob", GITATTRIBUTES.encode())
        self.set_ref("refs/heads/main", self.put_commit({".gitattributes": attributes}, [], author, "initial commit"))

    # git objects

    def put(self, kind, data):
        raw = f"{kind} {len(data)}\0".encode() + data
        oid = hashlib.sha1(raw).hexdigest()
        if not (file := self.path / "objects" / oid[:2] / oid[2:]).exists():
            write_atomic(file, zlib.compress(raw, 1))
        return oid

    def get(self, oid):
        raw = zlib.decompress((self.path / "objects" / oid[:2] / oid[2:]).read_bytes())
        head, _, data = raw.partition(b"\0")
        return head.split()[0].decode(), data

    def put_tree(self, files):
        entries, folders = {}, {}
        for path, oid in files.items():
            name, slash, rest = path.partition("/")
            if slash:
                folders.setdefault(name, {})[rest] = oid
            else:
                entries[name.encode()] = b"100644 " + name.encode() + b"\0" + bytes.fromhex(oid)
        for name, sub in folders.items():
            if name.encode() in entries:
                raise HubError(400, f"'{name}' is both a file and a folder")
            entries[name.encode() + b"/"] = b"40000 " + name.encode() + b"\0" + bytes.fromhex(self.put_tree(sub))
        return self.put("tree", b"".join(entries[k] for k in sorted(entries)))

    def put_commit(self, files, parents, author, message):
        who = f"{author} <{author}@users.noreply.hub.test> {int(time.time())} +0000"
        lines = [
            f"tree {self.put_tree(files)}",
            *(f"parent {p}" for p in parents),
            f"author {who}",
            f"committer {who}",
            "",
            message,
        ]
        return self.put("commit", "\n".join(lines).encode())

    def commit(self, oid):
        head, _, message = self.get(oid)[1].decode().partition("\n\n")
        fields = [line.split(" ", 1) for line in head.split("\n")]
        author, stamp = re.fullmatch(r"(.*) <.*> (\d+) \+0000", dict(fields)["author"]).groups()
        return {
            "id": oid,
            "tree": dict(fields)["tree"],
            "parents": [v for k, v in fields if k == "parent"],
            "author": author,
            "date": int(stamp),
            "message": message,
        }

    @functools.lru_cache(maxsize=64)  # noqa: B019
    def tree(self, oid, prefix=""):
        """{path: Entry} of all files under a tree, and {path: oid} of its folders."""
        files, folders, data = {}, {}, self.get(oid)[1]
        while data:
            head, _, rest = data.partition(b"\0")
            mode, name = head.decode().split(" ", 1)
            path, child, data = prefix + name, rest[:20].hex(), rest[20:]
            if mode == "40000":
                sub_files, sub_folders = self.tree(child, path + "/")
                files, folders = {**files, **sub_files}, {**folders, path: child, **sub_folders}
            else:
                blob = self.get(child)[1]
                lfs = POINTER.fullmatch(blob)
                files[path] = (
                    Entry(path, child, int(lfs[2]), lfs[1].decode(), len(blob))
                    if lfs
                    else Entry(path, child, len(blob))
                )
        return files, folders

    def files(self, commit_oid):
        return self.tree(self.commit(commit_oid)["tree"])[0]

    def text(self, commit_oid, path):
        entry = self.files(commit_oid).get(path)
        return self.get(entry.oid)[1].decode("utf-8", "replace") if entry and not entry.sha256 else ""

    # refs

    def ref(self, name):
        try:
            return (self.path / name).read_text().strip()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            return None

    def set_ref(self, name, oid):
        if not re.fullmatch(r"[\w.\-/]+", name) or re.search(r"\.\.|//|/$|/\.|\.lock$", name):
            raise HubError(400, f"Invalid reference name: {name}")
        write_atomic(self.path / name, f"{oid}\n".encode())

    def refs(self, folder):
        base = self.path / "refs" / folder
        found = sorted(p for p in base.rglob("*") if p.is_file() and not p.name.startswith("."))
        return [
            {
                "name": str(p.relative_to(base)),
                "ref": f"refs/{folder}/{p.relative_to(base)}",
                "targetCommit": p.read_text().strip(),
            }
            for p in found
        ]

    def resolve(self, revision):
        for name in (f"refs/heads/{revision}", f"refs/tags/{revision}", revision if "/" in revision else "refs"):
            if re.fullmatch(r"refs/[\w.\-/]+", name) and ".." not in name and (oid := self.ref(name)):
                return oid
        if re.fullmatch(r"[0-9a-f]{7,40}", revision):
            found = [p.name for p in (self.path / "objects" / revision[:2]).glob(f"{revision[2:]}*")]
            found = [revision[:2] + name for name in found if self.get(revision[:2] + name)[0] == "commit"]
            if len(found) == 1:
                return found[0]
        raise HubError(404, f"Invalid rev id: {revision}", "RevisionNotFound")

    def history(self, oid):
        while oid:
            commit = self.commit(oid)
            yield commit
            oid = commit["parents"][0] if commit["parents"] else None
