"""A small model hub on loopback that speaks the Hugging Face Hub's HTTP API.

    with Hub(tmp_path, users={"alice": "hf_alice"}) as hub:
        HfApi(endpoint=hub.url, token="hf_alice").create_repo("alice/dcgan")

Every repository is a bare git repository (loose objects that real git can read); large files are sha256-named objects
that are downloaded from a second origin, as from the Hub's CDN. `Hub.fault` makes requests fail on purpose. Only the
standard library and PyYAML are needed.
"""

import base64
import fnmatch
import functools
import hashlib
import hmac
import json
import os
import re
import secrets
import shutil
import struct
import threading
import time
from http.server import ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, quote, urlencode

from .http import API, FILES, Fault, Handler, route
from .store import Entry, HubError, Repo, card_data, card_problems, iso

MAX_REGULAR_SIZE = 10 * 1024 * 1024
INFO_DEFAULTS = [
    "author", "cardData", "config", "createdAt", "disabled", "downloads", "gated", "lastModified",
    "library_name", "likes", "model-index", "pipeline_tag", "private", "safetensors", "sha", "siblings",
    "spaces", "tags", "usedStorage",
]  # fmt: skip
LIST_DEFAULTS = "createdAt downloads library_name likes pipeline_tag private tags".split()  # noqa: SIM905


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """A client that went away is no error of the server's."""


