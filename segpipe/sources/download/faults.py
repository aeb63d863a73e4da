"""What goes wrong on the way to a web site: what passes, and what a person must mend.

None of these errors is chained to an exception of the network library, for those carry the request, and
with it the address, the form and the cookie.
"""

import datetime
import email.utils
import re
import socket
import ssl
from collections.abc import Iterator
from urllib.parse import urlsplit

import requests
import urllib3

from segpipe.runtime.errors import SegpipeError

_MUST_BE_TRIED_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})


class DownloadError(SegpipeError):
    """A package cannot be brought; the others may still be."""


class SiteError(DownloadError):
    """Nothing can be brought: the site, the login, the network or the disk stands in the way."""


class TransientError(Exception):
    """A failure that may pass by itself. asked_wait: seconds the site asks to wait, if it does.

    Who keeps a caught one drops its traceback: that would keep the connection open as well.
    """

    def __init__(self, text: str, asked_wait: float | None = None) -> None:
        super().__init__(text)
        self.text = text
        self.asked_wait = asked_wait


def network_fault(error: Exception, host: str) -> TransientError | SiteError:
    """Return what an exception of requests or urllib3 means, in words that hold nothing of it."""
    causes = list(_causes(error))

    def any_is(*kinds: type[BaseException]) -> bool:
        return any(isinstance(cause, kinds) for cause in causes)

    if any_is(ssl.SSLCertVerificationError):
        return SiteError(
            f"{host}: its certificate cannot be verified, so nothing was sent to it; check the "
            "clock of this machine, and where a proxy opens encrypted connections, name its "
            "certificate file in REQUESTS_CA_BUNDLE"
        )
    if any_is(requests.exceptions.ProxyError, urllib3.exceptions.ProxyError):
        return TransientError(f"the proxy on the way to {host} (HTTPS_PROXY) gives no connection")
    if any_is(ssl.SSLError, urllib3.exceptions.SSLError):
        return TransientError(f"{host}: the encrypted connection (TLS) failed")
    if any_is(socket.gaierror, urllib3.exceptions.NameResolutionError):
        return TransientError(f"the name {host} is not found (DNS); is this machine connected?")
    if any_is(ConnectionRefusedError):
        return TransientError(f"{host} refuses the connection")
    if any_is(requests.exceptions.ConnectTimeout, urllib3.exceptions.ConnectTimeoutError):
        return TransientError(f"{host} does not take the connection in time")
    if any_is(requests.exceptions.Timeout, urllib3.exceptions.TimeoutError, TimeoutError):
        return TransientError(f"{host} sends nothing any more (read timeout)")
    # RequestException is itself an OSError, and covers what is no failure of a connection.
    broken = (requests.exceptions.ConnectionError, requests.exceptions.ChunkedEncodingError)
    of_system = any(
        isinstance(cause, OSError) and not isinstance(cause, requests.RequestException)
        for cause in causes
    )
    if of_system or any_is(*broken, urllib3.exceptions.ProtocolError):
        return TransientError(f"the connection to {host} was cut")
    return SiteError(f"{host} cannot be asked ({type(error).__name__}); check the proxy settings")


def status_fault(
    response: requests.Response, subject: str, forbidden: str
) -> TransientError | SegpipeError:
    """Return what an answer means that is not what was asked for.

    subject: what was asked for, as the message shall name it. forbidden: what 403 means for it.
    """
    status = response.status_code
    host = urlsplit(str(response.url)).hostname
    if status in _MUST_BE_TRIED_AGAIN:
        wait = asked_wait(response.headers.get("Retry-After"), datetime.datetime.now(datetime.UTC))
        return TransientError(f"{host} is out of order or busy ({status})", wait)
    if status == 403:
        return DownloadError(f"{subject}: refused by {host} (403); {forbidden}")
    if status == 404:
        return DownloadError(
            f"{subject}: not found on {host} (404); it may have been withdrawn or the site may "
            "have changed: look at its page of downloads in a browser"
        )
    if 300 <= status < 400:
        onto = redirected_to(response)[0] or host
        return SiteError(
            f"{subject}: {host} sends on to another address of {onto} ({status}), and a login is "
            "not carried there; the site may have changed: download with a browser and name the "
            "folder in source.path"
        )
    return DownloadError(f"{subject}: {host} answers with status {status}, which is not expected")


def redirected_to(response: requests.Response) -> tuple[str, str]:
    """Return the host (empty for the same one) and the path that a redirect names."""
    try:
        parts = urlsplit(response.headers.get("Location", ""))
        return parts.hostname or "", parts.path
    except ValueError:  # no address at all
        return "", ""


def asked_wait(retry_after: str | None, now: datetime.datetime) -> float | None:
    """Return the seconds of a Retry-After header, a number or a date (RFC 9110, 10.2.3)."""
    if retry_after is None:
        return None
    if re.fullmatch(r"[0-9]{1,9}", retry_after.strip()):
        return float(retry_after)
    try:
        moment = email.utils.parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    return max(0.0, (moment - now).total_seconds())


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield `error` and all that is wrapped in it: as cause, as context, or as an argument."""
    waiting, seen = [error], set[int]()
    while waiting:
        cause = waiting.pop()
        if id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        inner = [cause.__cause__, cause.__context__, getattr(cause, "reason", None), *cause.args]
        waiting += [item for item in inner if isinstance(item, BaseException)]
