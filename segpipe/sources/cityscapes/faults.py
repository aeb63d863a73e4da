"""Failures of requests to a web site: which are repeated, and what a person has to do about the others.

No error is chained to an exception of requests or urllib3, because those hold the request with its
form and its cookie.
"""

import os
import ssl
import time
from collections.abc import Callable
from typing import TypeVar

import requests
import urllib3

from segpipe.runtime.console import say
from segpipe.runtime.errors import SegpipeError
from segpipe.runtime.randomness import generator

T = TypeVar("T")

ATTEMPTS = 10  # failures in a row before giving up
PROGRESS_BYTES = 1 << 20  # so many bytes that arrived start the count of failures anew
FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0  # seconds; each wait is twice the one before
LONGEST_ASKED_WAIT = 900.0  # seconds, by a Retry-After header
BY_HAND = "download with a browser, and name the folder in source.path"
_TRANSIENT_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
_MEANINGS = {
    403: "refused; the account may have to be confirmed, to ask for access, or to accept terms",
    404: "not found; it may have been withdrawn, or the site may have changed",
}


class DownloadError(SegpipeError):
    """One package cannot be downloaded; the others may still be."""


class SiteError(DownloadError):
    """No package can be downloaded: the site, the login, the certificate or the disk prevents it."""


class TransientError(Exception):
    """A failure that may pass by itself. retry_after: seconds that the site asks to wait, or 0."""

    def __init__(self, text: str, retry_after: float = 0.0) -> None:
        super().__init__(text)
        self.retry_after = retry_after


def retry(subject: str, attempt: Callable[[], T], size: Callable[[], int] = lambda: 0) -> T:
    """Return what `attempt` returns; after a TransientError wait and call it again.

    size: bytes that have arrived so far. Raises DownloadError when no attempt is left, or the site
    asks for too long a wait. The wait is exponential with jitter (M. Brooker, "Exponential Backoff
    and Jitter", AWS Architecture Blog, 2015), or what the site asks for.
    """
    failures = 0
    while True:
        before = size()
        try:
            return attempt()
        except TransientError as error:
            text, asked = f"{subject}: {error}", error.retry_after
        failures = 1 if size() - before >= PROGRESS_BYTES else failures + 1
        if failures >= ATTEMPTS:
            raise DownloadError(f"{text}; given up after {failures} attempts; start again later")
        if asked > LONGEST_ASKED_WAIT:
            raise DownloadError(
                f"{text} and asks to wait {asked / 60:.0f} minutes; start again then"
            )
        # The process id keeps machines that failed together from coming back together.
        jitter = generator(os.getpid(), "backoff", subject, failures).uniform(0.5, 1.0)
        wait = max(asked, jitter * min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** (failures - 1)))
        say(f"{text}; attempt {failures + 1} of {ATTEMPTS} in {wait:.0f} s")
        time.sleep(wait)


def network_fault(error: BaseException, address: str) -> TransientError | SiteError:
    """Return what an exception of requests or urllib3 means, without the text of that exception."""
    causes = [error]
    while (inner := causes[-1].__context__) is not None:
        causes.append(inner)
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        return SiteError(
            f"{address}: its certificate cannot be verified, so nothing was sent to it; check the "
            "clock of this machine, and where a proxy opens encrypted connections, name its "
            "certificate file in REQUESTS_CA_BUNDLE"
        )
    # An invalid address of a proxy, or a certificate file that does not exist.
    if isinstance(error, ValueError) or type(error) is OSError:
        return SiteError(f"{address} cannot be asked; check HTTPS_PROXY and REQUESTS_CA_BUNDLE")
    # The reason is the system's, for instance "Connection refused", or the name of an exception.
    reason = getattr(causes[-1], "strerror", None) or type(causes[-1]).__name__
    if isinstance(causes[-1], TimeoutError):
        reason = "no answer in time"
    proxy = " through HTTPS_PROXY" if isinstance(error, requests.exceptions.ProxyError) else ""
    return TransientError(f"the connection to {address}{proxy} failed ({reason})")


def status_fault(
    response: requests.Response, subject: str, address: str
) -> TransientError | DownloadError:
    """Return what an unexpected status means for `subject` of the site at `address`."""
    status = response.status_code
    if status in _TRANSIENT_STATUSES:
        try:
            asked = response.headers.get("Retry-After", "0")
            wait = urllib3.Retry().parse_retry_after(asked)  # a number or a date
        except urllib3.exceptions.InvalidHeader:
            wait = 0.0
        return TransientError(f"{address} is out of order or busy ({status})", wait)
    if 300 <= status < 400:
        return SiteError(
            f"{subject}: {address} redirects to another address ({status}), and no login is sent "
            f"there; the site may have changed: {BY_HAND}"
        )
    meaning = _MEANINGS.get(status, "which is not expected")
    return DownloadError(
        f"{subject}: {address} answers with status {status}, {meaning}: log in at "
        f"{address}/downloads/ with a browser and look"
    )