class Hub:
    """The server: `start()`, `stop()`, or a with block. `log` has (request, status, token sent?) of each."""

    def __init__(self, root, users=None, orgs=None, port=0, xet=None):
        self.root, self.tokens = Path(root), {token: user for user, token in (users or {}).items()}
        self.orgs, self.repos, self.faults, self.log, self.lock = orgs or {}, {}, [], [], threading.RLock()
        self.key, self.xet = secrets.token_bytes(32), xet and xet(self)
        for file in self.root.glob("*/*/*/repo.json"):
            kind, repo_id = file.parts[-4][:-1], "/".join(file.parts[-3:-1])
            self.repos[kind, repo_id] = Repo(self.root, kind, repo_id)
        handler = type("Handler", (Handler,), {"hub": self})
        self.servers = [Server(("127.0.0.1", p), handler) for p in (port, 0)]
        # another host name, as on the Hub: clients tell the origin of large files from the Hub by it
        self.url, self.cdn = (
            f"http://{host}:{s.server_port}" for host, s in zip(("127.0.0.1", "localhost"), self.servers, strict=True)
        )

    def start(self):
        for server in self.servers:
            threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def stop(self):
        for server in self.servers:
            server.shutdown()
            server.server_close()

    __enter__ = start

    def __exit__(self, *exc):
        self.stop()

    def fault(self, pattern, **what):
        self.faults.append(Fault(pattern, **what))

    def take_fault(self, request):
        with self.lock:
            for fault in self.faults:
                if fault.times > 0 and re.search(fault.pattern, request):
                    fault.times -= 1
                    return fault
        return Fault("")

    def names(self, user):
        """The namespaces that a user may write to."""
        return {user, *(org for org, members in self.orgs.items() if user in members)} - {None}

    def repo(self, kind, repo_id, user, write=False, content=False):
        """The repository, or the Hub's error: it never tells whether a repository is private or absent."""
        repo = self.repos.get((kind, repo_id))
        mine = repo_id.split("/")[0] in self.names(user)
        if repo is None or (repo.meta["private"] and not mine):
            raise HubError(404 if user else 401, "Repository not found", "RepoNotFound")
        if write and not mine:
            raise HubError(403 if user else 401, "You don't have the rights to write to this repository")
        if content and repo.meta["gated"] and not mine and user not in repo.meta["granted"]:
            raise HubError(403 if user else 401, f"Access to model {repo_id} is restricted.", "GatedRepo")
        return repo

    # large files

    def object(self, sha256):
        return self.root / "lfs" / sha256[:2] / sha256[2:4] / sha256

    def store(self, sha256, chunks):
        """Store a large file under its hash; it appears only once it is whole and right."""
        path, digest = self.object(sha256), hashlib.sha256()
        path.parent.mkdir(parents=True, exist_ok=True)
        tmp = path.with_name(f".{secrets.token_hex(8)}")
        try:
            with tmp.open("wb") as file:
                for chunk in chunks:
                    digest.update(chunk)
                    file.write(chunk)
            if digest.hexdigest() != sha256:
                raise HubError(400, f"Hash mismatch: got {digest.hexdigest()}, expected {sha256}")
            os.replace(tmp, path)
        finally:
            tmp.unlink(missing_ok=True)

    def signature(self, *parts):
        return hmac.new(self.key, "\n".join(map(str, parts)).encode(), "sha256").hexdigest()

    def signed(self, verb, sha256, **query):
        expires = int(time.time()) + 3600
        query = {**query, "expires": expires, "signature": self.signature(verb, sha256, expires)}
        return f"{self.cdn}/{verb}/{sha256}?{urlencode(query)}"

    def check_signed(self, request, verb, sha256):
        expires = int(request.query.get("expires", ["0"])[0])
        given = request.query.get("signature", [""])[0]
        if expires < time.time() or not hmac.compare_digest(given, self.signature(verb, sha256, expires)):
            raise HubError(403, "The signature of this link is not valid, or has expired")

    # metadata

    def info(self, repo, oid, fields, blobs=False):
        files, readme, meta = repo.files(oid), repo.text(oid, "README.md"), repo.meta
        try:
            card = card_data(readme)
        except ValueError:
            card = {}
        tags = list(card.get("tags") or [])
        for key in ("library_name", "pipeline_tag"):
            tags += [card[key]] if card.get(key) else []
        tags += ["safetensors"] if any(p.endswith(".safetensors") for p in files) else []
        for key, prefix in {"license": "license:", "datasets": "dataset:", "base_model": "base_model:"}.items():
            value = card.get(key) or []
            tags += [prefix + v for v in ([value] if isinstance(value, str) else value)]
        config = repo.text(oid, "config.json")
        commit = repo.commit(oid)
        siblings = [
            {"rfilename": f.path}
            | (
                {"size": f.size, "blobId": f.oid}
                | ({"lfs": {"sha256": f.sha256, "size": f.size, "pointerSize": f.pointer_size}} if f.sha256 else {})
                if blobs
                else {}
            )
            for f in files.values()
        ]
        lazy = {
            "author": lambda: repo.id.split("/")[0],
            "cardData": lambda: card,
            "createdAt": lambda: iso(meta["created"]),
            "config": lambda: json_object(config),
            "disabled": lambda: False,
            "downloads": lambda: meta["downloads"],
            "downloadsAllTime": lambda: meta["downloads"],
            "gated": lambda: meta["gated"],
            "lastModified": lambda: iso(commit["date"]),
            "likes": lambda: meta["likes"],
            "library_name": lambda: card.get("library_name"),
            "model-index": lambda: card.get("model-index"),
            "pipeline_tag": lambda: card.get("pipeline_tag"),
            "private": lambda: meta["private"],
            "safetensors": lambda: self.safetensors(files),
            "sha": lambda: oid,
            "siblings": lambda: siblings,
            "spaces": list,
            "tags": lambda: list(dict.fromkeys(tags)),
            "usedStorage": lambda: sum(f.size for f in files.values()),
            "xetEnabled": lambda: bool(self.xet),
        }
        return {
            "_id": hashlib.md5(repo.id.encode()).hexdigest()[:24],
            "id": repo.id,
            "modelId": repo.id,
            **{key: lazy[key]() for key in fields if key in lazy},
        }

    def safetensors(self, files):
        """{"parameters": {dtype: count}, "total": count} from the headers of the safetensors files."""
        counts = {}
        for entry in files.values():
            if entry.path.endswith(".safetensors") and entry.sha256:
                try:
                    with self.object(entry.sha256).open("rb") as file:
                        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
                    for name, tensor in header.items():
                        if name != "__metadata__":
                            size = functools.reduce(lambda a, b: a * b, tensor["shape"], 1)
                            counts[tensor["dtype"]] = counts.get(tensor["dtype"], 0) + size
                except (OSError, ValueError, struct.error, LookupError, TypeError, AttributeError, MemoryError):
                    return None
        return {"parameters": counts, "total": sum(counts.values())} if counts else None


