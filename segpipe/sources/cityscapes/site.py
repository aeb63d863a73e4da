"""The Cityscapes web site: the login, the list of packages, their digests, their bytes.

The requests are those of the official downloader (cityscapesscripts 2.3, download/downloader.py): a
form login that answers 302 and sets a session cookie, `/downloads/?list`, `/md5-sum/` and
`/file-handling/`. The password is sent to the login form alone and written nowhere (law 9); no
redirect is followed.
"""

import contextlib
import itertools
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import requests
import urllib3

from segpipe.runtime.console import say
from segpipe.runtime.errors import SegpipeError
from segpipe.runtime.small_files import parse_any_json
from segpipe.sources.cityscapes.credentials import Credentials
from segpipe.sources.cityscapes.faults import (
    BY_HAND,
    DownloadError,
    SiteError,
    TransientError,
    network_fault,
    retry,
    status_fault,
)

SITE = "https://www.cityscapes-dataset.com"
TIMEOUT = (15.0, 60.0)  # seconds to connect, and between two reads
TEXT_SECONDS = 120.0  # for a whole text, and for the first bytes of a file
_READ_BYTES, _TEXT_BYTES = 1 << 18, 1 << 20
_GZIP = b"\x1f\x8b"
_MAGIC_BYTES = 64  # enough to tell an archive from a web page
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


@dataclass(frozen=True)
class Package:
    """A file on the site. about: its size in bytes as the list rounds it, 0 where it has none."""

    name: str
    number: int
    about: int


class Answer(NamedTuple):
    """An answer with its first bytes, and all bytes, once, as they arrive."""

    response: requests.Response
    first: bytes
    chunks: Iterator[bytes]


