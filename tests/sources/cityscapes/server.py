"""A web server that behaves like the site of Cityscapes, and misbehaves when told to."""

import contextlib
import hashlib
import io
import json
import random
import re
import socket
import ssl
import threading
import traceback
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, quote, quote_plus, urlsplit

import pytest
import requests
from urllib3.exceptions import HTTPError

from segpipe.runtime.errors import SegpipeError
from segpipe.sources.cityscapes import faults, site
from segpipe.sources.cityscapes.download import download

USERNAME, PASSWORD = "ada@example.org", "correct horse/battery+staple&"
COOKIE = "PHPSESSID"


def archive(seed: int, count: int = 200_000) -> bytes:
    """A real zip archive of about so many bytes that do not shrink."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_STORED) as file:
        file.writestr("leftImg8bit/train/a/a.png", random.Random(seed).randbytes(count))
    return held.getvalue()


@dataclass
class Fault:
    """What the server does instead, once, at the next matching request.

    status: answer with it at once. headers: with these. body: and this content, in one piece or, with
    drip, a byte and then so many seconds nothing. cut: send only so
    many bytes of the file and close. stall: send so many bytes and then nothing until `resume` is
    set (the rest follows) or the server ends. plain: ignore Range. garbage: flip a byte. expire:
    forget all sessions first.
    """

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    drip: float = 0.0
    cut: int | None = None
    stall: int | None = None
    plain: bool = False
    garbage: bool = False
    expire: bool = False


@dataclass
class Seen:
    """One request: what was asked and what was given."""

    method: str
    path: str
    headers: dict[str, str]
    form: dict[str, str]
    status: int = 0
    sent: int = 0


class CityscapesSite:
    """The site; a context that serves while it is open. `packages`: content by file name."""

    def __init__(self, packages: dict[str, bytes], certificate: Path | None = None) -> None:
        self.packages = packages
        self.digests: dict[str, str | None] = {
            name: hashlib.md5(content).hexdigest() for name, content in packages.items()
        }
        self.sizes = {name: f"{len(content) / 1024:.0f}KB" for name, content in packages.items()}
        self.list_text: str | None = None
        self.password = PASSWORD
        self.sessions: set[str] = set()
        self.seen: list[Seen] = []
        self.faults: dict[str, list[Fault]] = {}
        self.labels: dict[str, dict[str, str]] = {}  # headers that answers under a path have always
        self.chunked = False
        self.ended = threading.Event()
        self.lock = threading.Lock()
        self.stalled = threading.Event()
        self.resume = threading.Event()
        self.connections: set[socket.socket] = set()
        site = self

        class Handler(_Handler):
            pass

        Handler.site = site
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = False
        self._server.block_on_close = True
        self._scheme = "http"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
            self._scheme = "https"
        self._server.handle_error = lambda *_about: None  # type: ignore[method-assign]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    @property
    def address(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> "CityscapesSite":
        self._thread.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.ended.set()
        self.resume.set()
        self._server.shutdown()
        with self.lock:
            for connection in self.connections:  # kept alive by clients that may come back
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        self._server.server_close()
        self._thread.join()

    def next(self, path: str, *faults: Fault) -> None:
        """Have the next requests whose path and query begin with `path` meet these faults."""
        self.faults.setdefault(path, []).extend(faults)

    def file_path(self, name: str) -> str:
        return f"/file-handling/?packageID={self.number(name)}"

    def number(self, name: str) -> int:
        return list(self.packages).index(name) + 1

    def requests(self, path: str) -> list[Seen]:
        return [seen for seen in self.seen if seen.path.startswith(path)]

    def bytes_sent(self) -> int:
        return sum(seen.sent for seen in self.requests("/file-handling/"))

    def statuses(self, path: str) -> Counter[int]:
        return Counter(seen.status for seen in self.requests(path))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    site: CityscapesSite
    timeout = 5

    def setup(self) -> None:
        super().setup()
        with self.site.lock:
            self.site.connections.add(self.connection)

    def finish(self) -> None:
        with self.site.lock:
            self.site.connections.discard(self.connection)
        super().finish()

    def end_headers(self) -> None:
        for path, headers in self.site.labels.items():
            if self.path.startswith(path):
                for name, value in headers.items():
                    self.send_header(name, value)
        super().end_headers()

    def log_message(self, *_arguments: Any) -> None:
        return

    def do_GET(self) -> None:
        self._begin({})
        fault = self._fault()
        if fault is not None and fault.status is not None:
            return self._answer(fault.status, fault.body, fault.headers, fault.drip)
        path = urlsplit(self.path).path
        if path == "/login":
            return self._answer(200, b"<html>login form</html>", {"Set-Cookie": f"{COOKIE}=guest"})
        if not self._logged_in():
            return self._answer(302, b"", {"Location": "/login"})
        if path == "/downloads/" and self.path.endswith("?list"):
            return self._answer(200, self._list().encode())
        name = self._package()
        if name is None:
            return self._answer(404, b"<html>not found</html>")
        if path == "/md5-sum/":
            digest = self.site.digests[name]
            return self._answer(404 if digest is None else 200, f"{digest}  {name}\n".encode())
        if path == "/file-handling/":
            return self._file(name, fault or Fault())
        return self._answer(404, b"<html>not found</html>")

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", "0"))
        form = {k: v[0] for k, v in parse_qs(self.rfile.read(length).decode()).items()}
        self._begin(form)
        fault = self._fault()
        if fault is not None and fault.status is not None:
            return self._answer(fault.status, fault.body, fault.headers, fault.drip)
        right = {"username": USERNAME, "password": self.site.password, "submit": "Login"}
        if form != right:
            return self._answer(200, b"<html>wrong username or password</html>")
        with self.site.lock:
            token = f"session-cookie-{len(self.site.seen)}"
            self.site.sessions.add(token)
        cookie = f"{COOKIE}={token}; path=/; HttpOnly"
        return self._answer(302, b"moved", {"Location": "/downloads/", "Set-Cookie": cookie})

    def _begin(self, form: dict[str, str]) -> None:
        self.record = Seen(self.command, self.path, dict(self.headers), form)
        with self.site.lock:
            self.site.seen.append(self.record)

    def _fault(self) -> Fault | None:
        with self.site.lock:
            for path, faults in self.site.faults.items():
                if self.path.startswith(path) and faults:
                    fault = faults.pop(0)
                    if fault.expire:
                        self.site.sessions.clear()
                    return fault
        return None

    def _logged_in(self) -> bool:
        found = re.search(rf"{COOKIE}=([^;]+)", self.headers.get("Cookie", ""))
        with self.site.lock:
            return found is not None and found[1] in self.site.sessions

    def _list(self) -> str:
        if self.site.list_text is not None:
            return self.site.list_text
        rows = ", ".join(
            f'{{"name": "{name}", "packageID": "{self.site.number(name)}", '
            f'"size": "{self.site.sizes[name]}", "thirdparty": "0"}}'
            for name in self.site.packages
        )
        return f"[{rows}]"

    def _package(self) -> str | None:
        number = parse_qs(urlsplit(self.path).query).get("packageID", ["0"])[0]
        names = list(self.site.packages)
        return names[int(number) - 1] if 0 < int(number) <= len(names) else None

    def _answer(
        self, status: int, body: bytes, headers: dict[str, str] | None = None, drip: float = 0.0
    ) -> None:
        self.record.status = status
        self.send_response(status)
        kind = "text/html; charset=UTF-8"  # as PHP calls everything that nobody named
        given = {"Content-Type": kind, "Content-Length": str(len(body)), **(headers or {})}
        for name, value in given.items():
            self.send_header(name, value)
        self.end_headers()
        if not drip:
            self.wfile.write(body)
            return
        for value in body:
            self.wfile.write(bytes([value]))
            self.wfile.flush()
            if self.site.ended.wait(drip):
                return

    def _file(self, name: str, fault: Fault) -> None:
        content = self.site.packages[name]
        if fault.garbage:
            content = content[:1000] + bytes([content[1000] ^ 1]) + content[1001:]
        start = 0
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        headers = {"Content-Type": "application/octet-stream", **fault.headers}
        status = 200
        if asked and not fault.plain:
            start, status = int(asked[1]), 206
            if start >= len(content):
                self._answer(416, b"", {"Content-Range": f"bytes */{len(content)}"})
                return
            headers.setdefault("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.record.status = status
        self.send_response(status)
        if self.site.chunked:
            headers["Transfer-Encoding"] = "chunked"
        else:
            headers["Content-Length"] = str(len(content) - start)
        for key, value in headers.items():
            self.send_header(key, value)
        self.end_headers()
        self._send(content[start:], fault)

    def _send(self, content: bytes, fault: Fault) -> None:
        limit = min(len(content), *(n for n in (fault.cut, fault.stall) if n is not None), 1 << 62)
        for begin in range(0, limit, 1 << 14):
            piece = content[begin : min(begin + (1 << 14), limit)]
            if self.site.chunked:
                self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            else:
                self.wfile.write(piece)
            self.record.sent += len(piece)
        if fault.stall is not None:
            self.wfile.flush()
            self.site.stalled.set()
            self.site.resume.wait(20)
            if not self.site.ended.is_set() and not self.site.chunked:
                self.wfile.write(content[limit:])
                self.record.sent += len(content) - limit
                limit = len(content)
        if limit < len(content):
            self.close_connection = True
        elif self.site.chunked:
            self.wfile.write(b"0\r\n\r\n")


ATTEMPTS = 4


def be_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the waits and timeouts of a download, and count any byte as progress."""
    monkeypatch.setattr(faults, "ATTEMPTS", ATTEMPTS)
    monkeypatch.setattr(faults, "FIRST_WAIT", 0.01)
    monkeypatch.setattr(faults, "LONGEST_WAIT", 0.02)
    monkeypatch.setattr(faults, "LONGEST_ASKED_WAIT", 2.0)
    monkeypatch.setattr(faults, "PROGRESS_BYTES", 1)
    monkeypatch.setattr(site, "TIMEOUT", (2.0, 0.4))