def json_object(text):
    """The object that a text holds; {} if it holds none."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


@route("GET", "/api/whoami-v2")
def whoami(hub, request):
    if not request.user:
        raise HubError(401, "Invalid username or password.")
    orgs = [
        {"type": "org", "id": name, "name": name, "fullname": name, "roleInOrg": "admin", "isEnterprise": False}
        for name in sorted(hub.names(request.user) - {request.user})
    ]
    return 200, {
        "type": "user",
        "id": request.user,
        "name": request.user,
        "fullname": request.user,
        "isPro": False,
        "orgs": orgs,
        "auth": {"type": "access_token", "accessToken": {"displayName": "t", "role": "write"}},
    }


@route("POST", "/api/validate-yaml")
def validate_yaml(hub, request):
    errors, warnings = card_problems(request.json().get("content", ""))
    headers = {"X-Error-Message": errors[0]["message"].split("\n")[0]} if errors else {}
    return 400 if errors else 200, {"errors": errors, "warnings": warnings}, headers


def named(hub, request, create=False):
    """(kind, id) of the repository that the body of a create or delete request names."""
    body = request.json()
    kind, owner = body.get("type") or "model", body.get("organization") or request.user
    if not request.user:
        raise HubError(401, "Invalid username or password.")
    if create and not re.fullmatch(r"(?!.*(--|\.\.))[\w][\w.\-]{0,95}(?<!\.git)(?<![.\-])", body["name"]):
        raise HubError(400, "Invalid repository name")
    if owner not in hub.names(request.user):
        raise HubError(403, f'You don\'t have the rights to create a {kind} under the namespace "{owner}"')
    return kind, f"{owner}/{body['name']}", body


@route("POST", "/api/repos/create")
def create_repo(hub, request):
    kind, repo_id, body = named(hub, request, create=True)
    url = f"{hub.url}/{'' if kind == 'model' else kind + 's/'}{repo_id}"
    with hub.lock:
        if (kind, repo_id) in hub.repos:
            return 409, {"error": f"You already created this {kind} repo", "url": url}
        repo = Repo(hub.root, kind, repo_id)
        repo.create(request.user, body.get("visibility") == "private" or bool(body.get("private")))
        hub.repos[kind, repo_id] = repo
    return 200, {"url": url, "name": repo_id, "id": repo_id}


@route("DELETE", "/api/repos/delete")
def delete_repo(hub, request):
    kind, repo_id, _ = named(hub, request)
    with hub.lock:
        shutil.rmtree(hub.repo(kind, repo_id, request.user, write=True).path)
        del hub.repos[kind, repo_id]
    return 200, b"OK"


@route("PUT", API + "/settings")
def settings(hub, request, kind, repo_id):
    repo, body = hub.repo(kind, repo_id, request.user, write=True), request.json()
    if "visibility" in body:
        body["private"] = body["visibility"] == "private"
    repo.save(**{key: body[key] for key in ("private", "gated") if key in body})
    return 200, {key: repo.meta[key] for key in ("private", "gated")}


@route("POST", API + "/user-access-request/grant")
def grant(hub, request, kind, repo_id):
    repo = hub.repo(kind, repo_id, request.user, write=True)
    repo.save(granted=sorted({*repo.meta["granted"], request.json()["user"]}))
    return 200, {}


@route("GET", API + r"/auth-check(?P<write>/write)?")
def auth_check(hub, request, kind, repo_id, write):
    hub.repo(kind, repo_id, request.user, write=bool(write), content=True)
    return 200, b""


@route("GET", "/api/(?P<kind>model|dataset|space)s")
def list_repos(hub, request, kind):
    one = {key: values[0] for key, values in request.query.items()}
    fields = request.query.get("expand") or (
        INFO_DEFAULTS if one.get("full") == "true" else LIST_DEFAULTS + ["cardData"] * (one.get("cardData") == "true")
    )
    found = []
    for (repo_kind, repo_id), repo in sorted(hub.repos.items()):
        mine = repo_id.split("/")[0] in hub.names(request.user)
        if repo_kind != kind or (repo.meta["private"] and not mine):
            continue
        info = hub.info(repo, repo.resolve("main"), {*INFO_DEFAULTS, *fields})
        if (
            one.get("search", "").lower() in repo_id.lower()
            and one.get("author", info["author"]) == info["author"]
            and all(tag in info["tags"] for tag in request.query.get("filter", []))
            and one.get("pipeline_tag", info["pipeline_tag"]) == info["pipeline_tag"]
            and ("gated" not in one or (one["gated"] == "true") == bool(info["gated"]))
        ):
            found.append(info)
    found.sort(key=lambda info: str(info.get(one.get("sort", "lastModified")) or "").rjust(30), reverse=True)
    keep = {"_id", "id", "modelId", *fields}
    return request.page([{k: v for k, v in info.items() if k in keep} for info in found])


@route("GET", API + r"(?:/revision/(?P<revision>[^/]+))?")
def repo_info(hub, request, kind, repo_id, revision):
    repo = hub.repo(kind, repo_id, request.user)
    fields = request.query.get("expand") or INFO_DEFAULTS
    return 200, hub.info(repo, repo.resolve(revision or "main"), fields, blobs="blobs" in request.query)


@route("GET", API + "/refs")
def list_refs(hub, request, kind, repo_id):
    repo = hub.repo(kind, repo_id, request.user)
    prs = {"pullRequests": []} if "include_prs" in request.query else {}
    return 200, {"branches": repo.refs("heads"), "tags": repo.refs("tags"), "converts": [], **prs}


@route("GET", API + r"/commits/(?P<revision>[^/]+)")
def list_commits(hub, request, kind, repo_id, revision):
    repo = hub.repo(kind, repo_id, request.user)
    return request.page(
        [
            {
                "id": c["id"],
                "title": c["message"].split("\n")[0],
                "date": iso(c["date"]),
                "message": c["message"].partition("\n\n")[2],
                "authors": [{"user": c["author"]}],
            }
            for c in repo.history(repo.resolve(revision))
        ]
    )


def described(hub, repo, commit_oid, item, expand):
    """A file (an Entry) or a folder (a pair) as the tree and paths-info endpoints describe it."""
    if isinstance(item, Entry):
        lfs = {"lfs": {"oid": item.sha256, "size": item.size, "pointerSize": item.pointer_size}} if item.sha256 else {}
        xet = {"xetHash": hub.xet.file_hash(item.sha256)} if hub.xet and item.sha256 else {}
        found = {"type": "file", "oid": item.oid, "size": item.size, "path": item.path, **lfs, **xet}
        if expand:
            same = None
            for commit in repo.history(commit_oid):
                if repo.files(commit["id"]).get(item.path) != item:
                    break
                same = commit
            found["lastCommit"] = {"id": same["id"], "title": same["message"].split("\n")[0], "date": iso(same["date"])}
            found["securityFileStatus"] = None
        return found
    return {"type": "directory", "oid": item[1], "size": 0, "path": item[0]}


@route("GET", API + r"/tree/(?P<revision>[^/]+)(?:/(?P<path>.*))?")
def list_tree(hub, request, kind, repo_id, revision, path):
    repo = hub.repo(kind, repo_id, request.user)
    oid, prefix = repo.resolve(revision), f"{path}/" if path else ""
    files, folders = repo.tree(repo.commit(oid)["tree"])
    if path and path not in folders:
        raise HubError(404, f'{path} does not exist on "{revision}"', "EntryNotFound")
    flag = {key: request.query.get(key, ["false"])[0].lower() == "true" for key in ("recursive", "expand")}
    items = [*folders.items(), *((p, files[p]) for p in files)]
    items = [
        (p, i)
        for p, i in sorted(items, key=lambda pair: pair[0])
        if p.startswith(prefix) and (flag["recursive"] or "/" not in p[len(prefix) :])
    ]
    return request.page(
        [described(hub, repo, oid, i if isinstance(i, Entry) else (p, i), flag["expand"]) for p, i in items]
    )


@route("POST", API + r"/paths-info/(?P<revision>[^/]+)")
def paths_info(hub, request, kind, repo_id, revision):
    repo, form = hub.repo(kind, repo_id, request.user), parse_qs(request.body().decode())
    oid = repo.resolve(revision)
    files, folders = repo.tree(repo.commit(oid)["tree"])
    expand = form.get("expand", ["false"])[0].lower() == "true"
    return 200, [
        described(hub, repo, oid, files.get(p) or (p, folders[p]), expand)
        for p in (p.strip("/") for p in form.get("paths", []))
        if p in files or p in folders
    ]


@route("POST DELETE", API + r"/(?P<what>branch|tag)/(?P<name>[^/]+)")
def change_ref(hub, request, kind, repo_id, what, name):
    repo, body = hub.repo(kind, repo_id, request.user, write=True), request.json()
    folder = "refs/heads" if what == "branch" else "refs/tags"
    with repo.lock:
        if request.command == "DELETE":
            if not repo.ref(f"{folder}/{name}"):
                raise HubError(404, f"Reference does not exist: {name}", "RevisionNotFound")
            if (what, name) == ("branch", "main"):
                raise HubError(403, "The main branch cannot be deleted")
            (repo.path / folder / name).unlink()
            return 200, b""
        start, name = (body.get("startingPoint", "main"), name) if what == "branch" else (name, body["tag"])
        if repo.ref(f"{folder}/{name}"):
            raise HubError(409, f"Reference already exists: {name}")
        oid = repo.resolve(start)
        repo.set_ref(f"{folder}/{name}", oid)
        return 200, {"name": name, "ref": f"{folder}/{name}", "targetCommit": oid}


# uploads


@route("POST", API + r"/preupload/(?P<revision>[^/]+)")
def preupload(hub, request, kind, repo_id, revision):
    repo = hub.repo(kind, repo_id, request.user, write=True)
    oid = repo.resolve(revision)
    old, answers = repo.files(oid), []
    patterns = [line.split()[0] for line in repo.text(oid, ".gitattributes").splitlines() if "filter=lfs" in line]
    for file in request.json()["files"]:
        path, binary = file["path"], b"\0" in base64.b64decode(file.get("sample", ""))
        lfs = (
            binary
            or file["size"] > MAX_REGULAR_SIZE
            or any(fnmatch.fnmatch(path, p) or fnmatch.fnmatch(path.rsplit("/", 1)[-1], p) for p in patterns)
        )
        entry = old.get(path)
        answers.append(
            {
                "path": path,
                "uploadMode": "lfs" if lfs else "regular",
                "shouldIgnore": False,
                **({"oid": entry.sha256 or entry.oid} if entry else {}),
            }
        )
    return 200, {"files": answers, "commitOid": oid}


@route("POST", FILES + r"\.git/info/lfs/objects/batch")
def lfs_batch(hub, request, kind, repo_id):
    hub.repo(kind or "model", repo_id, request.user, write=True)
    objects = []
    for item in request.json()["objects"]:
        found, size = {"oid": item["oid"], "size": item["size"]}, item["size"]
        if not re.fullmatch("[0-9a-f]{64}", item["oid"]):
            found["error"] = {"code": 422, "message": "Invalid object id"}
        elif not hub.object(item["oid"]).exists():
            verify = f"{hub.url}/{'' if not kind else kind + 's/'}{repo_id}.git/info/lfs/objects/verify"
            found["actions"] = {
                "upload": {"href": hub.signed("upload", item["oid"], size=size), "header": {}},
                "verify": {"href": verify, "header": {}},
            }
        objects.append(found)
    return 200, {"transfer": "basic", "objects": objects}, {"Content-Type": "application/vnd.git-lfs+json"}


@route("PUT", "/upload/(?P<oid>[0-9a-f]{64})")
def lfs_upload(hub, request, oid):
    hub.check_signed(request, "upload", oid)
    hub.store(oid, request.chunks())
    return 200, b""


@route("POST", FILES + r"\.git/info/lfs/objects/verify")
def lfs_verify(hub, request, kind, repo_id):
    hub.repo(kind or "model", repo_id, request.user, write=True)
    body = request.json()
    path = hub.object(body["oid"])
    if not path.exists() or path.stat().st_size != body["size"]:
        raise HubError(404, "The object was not uploaded, or not whole")
    return 200, {}


@route("POST", API + r"/commit/(?P<branch>[^/]+)")
def make_commit(hub, request, kind, repo_id, branch):
    repo = hub.repo(kind, repo_id, request.user, write=True)
    lines = [json.loads(line) for line in request.body().splitlines() if line.strip()]
    if request.query.get("create_pr"):
        raise HubError(501, "This hub has no pull requests")
    header = next((line["value"] for line in lines if line["key"] == "header"), None)
    if not header or not header.get("summary"):
        raise HubError(400, "A commit needs a summary")
    with repo.lock:
        head = repo.ref(f"refs/heads/{branch}")
        if not head:
            raise HubError(404, f"Invalid rev id: {branch}", "RevisionNotFound")
        if not head.startswith(header.get("parentCommit") or ""):
            raise HubError(412, "A commit has happened since. Please refresh and try again.")
        files = {path: entry.oid for path, entry in repo.files(head).items()}
        for line in lines:
            change(hub, repo, files, line["key"], line["value"])
        message = header["summary"] + (f"\n\n{header['description']}" if header.get("description") else "")
        oid = repo.put_commit(files, [head], request.user, message)
        repo.set_ref(f"refs/heads/{branch}", oid)
    prefix = "" if kind == "model" else f"{kind}s/"
    return 200, {
        "success": True,
        "commitOid": oid,
        "commitUrl": f"{hub.url}/{prefix}{repo_id}/commit/{oid}",
        "hookOutput": "",
    }


def change(hub, repo, files, key, value):
    """Carry out one line of a commit on `files`."""
    path = value.get("path", "")
    if key != "header" and (not path or path.startswith("/") or {".git", "..", "."} & set(path.split("/"))):
        raise HubError(400, f"Invalid path: {path}")
    if key == "file":
        data = base64.b64decode(value["content"]) if value.get("encoding") == "base64" else value["content"].encode()
        if len(data) > MAX_REGULAR_SIZE:
            raise HubError(400, f"{path} is too large for a regular file: upload it with LFS")
        if path == "README.md" and (errors := card_problems(data.decode("utf-8", "replace"))[0]):
            raise HubError(400, f"Invalid metadata in README.md: {errors[0]['message']}")
        files[path] = repo.put("blob", data)
    elif key == "lfsFile":
        if not re.fullmatch("[0-9a-f]{64}", value["oid"]) or not hub.object(value["oid"]).exists():
            raise HubError(400, f"The LFS pointer of {path} points to a file that does not exist: {value['oid']}")
        size = hub.object(value["oid"]).stat().st_size
        files[path] = repo.put(
            "blob", f"version https://git-lfs.github.com/spec/v1\noid sha256:{value['oid']}\nsize {size}\n".encode()
        )
    elif key in ("deletedFile", "deletedFolder"):
        gone = [path] if key == "deletedFile" else [p for p in files if p.startswith(path.rstrip("/") + "/")]
        if not gone or gone[0] not in files:
            raise HubError(404, "A file with this name doesn't exist", "EntryNotFound")
        for p in gone:
            del files[p]


# downloads


@route("GET HEAD", FILES + r"/resolve/(?P<revision>[^/]+)/(?P<path>.+)")
def resolve_file(hub, request, kind, repo_id, revision, path):
    repo = hub.repo(kind or "model", repo_id, request.user, content=True)
    oid = repo.resolve(revision)
    entry = repo.files(oid).get(path)
    if not entry:
        raise HubError(404, "Entry not found", "EntryNotFound", X_Repo_Commit=oid)
    headers = {
        "X-Repo-Commit": oid,
        "Accept-Ranges": "bytes",
        "Content-Type": "application/octet-stream",
        "Content-Disposition": f"inline; filename*=UTF-8''{quote(path.rsplit('/', 1)[-1])}",
    }
    if request.command == "GET":
        with repo.lock:
            repo.save(downloads=repo.meta["downloads"] + 1)
    if not entry.sha256:
        return 200, repo.get(entry.oid)[1], headers | {"ETag": f'"{entry.oid}"'}
    if hub.xet:
        headers |= hub.xet.headers(repo.kind, repo_id, oid, entry.sha256)
    return (
        302,
        b"",
        headers
        | {
            "ETag": f'"{entry.oid}"',
            "X-Linked-Etag": f'"{entry.sha256}"',
            "X-Linked-Size": str(entry.size),
            "Location": hub.signed("download", entry.sha256),
        },
    )


@route("GET HEAD", "/download/(?P<oid>[0-9a-f]{64})")
def lfs_download(hub, request, oid):
    hub.check_signed(request, "download", oid)
    return (
        200,
        hub.object(oid),
        {"Accept-Ranges": "bytes", "ETag": f'"{oid}"', "Content-Type": "application/octet-stream"},
    )
