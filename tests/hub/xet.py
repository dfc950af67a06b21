"""The Xet side of the server: what hf_xet, the client's default for large files, talks to.

hf_xet cuts a file into chunks, packs new chunks into "xorbs", and registers a file with a "shard"
that says which chunks of which xorbs make it up, and its sha256. Here a registered file is put
together, checked, and stored as a large file like any other, so the plain download works as well.
"""

import json
import struct
import time

from .http import API, route
from .store import HubError, write_atomic

FOOTER = b"XETBLOB"
BOOKEND = b"\xff" * 32
WITH_VERIFICATION, WITH_METADATA = 1 << 31, 1 << 30


def hash_text(raw):
    """A hash as Xet writes it: four little-endian numbers."""
    return "".join(f"{number:016x}" for number in struct.unpack("<4Q", raw))


def lz4(data):
    """Decompress an LZ4 frame."""
    flags, out = data[4], bytearray()
    position = 7 + (8 if flags & 8 else 0) + (4 if flags & 1 else 0)
    while size := int.from_bytes(data[position : position + 4], "little"):
        block = data[position + 4 : position + 4 + (size & 0x7FFFFFFF)]
        position += 4 + len(block) + (4 if flags & 16 else 0)
        if size >> 31:
            out += block
        else:
            lz4_block(block, out)
    return bytes(out)


