"""An answer of the site, read as it comes."""

import re
from collections.abc import Iterator

import requests
import urllib3

from segpipe.sources.download.faults import SiteError, TransientError, network_fault
from segpipe.sources.download.halt import Halt

_CHUNK = 1 << 18
_TELLING = 64  # bytes
_LONGEST_TEXT = 1 << 20
_RANGE = re.compile(r"bytes\s+(?:(\d+)-(\d+)|\*)/(\d+|\*)", re.IGNORECASE)


class Body:
    """The bytes of one answer. The first of them can be looked at before the rest is read."""

    def __init__(self, response: requests.Response, host: str, halt: Halt) -> None:
        self.response = response
        self._host = host
        self._halt = halt
        self._first: bytes | None = None

    def first(self) -> bytes:
        """Return the first bytes, enough to tell what it is; they still come out of `chunks`.

        Raises TransientError when cut before.
        """
        if self._first is None:
            first = self._read()
            while first and len(first) < _TELLING and (more := self._read()):
                first += more
            self._first = first
        return self._first

    def is_web_page(self) -> bool:
        """Return whether the content is HTML, whatever the headers call it."""
        return self.first().lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes as they arrive, once. Raises TransientError when cut, or StoppedError."""
        chunk = self.first()
        while chunk:
            yield chunk
            chunk = self._read()

    def text(self) -> str:
        """Return the whole as text. Raises TransientError when it is longer than any list would be."""
        content = b""
        for chunk in self.chunks():
            content += chunk
            if len(content) > _LONGEST_TEXT:
                raise TransientError(
                    f"{self._host} sends something endless where a short text was due"
                )
        return content.decode(errors="replace")

    def extent(self) -> tuple[int, int | None]:
        """Return where the first byte lies in the file, and the size of the file where it is told.

        After status 416 the first is the size itself. Raises TransientError when the headers of a part
        make no sense (RFC 9110, 14.4).
        """
        headers = self.response.headers
        if self.response.status_code == 200:
            length = headers.get("Content-Length", "")
            return 0, int(length) if length.isdecimal() else None
        found = _RANGE.fullmatch(headers.get("Content-Range", "").strip())
        size = None if found is None or found[3] == "*" else int(found[3])
        if self.response.status_code == 416:
            return size or 0, size
        if found is None or found[1] is None:
            raise TransientError(f"{self._host} sends a part of the file without saying which")
        return int(found[1]), size

    def _read(self) -> bytes:
        """Return what has arrived, at least a byte, or nothing at the end."""
        fault: TransientError | SiteError
        try:
            chunk: bytes = self.response.raw.read1(_CHUNK, decode_content=True) or b""
        except (urllib3.exceptions.HTTPError, OSError) as error:
            fault = network_fault(error, self._host)
        else:
            self._halt.check()
            return chunk
        self._halt.check()
        raise fault