_SECRETS = (PASSWORD, quote(PASSWORD), quote_plus(PASSWORD), json.dumps(PASSWORD), "session-cookie")


def refused(address: str, target: Path, *names: str) -> str:
    """Return the message with which a download fails, after looking for secrets behind it.

    Looked through are the error, all that it is chained to and the variables of every frame; no
    error of the network library may be among them, since those hold the whole request.
    """
    with pytest.raises(SegpipeError) as caught:
        download(names, target, address)
    chain = [caught.value, *_chained(caught.value)]
    assert not [e for e in chain if isinstance(e, requests.RequestException | HTTPError)]
    told = "".join(
        traceback.TracebackException.from_exception(caught.value, capture_locals=True).format()
    )
    assert "Traceback" in told
    assert [secret for secret in _SECRETS if secret in told] == []
    return str(caught.value)


def assert_no_secret(texts: Iterable[str], folder: Path) -> None:
    """Look for the password and the cookie in `texts` and in the names and bytes of all files."""
    for path in folder.rglob("*"):
        assert not any(secret in str(path) for secret in _SECRETS)
        content = path.read_bytes() if path.is_file() else b""
        assert [secret for secret in _SECRETS if secret.encode() in content] == []
    for text in texts:
        assert [secret for secret in _SECRETS if secret in text] == []


def _chained(error: BaseException) -> Iterator[BaseException]:
    for inner in (error.__cause__, error.__context__):
        if inner is not None:
            yield inner
            yield from _chained(inner)
