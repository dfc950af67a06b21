"""The client of the Hugging Face Hub: tokens that stay secret, errors in one line. No torch."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from ..errors import GanzooError, HubError, UsageError, printable
from ..models import Reference
from ..version import __version__
from .hubguard import Allowance, Refused, TooSlow, bounded, install

if TYPE_CHECKING:
    from huggingface_hub import HfApi

_tokens: set[str] = set()

Result = TypeVar("Result")


class Unreachable(HubError):
    """The Hub did not answer, or not sensibly: what lies in the cache may do instead."""


class Missing(HubError):
    """The Hub has no such repository or revision, or does not show it."""


def connect(token: str | None = None) -> HfApi:
    """A client for `HF_ENDPOINT`. token: by default that of `hf auth login` or `HF_TOKEN`. Raises `UsageError`."""
    from huggingface_hub import HfApi, get_token

    token = token or get_token()
    if token is not None:
        _tokens.add(token)
        if not re.fullmatch(r"[\x21-\x7e]+", token):
            # the HTTP client would quote the token in its complaint
            raise UsageError("the token has characters that no token has: copy it again")
    install()
    return HfApi(os.environ.get("HF_ENDPOINT"), token or False, library_name="ganzoo", library_version=__version__)


def redact(text: str) -> str:
    """The text without any token that this process has seen."""
    for token in {*_tokens, os.environ.get("HF_TOKEN"), os.environ.get("HUGGING_FACE_HUB_TOKEN")}:
        if token and token.strip():
            text = text.replace(token.strip(), "hf_***")
    return text


def ask(
    api: HfApi, reference: Reference, failed: str, call: Callable[[], Result], allowance: Allowance | None = None
) -> Result:
    """What the client's call returns; what it raises becomes one line saying what was asked, found and is to be done.

    failed: as "cannot be downloaded".  allowance: bytes and time that the call may take.
    Raises `HubError`; `Missing` and `Unreachable` are kinds of it.
    """
    try:
        return bounded(call, allowance or Allowance())
    except GanzooError:
        raise
    except Exception as error:  # the client trips over answers without sense in all sorts of ways
        raise _explain(api, reference, failed, error) from error


def _explain(api: HfApi, reference: Reference, failed: str, error: BaseException) -> HubError:
    from huggingface_hub import errors

    if isinstance(error, errors.LocalEntryNotFoundError) and error.__cause__ is not None:
        error = error.__cause__
    # httpx or httpx2, whichever this version of huggingface_hub speaks
    client: type[Exception] = next(one for one in errors.HfHubHTTPError.__mro__ if one.__name__ == "HTTPError")
    asked, page = str(reference), reference.url(api.endpoint)
    match error:
        case TooSlow():
            return Unreachable(f"{asked} {failed}: {api.endpoint} is too slow, {error}; try again")
        case Refused():
            return HubError(f"{asked} {failed}: {error}; is {api.endpoint} a Hub that you trust?")
        case errors.GatedRepoError():
            return HubError(f"{asked} is gated: ask for access on {page}, then log in with `hf auth login`")
        case errors.RepositoryNotFoundError():
            return Missing(
                f"there is no {reference.kind} {reference.repo_id} on {api.endpoint}, or it is private: "
                "check the name, or log in with `hf auth login`"
            )
        case errors.RevisionNotFoundError():
            return Missing(f"{reference.repo_id} has no revision '{reference.revision}': {page} shows those there are")
        case errors.HfHubHTTPError():
            return _explain_status(asked, failed, error.response.status_code, _line(error))
        case errors.OfflineModeIsEnabled():
            return Unreachable(f"{asked} {failed}: HF_HUB_OFFLINE is set")
        case errors.EntryNotFoundError():
            return HubError(f"{asked} {failed}: {_line(error)}")
        case client():
            return Unreachable(f"{asked} {failed}: {api.endpoint} does not answer ({_line(error)}); try again")
        case RecursionError():
            return HubError(f"{asked} {failed}: the answer of {api.endpoint} is nested too deeply")
        case OSError() | RuntimeError() | ValueError():
            return HubError(f"{asked} {failed}: {_line(error)}; try again")
    said = f"{type(error).__name__}: {_line(error)}"
    return HubError(f"{asked} {failed}: the answer of {api.endpoint} makes no sense ({said})")


def _explain_status(asked: str, failed: str, status: int, line: str) -> HubError:
    if status == 401:
        return HubError(f"{asked} {failed}: the Hub knows no valid token of yours; log in with `hf auth login`")
    if status == 403:
        return HubError(f"{asked} {failed}: your token may not do that ({line})")
    if status == 412:
        return HubError(f"{asked} {failed}: somebody changed it meanwhile; look at what is new and do it again")
    if status == 429 or status >= 500:
        return Unreachable(f"{asked} {failed}: the Hub answers with error {status}; try again later")
    return HubError(f"{asked} {failed}: {line}")


def _line(error: BaseException) -> str:
    """The telling line of an error's text, where a server's own message comes last, and that of its cause."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = printable(lines[-1], 300).rstrip(".") if lines else type(error).__name__
    if isinstance(error, RuntimeError) and error.__cause__ is not None:
        text += f" ({_line(error.__cause__)})"
    return redact(text)
