"""The Cityscapes web site, logged in: its list of packages, their digests, their bytes.

It is spoken with as the official downloader does (cityscapesscripts 2.3, download/downloader.py):
a form login that answers 302 and sets a session cookie, `/downloads/?list`, `/md5-sum/` and
`/file-handling/`. No redirect is ever followed, so that no login reaches another host.
"""

import contextlib
import ipaddress
import threading
from collections.abc import Callable, Iterator, Mapping
from urllib.parse import urlsplit

import requests

from segpipe.runtime.errors import SegpipeError
from segpipe.sources.download.body import Body
from segpipe.sources.download.credentials import Credentials
from segpipe.sources.download.faults import (
    DownloadError,
    SiteError,
    TransientError,
    network_fault,
    redirected_to,
    status_fault,
)
from segpipe.sources.download.halt import Halt
from segpipe.sources.download.patience import Patience, Retries

SITE = "https://www.cityscapes-dataset.com"
_LOGIN = "/login"
_WANTED = frozenset({200, 206, 416})


class Site:
    """A site and a login, shared by the threads of a download.

    Each thread has a connection pool of its own, since requests does not promise that one can be
    shared (psf/requests#2766); the cookies are those of the newest login.
    """

    def __init__(
        self,
        address: str,
        credentials: Credentials,
        patience: Patience,
        halt: Halt,
        tell: Callable[[str], None],
    ) -> None:
        """Raise SegpipeError when `address` is not a plain https address."""
        self.address = _checked(address)
        self.host = str(urlsplit(address).hostname)
        self.patience = patience
        self._credentials = credentials
        self._halt = halt
        self._tell = tell
        self._cookies = requests.cookies.RequestsCookieJar()
        self._logins = 0
        self._lock = threading.Lock()
        self._own = threading.local()
        self._sessions: list[requests.Session] = []
        self._answered = False

    def retries(self, what: str) -> Retries:
        """Return a fresh count of failures; short-tempered until the site has answered once."""
        patience = self.patience
        attempts = patience.attempts if self._answered else patience.first_attempts
        return Retries(what, attempts, patience, self._halt, self._tell)

    def close(self) -> None:
        """Close the connections of all threads."""
        for session in self._sessions:
            session.close()

    def log_in(self) -> None:
        """Log in; the cookies are then used by all threads. Raises SiteError on a wrong password."""
        with self._lock:
            self._log_in()

    @contextlib.contextmanager
    def ask(
        self,
        path: str,
        subject: str,
        forbidden: str,
        headers: Mapping[str, str] | None = None,
        may_miss: bool = False,
    ) -> Iterator[Body]:
        """Yield the answer to one GET with status 200, 206 or 416 (or 404 where it `may_miss`).

        The body is not yet read. An expired session is renewed once, unseen. Raises
        TransientError for what may pass by itself, and else DownloadError in the words of
        `status_fault`, to which `subject` and `forbidden` go.
        """
        body = self._ask_logged_in(path, subject, headers or {})
        try:
            with self._halt.reading(body.response):
                status = body.response.status_code
                if status not in _WANTED and not (may_miss and status == 404):
                    raise status_fault(body.response, subject, forbidden)
                yield body
        finally:
            body.response.close()

    def text(self, path: str, subject: str, forbidden: str, missing: str | None = None) -> str:
        """Return a small text, tried again after setbacks; `missing`, if given, stands for 404."""
        retries = self.retries(subject)
        while True:
            try:
                with self.ask(path, subject, forbidden, may_miss=missing is not None) as body:
                    if missing is not None and body.response.status_code == 404:
                        return missing
                    return body.text()
            except TransientError as failure:
                setback = failure.with_traceback(None)
            retries.again(setback)

    def _ask_logged_in(self, path: str, subject: str, headers: Mapping[str, str]) -> Body:
        logins = self._logins
        body, refused = self._opened(path, headers)
        if not refused:
            return body
        with self._lock:
            if logins == self._logins:  # no other thread has renewed it meanwhile
                self._tell(f"{self.host}: the session has expired; logging in anew")
                self._log_in()
        body, refused = self._opened(path, headers)
        if not refused:
            return body
        if body.response.status_code == 200:
            raise DownloadError(
                f"{subject}: {self.host} sends a web page in its place, also after a new login; "
                "this account may have no access to it, or its terms wait to be accepted: log in "
                f"at {self.address}/downloads/ with a browser and look"
            )
        raise SiteError(
            f"{subject}: {self.host} asks for a login again, right after one; log in at "
            f"{self.address}{_LOGIN} with a browser and see whether the account is in order"
        )

    def _opened(self, path: str, headers: Mapping[str, str]) -> tuple[Body, bool]:
        """Return an answer, and whether it is the page of the login; it is closed then."""
        body = Body(self._send(self._session(), "GET", path, headers), self.host, self._halt)
        refused = True
        try:
            with self._halt.reading(body.response):
                refused = _is_login_page(body)
        finally:
            if refused:
                body.response.close()
        return body, refused

    def _log_in(self) -> None:
        retries = self.retries("login")
        while True:
            try:
                with requests.Session() as session:
                    self._send_login(session)
                    self._cookies = session.cookies
                self._logins += 1
                return
            except TransientError as failure:
                setback = failure.with_traceback(None)
            retries.again(setback)

    def _send_login(self, session: requests.Session) -> None:
        forbidden = "it lets nobody in from here: try with a browser whether it is blocked"
        with self._send(session, "GET", _LOGIN, {}) as page:
            if page.status_code != 200:
                raise status_fault(page, "login", forbidden)
        with self._send(session, "POST", _LOGIN, {}, self._credentials) as answer:
            if answer.status_code == 200:
                raise SiteError(
                    f"{self.host} does not accept the username and password from "
                    f"{self._credentials.origin}; try them at {self.address}{_LOGIN} with a "
                    "browser, and correct them"
                )
            if answer.status_code != 302:
                raise status_fault(answer, "login", forbidden)

    def _session(self) -> requests.Session:
        """Return this thread's session with the cookies of the newest login."""
        logins = self._logins
        if getattr(self._own, "logins", None) != logins:
            self._own.session = requests.Session()
            self._own.session.cookies = self._cookies.copy()
            self._sessions.append(self._own.session)
            self._own.logins = logins
        session: requests.Session = self._own.session
        return session

    def _send(
        self,
        session: requests.Session,
        method: str,
        path: str,
        headers: Mapping[str, str],
        form: Credentials | None = None,
    ) -> requests.Response:
        """Return the answer, its body unread. `form`: the login to send along."""
        fault: TransientError | SiteError
        self._halt.check()
        try:
            answer = session.request(
                method,
                self.address + path,
                data={**form.fields(), "submit": "Login"} if form else None,
                # Bytes are counted and digested as they lie on the site, so not compressed anew.
                headers={"Accept-Encoding": "identity", **headers},
                timeout=(self.patience.connect_timeout, self.patience.read_timeout),
                allow_redirects=False,
                stream=True,
            )
        except requests.RequestException as error:
            fault = network_fault(error, self.host)
        else:
            self._answered = True
            return answer
        raise fault


def _is_login_page(body: Body) -> bool:
    status = body.response.status_code
    if 300 <= status < 400:
        return redirected_to(body.response)[1].rstrip("/") == _LOGIN
    return status == 401 or (status == 200 and body.is_web_page())


def _checked(address: str) -> str:
    """Return `address` without a slash at its end, if a password may be sent to it."""
    parts = urlsplit(address)
    if not parts.hostname or parts.username or parts.password or parts.query:
        raise SegpipeError("the address of the site must be of the form https://HOST")
    if parts.scheme != "https" and not (
        parts.scheme == "http" and _is_this_machine(parts.hostname)
    ):
        raise SegpipeError(
            f"{parts.scheme}://{parts.hostname}: a password is sent over https only; "
            f"use https://{parts.hostname}"
        )
    return address.rstrip("/")


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