def lz4_block(block, out):
    """Decompress one block onto `out`."""
    i = 0
    while True:
        token = block[i]
        number, i = lz4_length(block, token >> 4, i + 1)
        out += block[i : i + number]
        i += number
        if i >= len(block):
            return
        offset = int.from_bytes(block[i : i + 2], "little")
        number, i = lz4_length(block, token & 15, i + 2)
        start = len(out) - offset
        out += (out[start:] * ((number + 4) // offset + 1))[: number + 4]


def lz4_length(block, number, i):
    """A length that began with `number`, and where it ended; 15 means that more bytes are to be added."""
    if number == 15:
        while True:
            number, i = number + block[i], i + 1
            if block[i - 1] != 255:
                break
    return number, i


def decompress(scheme, data, size):
    if scheme == 0:
        return data
    data = lz4(data)
    if scheme == 2:  # the bytes are grouped by their position modulo 4
        plain, start = bytearray(size), 0
        for i in range(4):
            length = (size + 3 - i) // 4
            plain[i::4], start = data[start : start + length], start + length
        data = bytes(plain)
    return data


def chunk_ends(xorb):
    """The offset of the end of each chunk in a xorb."""
    position, ends = 0, []
    while position < len(xorb) and not xorb.startswith(FOOTER, position):
        if position + 8 > len(xorb):
            raise HubError(400, "The xorb is cut off")
        position += 8 + int.from_bytes(xorb[position + 1 : position + 4], "little")
        ends.append(position)
    if position > len(xorb):
        raise HubError(400, "The xorb is cut off")
    return ends


def unpack(xorb, first, last):
    """The plain bytes of the chunks first..last-1 of a xorb."""
    ends = [0, *chunk_ends(xorb)]
    for start, end in zip(ends[first:last], ends[first + 1 : last + 1], strict=True):
        yield decompress(xorb[start + 4], xorb[start + 8 : end], int.from_bytes(xorb[start + 5 : start + 8], "little"))


def files_of_shard(shard):
    """(file hash, sha256, [(xorb, bytes, first chunk, last chunk)]) of each file of a shard."""
    position = 48
    while (raw := shard[position : position + 32]) != BOOKEND:
        if len(raw) < 32:
            raise HubError(400, "The shard is cut off")
        flags, count = struct.unpack_from("<II", shard, position + 32)
        entries = [struct.unpack_from("<32s4I", shard, position + 48 * (1 + i)) for i in range(count)]
        position += 48 * (1 + count * (2 if flags & WITH_VERIFICATION else 1))
        if not flags & WITH_METADATA:
            raise HubError(400, "The shard has no sha256")
        yield (
            hash_text(raw),
            hash_text(shard[position : position + 32]),
            [(hash_text(xorb), size, first, last) for xorb, _, size, first, last in entries],
        )
        position += 48


class XetStore:
    def __init__(self, hub):
        self.hub, self.root = hub, hub.root / "xet"

    def xorb(self, name):
        return self.root / "xorbs" / name

    def register(self, shard):
        for file_hash, sha256, terms in files_of_shard(shard):
            missing = [xorb for xorb, *_ in terms if not self.xorb(xorb).exists()]
            if missing:
                raise HubError(400, f"The shard names a xorb that was not uploaded: {missing[0]}")
            if not self.hub.object(sha256).exists():
                self.hub.store(
                    sha256,
                    (
                        data
                        for xorb, _, first, last in terms
                        for data in unpack(self.xorb(xorb).read_bytes(), first, last)
                    ),
                )
            write_atomic(self.root / "files" / file_hash, json.dumps(terms).encode())
            write_atomic(self.root / "sha256" / sha256, file_hash.encode())

    def file_hash(self, sha256):
        path = self.root / "sha256" / sha256
        return path.read_text() if path.exists() else None

    def headers(self, kind, repo_id, commit, sha256):
        """What tells the client that it can download a file with Xet."""
        if not (file_hash := self.file_hash(sha256)):
            return {}
        url = f"{self.hub.url}/api/{kind}s/{repo_id}/xet-read-token/{commit}"
        return {"X-Xet-Hash": file_hash, "Link": f'<{url}>; rel="xet-auth"'}

    def token(self, scope):
        expires = int(time.time()) + 3600
        return f"{scope}.{expires}.{self.hub.signature('xet', scope, expires)}", expires

    def check(self, request, scope):
        given = request.headers.get("Authorization", "").removeprefix("Bearer ").split(".")
        if (
            len(given) != 3
            or given[2] != self.hub.signature("xet", *given[:2])
            or int(given[1]) < time.time()
            or (scope == "write") > (given[0] == "write")
        ):
            raise HubError(401, "Bad Xet token")


@route("GET", API + "/xet-(?P<scope>read|write)-token/(?P<revision>[^/]+)")
def xet_token(hub, request, kind, repo_id, scope, revision):
    if not hub.xet:
        raise HubError(404, "This hub has no Xet storage: set HF_HUB_DISABLE_XET=1")
    repo = hub.repo(kind, repo_id, request.user, write=scope == "write", content=True)
    if revision != "None":
        repo.resolve(revision)
    token, expires = hub.xet.token(scope)
    url = f"{hub.url}/xet"
    return (
        200,
        {"casUrl": url, "exp": expires, "accessToken": token},
        {"X-Xet-Cas-Url": url, "X-Xet-Access-Token": token, "X-Xet-Token-Expiration": str(expires)},
    )


@route("POST", "/xet/v1/xorbs/default/(?P<name>[0-9a-f]{64})")
def put_xorb(hub, request, name):
    hub.xet.check(request, "write")
    data = request.body()
    chunk_ends(data)
    write_atomic(hub.xet.xorb(name), data)
    return 200, {"was_inserted": True}


@route("POST", "/xet/v1/shards")
def put_shard(hub, request):
    hub.xet.check(request, "write")
    hub.xet.register(request.body())
    return 200, {"result": 1}


@route("GET", "/xet/v1/reconstructions/(?P<file_hash>[0-9a-f]{64})")
def reconstruction(hub, request, file_hash):
    """Which chunks make up a file, or the wanted range of it, and where to get them."""
    hub.xet.check(request, "read")
    path = hub.xet.root / "files" / file_hash
    if not path.exists():
        raise HubError(404, "File not found")
    terms = json.loads(path.read_text())
    total = sum(size for _, size, _, _ in terms)
    start, _, end = request.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")
    start, end = int(start), min(int(end or total) + 1, total)
    if start >= total:
        raise HubError(416, "Range not satisfiable")
    wanted, position, skip = [], 0, 0
    for term in terms:
        if position < end and position + term[1] > start:
            skip = skip if wanted else start - position
            wanted.append(term)
        position += term[1]
    fetch = {}
    for xorb, _, first, last in wanted:
        ends = [0, *chunk_ends(hub.xet.xorb(xorb).read_bytes())]
        fetch.setdefault(xorb, []).append(
            {
                "range": {"start": first, "end": last},
                "url": hub.signed("xorb", xorb),
                "url_range": {"start": ends[first], "end": ends[last] - 1},
            }
        )
    return 200, {
        "offset_into_first_range": skip,
        "fetch_info": fetch,
        "terms": [
            {"hash": xorb, "unpacked_length": size, "range": {"start": first, "end": last}}
            for xorb, size, first, last in wanted
        ],
    }


@route("GET", "/xorb/(?P<name>[0-9a-f]{64})")
def get_xorb(hub, request, name):
    hub.check_signed(request, "xorb", name)
    return 200, hub.xet.xorb(name), {"Accept-Ranges": "bytes"}
