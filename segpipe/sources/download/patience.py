"""How often, and after how long, something that failed is tried again."""

import os
from collections.abc import Callable
from dataclasses import dataclass

from segpipe.runtime.randomness import generator
from segpipe.sources.download.faults import DownloadError, TransientError
from segpipe.sources.download.halt import Halt


@dataclass(frozen=True)
class Patience:
    """attempts: tries without progress before giving up; first_attempts: the same before the site
    has answered once, when the cause is rather a missing connection than a bad hour. Waits double
    from first_wait up to longest_wait. longest_asked: the longest wait that the site may ask for.
    worthwhile: bytes that count as progress. Times in seconds.
    """

    attempts: int = 10
    first_attempts: int = 4
    first_wait: float = 1.0
    longest_wait: float = 60.0
    longest_asked: float = 900.0
    connect_timeout: float = 15.0
    read_timeout: float = 60.0
    worthwhile: int = 1 << 20


PATIENT = Patience()


class Retries:
    """Counts the failures of one thing in a row, and waits after each."""

    def __init__(
        self, what: str, attempts: int, patience: Patience, halt: Halt, tell: Callable[[str], None]
    ) -> None:
        self._what = what
        self._attempts = attempts
        self._patience = patience
        self._halt = halt
        self._tell = tell
        self._failed = 0

    def progressed(self) -> None:
        """Forget the failures so far."""
        self._failed = 0

    def again(self, setback: TransientError, kept: str = "") -> None:
        """Wait for the next try; raise DownloadError when there is none left.

        kept: what the message says about the bytes that are there. The wait is exponential with
        jitter (M. Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015), unless
        the site asks for a longer one.
        """
        self._failed += 1
        if self._failed >= self._attempts:
            raise DownloadError(
                f"{self._what}: {setback.text}; given up after {self._failed} tries.{kept} "
                "Start again later"
            )
        asked = setback.asked_wait or 0.0
        if asked > self._patience.longest_asked:
            raise DownloadError(
                f"{self._what}: {setback.text}, and asks to wait {asked / 60:.0f} minutes.{kept} "
                "Start again then"
            )
        seconds = max(asked, self._backoff())
        self._tell(
            f"{self._what}: {setback.text}; next try in {seconds:.0f} s "
            f"({self._failed + 1} of {self._attempts})"
        )
        self._halt.wait(seconds)

    def _backoff(self) -> float:
        # The number of the process is part of the key so that machines that failed together
        # do not come back together.
        share = generator(os.getpid(), "backoff", self._what, self._failed).uniform(0.5, 1.0)
        doubled = self._patience.first_wait * 2.0 ** (self._failed - 1)
        return float(share) * min(self._patience.longest_wait, doubled)
