"""onnxruntime-web, which runs ONNX files in a browser: fetched once from its npm package, and checked. No torch."""

from __future__ import annotations

import base64
import hashlib
import http.client
import logging
import os
import tarfile
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from ...errors import GanzooError, UsageError, first_line, printable
from ...evaluation import cache_folder
from ...files import read_bounded, write_atomically

log = logging.getLogger("ganzoo")

PACKAGE, VERSION = "onnxruntime-web", "1.30.0"
INTEGRITY = "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
"""sha512 of the package of that version, as npm states it."""
_STANDARD = "https://registry.npmjs.org"
"""Where npm looks unless it is told otherwise, by `npm_config_registry`."""
_MOST_BYTES = 200 * 2**20
_PATIENCE = 60.0

# Under other names: servers of static files know what a .js is, not all of them what an .mjs is.
_ALWAYS = {
    "ort.wasm.js": "ort.wasm.min.mjs",
    "ort.wasm.core.js": "ort-wasm-simd-threaded.mjs",
    "ort.wasm.core.wasm": "ort-wasm-simd-threaded.wasm",
}
_WEBGPU = {
    "ort.webgpu.js": "ort.webgpu.min.mjs",
    "ort.webgpu.core.js": "ort-wasm-simd-threaded.asyncify.mjs",
    "ort.webgpu.core.wasm": "ort-wasm-simd-threaded.asyncify.wasm",
}


@dataclass(frozen=True)
class Runtime:
    """What a page needs of the package. files: contents by their names in the page's folder `runtime`."""

    files: Mapping[str, bytes]

    @property
    def webgpu(self) -> bool:
        """True if it computes on a GPU too, where the browser offers one."""
        return _WEBGPU.keys() <= self.files.keys()


def find_runtime(given: Path | None = None, webgpu: bool = True) -> Runtime:
    """The runtime from a folder or .tgz of the package, by default from the cache, where it is brought once.

    webgpu: whether the part that computes on a GPU is wanted; without it the runtime is a third as large.
    Raises `UsageError` for a folder that has no runtime, `GanzooError` if it cannot be fetched.
    """
    wanted = _ALWAYS | (_WEBGPU if webgpu else {})
    if given is None:
        return Runtime(_unpacked(_cached(), wanted))
    if given.is_file():
        return Runtime(_unpacked(given, wanted))
    folder = next((one for one in (given / "dist", given) if (one / _ALWAYS["ort.wasm.js"]).is_file()), None)
    if folder is None:
        raise UsageError(
            f"--runtime {given} holds no {PACKAGE}: give the package unpacked, or its .tgz as `npm pack` writes it"
        )
    if any(not (folder / name).is_file() for name in _WEBGPU.values()):
        wanted = _ALWAYS
    try:
        return Runtime({name: read_bounded(folder / file, _MOST_BYTES) for name, file in wanted.items()})
    except OSError as error:
        raise UsageError(f"--runtime {given}: {Path(str(error.filename)).name} cannot be read "
                         f"({error.strerror or error})") from error  # fmt: skip


def _unpacked(package: Path, wanted: Mapping[str, str]) -> dict[str, bytes]:
    """The wanted files of a .tgz. Raises `UsageError` for a file that is no such package."""
    found: dict[str, bytes] = {}
    names = {f"package/dist/{file}": name for name, file in wanted.items()}
    try:
        with tarfile.open(package, "r:gz") as archive:
            for member in archive:
                if member.name in names and member.isreg() and member.size <= _MOST_BYTES:
                    file = archive.extractfile(member)
                    found[names[member.name]] = file.read() if file else b""
    except (OSError, EOFError, tarfile.TarError) as error:
        raise UsageError(f"{package} cannot be read as a package of npm ({first_line(error)})") from error
    missing = [file for name, file in wanted.items() if name not in found]
    if missing:
        raise UsageError(f"{package} is no package {PACKAGE} {VERSION}: dist/{missing[0]} is missing")
    return found


def _cached() -> Path:
    """The package in the cache, fetched if it is not there or was damaged."""
    path = cache_folder() / f"{PACKAGE}-{VERSION}.tgz"
    if path.exists():
        if _is_intact(read_bounded(path, _MOST_BYTES)):
            return path
        log.warning("%s is damaged: it is fetched anew", path)
    data = _fetched()
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, data)
    return path


def _is_intact(data: bytes) -> bool:
    return base64.b64encode(hashlib.sha512(data).digest()).decode() == INTEGRITY


def _registry() -> str:
    """The registry that npm is told to use, else its standard one."""
    told = os.environ.get("npm_config_registry") or _STANDARD  # noqa: SIM112, npm writes it in small letters
    if urlsplit(told).scheme not in ("http", "https"):
        raise UsageError(f"npm_config_registry is '{printable(told)}': write a registry's address, https://…")
    return told.rstrip("/")


def _fetched() -> bytes:
    """The package from the registry. Raises `GanzooError` if it cannot be had, or is not what was published."""
    address = _registry()
    registry = urlsplit(address)._replace(netloc=urlsplit(address).netloc.rpartition("@")[2]).geturl()
    advice = f"run `npm pack {PACKAGE}@{VERSION}` where there is a network, and name the file with --runtime"
    log.info("fetching %s %s once from %s", PACKAGE, VERSION, registry)
    try:
        with urllib.request.urlopen(f"{address}/{PACKAGE}/-/{PACKAGE}-{VERSION}.tgz", timeout=_PATIENCE) as answer:
            data: bytes = answer.read(_MOST_BYTES + 1)
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else first_line(error)
        told = f"{PACKAGE} cannot be fetched from {registry} ({printable(str(reason))})"
        raise GanzooError(f"{told}: {advice}") from error
    if not _is_intact(data):
        raise GanzooError(f"what {registry} gives as {PACKAGE} {VERSION} is not what was published, its hash differs: "
                          f"{advice}")  # fmt: skip
    return data
