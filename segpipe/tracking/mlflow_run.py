"""One MLflow run that is being written; a server that goes away does not stop what it records."""

import math
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType

from segpipe.runtime.console import say
from segpipe.tracking.entries import Files, Point, stored_points
from segpipe.tracking.marks import Mark, Status
from segpipe.tracking.names import valid_names
from segpipe.tracking.sender import Sender
from segpipe.tracking.store import Store
from segpipe.tracking.system import Sampler
from segpipe.tracking.unsent import Kept

# Seconds that the end of a run may take. The bundle of a finished one may be large; who interrupts
# or breaks off a training wants to be gone.
_PATIENCE: dict[Status, float] = {"FINISHED": 300.0, "FAILED": 15.0, "KILLED": 5.0}
# For the answer to a question, in seconds; what an earlier process left is sent before it.
_ANSWER = 20.0


class MlflowRun:
    """Tells a thread what to send, and returns at once; `finish` waits for the thread, not for ever.

    mark: tells other processes that this one lives; without it the run keeps the status it has,
    which is how the stages after training add to a run that is finished. resumed: the run has
    metrics of an earlier process. system: sample the machine every so many seconds; None: never.
    hurried: whether this process was asked to end, so that `finish` takes seconds at most.
    """

    def __init__(
        self,
        store: Store,
        run_id: str,
        mark: Mark | None,
        *,
        resumed: bool = False,
        system: float | None = None,
        hurried: Callable[[], bool] = lambda: False,
    ) -> None:
        self._store = store
        self._run_id = run_id
        self._mark = mark
        self._hurried = hurried
        self._process = os.getpid()
        self._kept = Kept(run_id)
        self._finished = False
        self._sender = Sender(store, run_id, mark.touch if mark else _nothing, resumed)
        self._sampler = Sampler(self, system, resumed) if system else None

    @property
    def run_id(self) -> str:
        """MLflow's name of the run."""
        return self._run_id

    def log_metrics(self, values: Mapping[str, float], step: int | None) -> None:
        """Record values of one moment. Names are made valid; what is not finite is left out."""
        now = int(time.time() * 1000)
        named = zip(valid_names(values), values.values(), strict=True)
        points = [
            Point(name, float(value), now, step or 0)
            for name, value in named
            if math.isfinite(value)
        ]
        self._sender.add(points=points)

    def last_step(self, metric: str) -> int | None:
        """Return the largest step for which the run holds a value of `metric`.

        What is still to be sent counts too. None where there is none or the store is away.
        """
        (name,) = valid_names([metric])
        steps = self._sender.waiting(name)
        try:
            stored = self._sender.ask(
                lambda: stored_points(self._store, self._run_id, [name]), _ANSWER
            )
            steps += [point.step for point in stored]
        except Exception:  # MLflow, requests, SQLAlchemy, no answer in time: the store is away
            return max(steps, default=None)
        return max(steps, default=None)

    def log_files(self, folder: Path, under: str) -> None:
        """Keep all files of a folder, also of those below it, in the run's artifact folder `under`."""
        self._sender.add(files=[Files(folder, under)])

    def log_file(self, path: Path, under: str) -> None:
        """Keep one file in the run's artifact folder `under`; it has to stay until the run's end."""
        self._sender.add(files=[Files(path, under)])

    def log_content(self, content: bytes, path: str) -> None:
        """Keep a file of this content as `path` (with folders) among the run's artifacts."""
        under = path.rpartition("/")[0]
        try:
            kept = self._kept.add(content, path)
        except OSError as error:
            say(f"warning: {path} is not kept in MLflow: it cannot be written: {error}")
            return
        self._sender.add(files=[Files(kept, under, ours=True)])

    def finish(self, status: Status) -> None:
        """Send what is left and end the run; a second call does nothing.

        This takes five minutes at most, and seconds where the work failed or was interrupted or the
        store is away. What cannot be sent is kept in .segpipe/unsent/, from where the next process
        that reaches the store sends it; a warning says how much that is.
        """
        # A forked child has neither the threads nor the right to end its parent's run.
        if self._finished or os.getpid() != self._process:
            return
        self._finished = True
        if self._sampler is not None:
            self._sampler.stop()
        if self._mark is not None:
            # Should this process be killed before it is done.
            self._mark.leave(status)
        ended, points, files = self._sender.close(
            lambda: self._end(status), lambda: _PATIENCE["KILLED" if self._hurried() else status]
        )
        if self._mark is not None:
            if ended:
                self._mark.remove()
            else:
                self._mark.release()
        self._leave(points, files)

    def __enter__(self) -> "MlflowRun":
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        if error is None:
            self.finish("FINISHED")
        else:
            # Ctrl-C, SystemExit and a closed generator are ends from outside.
            self.finish("FAILED" if isinstance(error, Exception) else "KILLED")

    def _end(self, status: Status) -> None:
        if self._mark is not None:
            with self._store.calls() as client:
                client.set_terminated(self._run_id, status)

    def _leave(self, points: list[Point], files: list[Files]) -> None:
        try:
            self._kept.leave(points, files)
        except OSError as error:
            say(f"warning: {self._kept.folder}: cannot be written: {error}")
        if points or files:
            say(
                f"warning: MLflow ({self._store.address}) did not take {len(points)} metric values "
                f"and {len(files)} files or folders of run {self._run_id}; they are kept in "
                f"{self._kept.folder}, and the next stage that reaches MLflow sends them"
            )


def _nothing() -> None:
    return None
