"""Images at URLs, fetched into a folder within bounds of bytes and time."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from urllib.parse import SplitResult, unquote, urlsplit

from segpipe.inference.targets import fitting
from segpipe.runtime.errors import DataError, ParameterError

MOST_BYTES = 256 << 20  # of one image
SECONDS = 60.0  # for all of one image
_WAIT = 10.0  # seconds for a connection, or for the next bytes
_CHUNK = 1 << 16
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_STRANGE = re.compile(r"[^\w.-]+")
_DIGEST = 8  # hexadecimal digits
_LONGEST = 200  # bytes of a name


def is_url(text: str) -> bool:
    """Return whether a text begins as a URL does; ParameterError where it is of another kind than http."""
    if not _URL.match(text):
        return False
    scheme, _, _ = text.partition("://")
    if scheme.lower() not in ("http", "https"):
        raise ParameterError(
            f"{scheme}:// is not read; give an http or https URL, or download the image first"
        )
    if not _split(text).hostname:
        raise ParameterError(f"{public_text(text)} names no host; write https://HOST/IMAGE")
    return True


def public_text(url: str) -> str:
    """Return a URL for messages: without user, password and query, which may hold secrets."""
    parts = _split(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError as error:
        raise ParameterError("a URL among the inputs is malformed; check its brackets") from error


def names_of(urls: list[str]) -> dict[str, str]:
    """Return a file name for each URL: the last part of its path; equal ones get a digest."""
    plain = {}
    for url in urls:
        last = unquote(_split(url).path.rstrip("/").rpartition("/")[2])
        plain[url] = _STRANGE.sub("_", last).strip("._") or _split(url).hostname or "image"
    counts = Counter(plain.values())
    for url, name in plain.items():
        if counts[name] > 1:
            path = Path(name)
            digest = hashlib.sha256(url.encode()).hexdigest()[:_DIGEST]
            plain[url] = f"{path.stem}-{digest}{path.suffix}"
    return {url: fitting(name, _LONGEST) for url, name in plain.items()}


def download(url: str, target: Path) -> None:
    """Write what a URL gives to the file `target`; redirects to http and https are followed.

    Raises DataError, which names the URL, where it cannot be had within `SECONDS` and `MOST_BYTES`.
    """
    import requests
    from urllib3.exceptions import HTTPError

    try:
        with requests.get(url, stream=True, timeout=_WAIT) as answer:
            if answer.status_code != requests.codes.ok:
                raise DataError(f"the server answers {answer.status_code} {answer.reason}")
            if int(answer.headers.get("Content-Length") or 0) > MOST_BYTES:
                raise DataError(_too_large())
            with target.open("wb") as file:
                for chunk in _chunks(answer):
                    file.write(chunk)
    except DataError as error:
        raise DataError(f"{public_text(url)}: {error}") from error
    # Their texts hold the whole URL.
    except (requests.Timeout, TimeoutError) as error:
        raise DataError(f"{public_text(url)}: no answer within {_WAIT:g} seconds") from error
    except requests.exceptions.InvalidSchema as error:
        raise DataError(f"{public_text(url)}: leads to what is not http or https") from error
    except (requests.RequestException, HTTPError, ValueError) as error:
        cause = type(error).__name__
        raise DataError(f"{public_text(url)}: cannot be downloaded ({cause})") from None


def _chunks(answer: "requests.Response") -> Iterator[bytes]:  # type: ignore[name-defined]  # noqa: F821
    """Yield the bytes as they arrive, decompressed."""
    end, done = monotonic() + SECONDS, 0
    while chunk := answer.raw.read1(_CHUNK, decode_content=True):
        done += len(chunk)
        if done > MOST_BYTES:
            raise DataError(_too_large())
        if monotonic() > end:
            raise DataError(f"is not here after {SECONDS:g} seconds; download it first")
        yield chunk


def _too_large() -> str:
    return f"has more than {MOST_BYTES >> 20} MiB; download it first"
