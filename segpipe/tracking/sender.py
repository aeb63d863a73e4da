"""The thread that speaks with MLflow for one run, so that a slow or dead server costs no training."""

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import TypeVar

from segpipe.runtime.console import say
from segpipe.tracking.calls import reason
from segpipe.tracking.entries import (
    Files,
    Point,
    first_batch,
    send_files,
    send_points,
    stored_points,
)
from segpipe.tracking.store import Store
from segpipe.tracking.unsent import send_unsent

Answer = TypeVar("Answer")
# Seconds until a store that is away is tried again, doubled up to the second.
_SOON, _SELDOM = 1.0, 60.0


class Sender:
    """Sends in the order of what it is given; keeps what could not be sent and tries again.

    alive: called whenever the store has taken something. resumed: the run has metrics of an earlier
    process; a value for a step that it has already is not sent again.
    """

    def __init__(self, store: Store, run_id: str, alive: Callable[[], None], resumed: bool) -> None:
        self._store, self._run_id = store, run_id
        self._alive = alive
        self._stored: dict[str, set[int]] | None = {} if resumed else None
        self._changed = threading.Condition()
        self._points: list[Point] = []
        self._files: list[Files] = []
        self._questions: list[Callable[[], None]] = []
        self._away, self._again, self._pause = False, 0.0, _SOON
        self._last: Callable[[], None] | None = None
        self._closing = self._left = self._ended = False
        self._thread = threading.Thread(target=self._work, name="segpipe-mlflow", daemon=True)
        self._thread.start()

    def add(self, points: Iterable[Point] = (), files: Iterable[Files] = ()) -> None:
        """Take what is to be sent; returns at once."""
        with self._changed:
            self._points += points
            self._files += files
            self._changed.notify_all()

    def waiting(self, metric: str) -> list[int]:
        """Return the steps of the values of a metric that are not sent yet."""
        with self._changed:
            return [point.step for point in self._points if point.metric == metric]

    def ask(self, question: Callable[[], Answer], patience: float) -> Answer:
        """Return what `question`, which may call the store, returns in the thread.

        Raises its error, or TimeoutError when there is no answer in `patience` seconds.
        """
        answer: Future[Answer] = Future()

        def put() -> None:
            try:
                answer.set_result(question())
            except Exception as error:  # goes to the one who asked
                answer.set_exception(error)

        with self._changed:
            self._questions.append(put)
            self._changed.notify_all()
        return answer.result(patience)

    def close(
        self, last: Callable[[], None] | None, patience: Callable[[], float]
    ) -> tuple[bool, list[Point], list[Files]]:
        """Send what is left, then call `last`; return whether all that went well, and what is left.

        patience: how many seconds from the beginning this may take; asked again and again. A thread
        that hangs is left behind and does nothing more.
        """
        began = time.monotonic()
        with self._changed:
            self._last, self._closing = last, True
            self._changed.notify_all()
        try:
            while self._thread.is_alive() and time.monotonic() - began < patience():
                self._thread.join(0.1)
        finally:
            with self._changed:
                self._left = True
                rest = list(self._points), list(self._files)
                ended = self._ended
        return ended, *rest

    def _work(self) -> None:
        self._send_unsent()
        while self._await_work():
            closing = self._closing
            sent = self._send() if self._is_due() else not closing
            self._answer()
            if closing and not sent:  # that was the last attempt
                break
        if not (self._left or self._points):
            self._end()

    def _await_work(self) -> bool:
        """Wait until there is something to do; False when all is sent and no more will come."""
        with self._changed:
            while not (self._left or self._questions or self._is_due()):
                waits = bool(self._points or self._files)
                if self._closing and not waits:
                    return False
                self._changed.wait(max(self._again - time.monotonic(), 0.0) if waits else None)
            return not self._left

    def _is_due(self) -> bool:
        rests = self._away and not self._closing and time.monotonic() < self._again
        return bool(self._points or self._files) and not rests

    def _send(self) -> bool:
        """Send all that waits, oldest first, as far as it goes; never raises for MLflow's sake."""
        try:
            self._send_points()
        except Exception as error:  # MLflow, requests, SQLAlchemy: none may stop a training
            self._complain(error)
            return False
        failed: list[Files] = []
        while self._files[len(failed) :] and not self._left:
            files = self._files[len(failed)]
            try:
                send_files(self._store, self._run_id, files)
            except Exception as error:  # one that fails shall not hold back the others
                self._complain(error)
                failed.append(files)
                continue
            with self._changed:
                self._files.remove(files)
        if self._away and not failed:
            self._away, self._pause = False, _SOON
            say("MLflow: answers again; what was kept has been sent")
        self._alive()
        return not failed

    def _send_points(self) -> None:
        if not self._points and self._files:
            # Files wait long for an answer, so first ask briefly whether anybody is there.
            with self._store.calls() as client:
                client.get_run(self._run_id)
        while self._points and not self._left:
            batch = first_batch(self._points)
            if new := self._new(batch):
                send_points(self._store, self._run_id, new)
            with self._changed:
                del self._points[: len(batch)]

    def _new(self, batch: list[Point]) -> list[Point]:
        """Leave out values for steps that a resumed run has already."""
        stored = self._stored
        if stored is None:
            return batch
        unknown = {point.metric for point in batch} - stored.keys()
        found: dict[str, set[int]] = {metric: set() for metric in unknown}
        for point in stored_points(self._store, self._run_id, unknown):
            found[point.metric].add(point.step)
        stored |= found
        return [point for point in batch if point.step not in stored[point.metric]]

    def _send_unsent(self) -> None:
        try:
            send_unsent(self._store, self._run_id, lambda: self._left)
        except Exception as error:  # it stays where it is, for the next process
            self._complain(error)

    def _answer(self) -> None:
        with self._changed:
            questions, self._questions = self._questions, []
        for question in questions:
            question()

    def _end(self) -> None:
        try:
            if self._last is not None:
                self._last()
            self._ended = True
        except Exception as error:  # as above; the next run that starts here sets the status
            self._complain(error)

    def _complain(self, error: Exception) -> None:
        """Say once that the store is away, not at every attempt; the next one comes later."""
        self._pause = min(2 * self._pause, _SELDOM) if self._away else _SOON
        self._again = time.monotonic() + self._pause
        if not self._away:
            self._away = True
            say(
                f"warning: MLflow ({self._store.address}): {reason(error)}; the work goes on, and what "
                "could not be sent is kept and tried again"
            )
