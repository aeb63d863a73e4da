"""What a stage tells its MLflow run; a store that is slow or away does not stop the stage."""

import math
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

from segpipe.runtime.console import say
from segpipe.tracking.calls import reason
from segpipe.tracking.names import valid_names
from segpipe.tracking.outbox import Outbox, Row, Status
from segpipe.tracking.store import Store
from segpipe.tracking.synchronise import (
    BATCH,
    send_abandoned,
    send_files,
    send_missing_rows,
    send_rows,
)
from segpipe.tracking.system import SystemMonitor

# Seconds that the end of a run may take: the bundle of a finished one may be large, while a person
# waits for the end of an interrupted one.
_PATIENCE: dict[Status, float] = {"FINISHED": 300.0, "FAILED": 15.0, "KILLED": 5.0}
# Seconds until a store that does not answer is tried again, doubled each time up to the longest.
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0


class Tracker:
    """Keeps what it is told in an outbox, and wakes a thread that sends what the store lacks.

    As a context manager it ends the run, with the status that fits. run_id: MLflow's name of the
    run; None where there is none.
    """

    run_id: str | None

    def __init__(
        self,
        store: Store,
        outbox: Outbox,
        *,
        ends_run: bool,
        system: SystemMonitor | None = None,
        hurried: Callable[[], bool] = lambda: False,
    ) -> None:
        """Start the thread.

        ends_run: whether `finish` sets the run's status; stages after training leave that of a
        finished run. hurried: whether this process was asked to end, so that `finish` takes seconds.
        """
        self.run_id = outbox.run_id
        self._store, self._outbox, self._ends_run = store, outbox, ends_run
        self._system, self._hurried = system, hurried
        self._news, self._closing, self._given_up = (threading.Event() for _ in range(3))
        self._thread = threading.Thread(target=self._work, name="segpipe-mlflow", daemon=True)
        self._thread.start()

    def log_metrics(
        self, values: Mapping[str, float], step: int | None, timestamp: int | None = None
    ) -> None:
        """Record values of one moment. Names are made valid; what is not finite is left out.

        step: values for a step that the run has already are left out; None: every call counts.
        timestamp: milliseconds since 1970; None: now.
        """
        now = int(time.time() * 1000) if timestamp is None else timestamp
        named = zip(valid_names(values), map(float, values.values()), strict=True)
        finite = [(name, value) for name, value in named if math.isfinite(value)]
        for start in range(0, len(finite), BATCH):
            self._outbox.log_row(Row(dict(finite[start : start + BATCH]), now, step))
        self._news.set()

    def log_files(self, path: Path, under: str) -> None:
        """Record a file, or all files below a folder, in the run's artifact folder `under`."""
        self._outbox.log_files(path, under)
        self._news.set()

    def log_content(self, content: bytes, path: str) -> None:
        """Record a file of this content as `path` (with folders) among the run's artifacts."""
        self._outbox.log_content(content, path)
        self._news.set()

    def unsent(self) -> tuple[int, int]:
        """Return how many metric values and how many files the store has not taken yet."""
        return sum(len(row.values) for row in self._outbox.rows), len(self._outbox.files())

    def finish(self, status: Status) -> None:
        """Send what is left and end the run; a second call does nothing.

        This takes five minutes at most, and seconds where the work failed or was interrupted or the
        store is away. What the store does not take stays in the outbox, from where the next process
        that reaches the store sends it; a warning says how much that is.
        """
        if self._closing.is_set():
            return
        if self._ends_run:
            self._outbox.log_end(status)
        self._closing.set()
        self._news.set()
        began = time.monotonic()
        while self._thread.is_alive():
            if time.monotonic() - began > _PATIENCE["KILLED" if self._hurried() else status]:
                break
            self._thread.join(0.1)
        self._given_up.set()
        self._outbox.release()
        values, files = self.unsent()
        if values or files:
            say(
                f"warning: MLflow ({self._store.address}) did not take {values} metric values and "
                f"{files} files of run {self.run_id}; they are kept in {self._outbox.folder}, and "
                "the next stage that reaches MLflow sends them"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # Ctrl-C, SystemExit and a closed generator are ends from outside.
        failed: Status = "FAILED" if kind and issubclass(kind, Exception) else "KILLED"
        self.finish(failed if kind else "FINISHED")

    def _work(self) -> None:
        """Send when there is news, when a sample is due or a pause is over, and once at the end."""
        away = closing = abandoned_sent = False
        pause = _FIRST_PAUSE
        while not (closing or self._given_up.is_set()):
            self._news.clear()
            closing = self._closing.is_set()
            try:
                self._send(closing)
            except Exception as error:  # MLflow, requests, SQLAlchemy: none may stop a training
                pause = min(2 * pause, _LONGEST_PAUSE) if away else _FIRST_PAUSE
                if not away:  # it is said once, not at every attempt
                    say(
                        f"warning: MLflow ({self._store.address}): {reason(error)}; the work goes on, "
                        "and what could not be sent is kept and tried again"
                    )
                away = True
                self._closing.wait(pause)
                continue
            if away:
                say("MLflow: answers again; what was kept has been sent")
                away = False
            if not abandoned_sent:
                abandoned_sent = True
                send_abandoned(self._store, self._given_up.is_set)
            if not closing:
                self._news.wait(self._system.seconds_left() if self._system else None)

    def _send(self, closing: bool) -> None:
        """Send all that waits; at the end also set the run's status and delete the outbox."""
        send_missing_rows(self._store, self._outbox)
        try:
            send_files(self._store, self._outbox, self._given_up.is_set)
        finally:
            # A file that the store refuses does not keep the run from its end.
            if closing and self._outbox.end and not self._given_up.is_set():
                with self._store.calls() as client:
                    client.set_terminated(self._outbox.run_id, self._outbox.end[0])
        if closing and not self._given_up.is_set():
            self._outbox.remove()
        elif self._system and (sample := self._system.sample()):
            send_rows(self._store, self._outbox.run_id, [sample])


class Silent(Tracker):
    """The tracker of `tracking.enabled: false`, which records nothing."""

    run_id = None

    def __init__(self) -> None:
        """Start nothing."""

    def log_metrics(self, *_: object, **__: object) -> None:
        """Do nothing."""

    log_files = log_content = finish = log_metrics

    def unsent(self) -> tuple[int, int]:
        """Return that there is nothing."""
        return 0, 0