class Session(requests.Session):
    """A session that follows no redirect, and does not read the body that comes with one.

    requests reads and decodes all of it, be it endless or not what its headers say.
    """

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Return that there is none."""
        return None


class Site:
    """The site and a login."""

    def __init__(self, session: Session, credentials: Credentials, address: str) -> None:
        """Raise SegpipeError when `address` is not https://HOST (or this machine's own, for tests)."""
        if not re.fullmatch(r"https://[\w.-]+(:\d+)?|http://127\.0\.0\.1:\d+", address):
            raise SegpipeError("the password is sent to an address of the form https://HOST only")
        self.address = address
        self._session, self._credentials = session, credentials

    def find_packages(self, names: Sequence[str]) -> list[Package]:
        """Log in and return the named packages, in order.

        Raises DownloadError for names that the site does not offer, SiteError when its list is not
        readable or the login is not accepted.
        """
        retry("login", self._log_in)
        try:
            rows = parse_any_json(self._text("/downloads/?list", "list of packages"))
            offered = {package.name: package for package in map(_package, rows)}
        except (ValueError, TypeError, KeyError) as error:
            raise SiteError(
                f"{self.address}/downloads/?list is not as expected (JSON with name, packageID and "
                f"size); the site may have changed: {BY_HAND}"
            ) from error
        if unknown := [name for name in names if name not in offered]:
            raise DownloadError(
                f"{self.address} does not offer this account {' and '.join(unknown)}: ask for "
                "access there with a browser"
            )
        return [offered[name] for name in names]

    def digest(self, package: Package) -> str:
        """Return the MD5 that the site publishes, as 32 lower-case digits, or raise DownloadError."""
        text = self._text(f"/md5-sum/?packageID={package.number}", f"MD5 of {package.name}")
        found = re.match(r"\s*([0-9a-fA-F]{32})(?:\s|$)", text)
        if found is None:
            raise DownloadError(
                f"{self.address} publishes no MD5 of {package.name}, so that nothing could be "
                f"verified: {BY_HAND}"
            )
        return found[1].lower()

    @contextlib.contextmanager
    def ask(
        self, path: str, subject: str, accept: Sequence[int], headers: Mapping[str, str]
    ) -> Iterator[Answer]:
        """Yield the answer to one GET, whose status is in `accept`.

        An expired session is renewed once. Raises TransientError for failures that may pass by
        themselves, otherwise DownloadError or SiteError, which name `subject`.
        """
        for is_new_login in (False, True):
            with self._send("GET", path, headers) as response:
                chunks = self._chunks(response)
                first = self._read(chunks, _MAGIC_BYTES)
                if response.status_code == 200 and first.startswith(_GZIP):
                    raise DownloadError(
                        f"{subject}: {self.address}, or a proxy on the way, compresses its answers "
                        f"(gzip), though it is asked not to; {BY_HAND}"
                    )
                if not _wants_login(response, first):
                    if response.status_code not in accept:
                        raise status_fault(response, subject, self.address)
                    yield Answer(response, first, itertools.chain([first], chunks))
                    return
            if not is_new_login:
                say(f"{self.address}: the session has expired; logging in again")
                self._log_in()
        fault = (
            f"{subject}: {self.address} asks for a login or sends a web page, right after a login; "
            "this account may have no access, or its terms wait to be accepted: log in there with "
            "a browser and look"
        )
        # A page in place of one package says nothing of the others.
        raise DownloadError(fault) if response.status_code == 200 else SiteError(fault)

    def _text(self, path: str, subject: str) -> str:
        """Return the first MiB of a text, retried."""

        def attempt() -> str:
            with self.ask(path, subject, (200,), {}) as answer:
                return self._read(answer.chunks, _TEXT_BYTES).decode(errors="replace")

        return retry(subject, attempt)

    def _read(self, chunks: Iterator[bytes], enough: int) -> bytes:
        """Return so many bytes or a little more, or all; TransientError when they take too long."""
        content, until = b"", time.monotonic() + TEXT_SECONDS
        while len(content) < enough and (chunk := next(chunks, b"")):
            content += chunk
            if time.monotonic() > until:
                raise TransientError(
                    f"{self.address} sent {len(content):,} bytes in {TEXT_SECONDS:.0f} s, too slowly"
                )
        return content

    def _log_in(self) -> None:
        self._session.cookies.clear()
        with self._send("GET", "/login", {}) as page:
            if page.status_code != 200:
                raise status_fault(page, "login", self.address)
        with self._send("POST", "/login", {}) as answer:
            if answer.status_code == 200:
                raise SiteError(
                    f"{self.address} does not accept the username and password from "
                    f"{self._credentials.origin}; try them there with a browser"
                )
            if answer.status_code != 302:
                raise status_fault(answer, "login", self.address)

    def _send(self, method: str, path: str, headers: Mapping[str, str]) -> requests.Response:
        """Return the answer, its body unread; a POST sends the login."""
        try:
            return self._session.request(
                method,
                self.address + path,
                data=self._form() if method == "POST" else None,
                # Positions and digests are those of the bytes as they lie on the site.
                headers={"Accept-Encoding": "identity", **headers},
                timeout=TIMEOUT,
                allow_redirects=False,
                stream=True,
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            fault = network_fault(error, self.address)
        raise fault

    def _form(self) -> dict[str, str]:
        login = self._credentials
        password = login.password.get_secret_value()
        return {"username": login.username, "password": password, "submit": "Login"}

    def _chunks(self, response: requests.Response) -> Iterator[bytes]:
        """Yield the bytes as they arrive."""
        while True:
            try:
                chunk = response.raw.read1(_READ_BYTES, decode_content=False)
            except (urllib3.exceptions.HTTPError, OSError) as error:
                fault = network_fault(error, self.address)
                break
            if not chunk:
                return
            yield chunk
        raise fault


def _wants_login(response: requests.Response, first: bytes) -> bool:
    """Return whether an answer is a web page, or a redirect to the login page.

    A page is known by its bytes, because PHP labels everything text/html.
    """
    status = response.status_code
    if 300 <= status < 400:
        return re.search(r"/login/?(\?|$)", response.headers.get("Location", "")) is not None
    is_page = first.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")
    return status == 401 or (status == 200 and is_page)


def _package(row: Mapping[str, object]) -> Package:
    size = re.fullmatch(r"([\d.]+)([KMGT]?)B", str(row["size"]), re.IGNORECASE)
    about = round(float(size[1]) * _UNITS[size[2].upper()]) if size else 0
    return Package(str(row["name"]), int(str(row["packageID"])), about)
