"""How all threads of a download are stopped at once."""

import contextlib
import threading
from collections.abc import Iterator

import requests


class StoppedError(Exception):
    """The thread was told to end; what it has on the disk stays."""


class Halt:
    """A flag that ends waits and reads as soon as it is raised."""

    def __init__(self) -> None:
        self._raised = threading.Event()
        self._lock = threading.Lock()
        self._read: set[requests.Response] = set()

    def stop(self) -> None:
        """Raise the flag, and wake the threads that wait for bytes."""
        self._raised.set()
        with self._lock:
            for response in self._read:
                # Refused where the answer is read to its end already, or was never a socket.
                with contextlib.suppress(OSError, RuntimeError, ValueError):
                    response.raw.shutdown()

    def check(self) -> None:
        """Raise StoppedError when the flag is raised.

        To be called after every read and before its bytes are used: what a stopped connection
        still yields is not what the site sent (under TLS it is not even decrypted).
        """
        if self._raised.is_set():
            raise StoppedError

    def wait(self, seconds: float) -> None:
        """Wait, and raise StoppedError as soon as the flag is raised."""
        self._raised.wait(seconds)
        self.check()

    @contextlib.contextmanager
    def reading(self, response: requests.Response) -> Iterator[None]:
        """Have `stop` wake this thread while the block reads `response`."""
        with self._lock:
            self._read.add(response)
        try:
            self.check()
            yield
        finally:
            with self._lock:
                self._read.discard(response)
