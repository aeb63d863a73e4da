"""One MLflow run that is being written; a server that goes away does not stop what it records."""

import json
import math
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from segpipe.atomic import write_text
from segpipe.console import say
from segpipe.state import repository_root
from segpipe.tracking.calls import LONG, reason
from segpipe.tracking.marks import Mark, Status
from segpipe.tracking.names import valid_names
from segpipe.tracking.store import Store

# MLflow takes this many metrics in one call.
_BATCH = 1000


class Point(NamedTuple):
    """One value of a metric. timestamp: milliseconds since 1970."""

    metric: str
    value: float
    timestamp: int
    step: int


class Files(NamedTuple):
    """A file, or all files of a folder, and the folder of the run's artifacts they belong in."""

    path: Path
    under: str


class MlflowRun:
    """Sends at once; keeps what could not be sent, in order, and sends it with the next call.

    mark: tells other processes that this one lives; without it the run keeps the status it has,
    which is how the stages after training add to a run that is finished.
    """

    def __init__(self, store: Store, run_id: str, mark: Mark | None) -> None:
        self._store = store
        self._run_id = run_id
        self._mark = mark
        self._points: list[Point] = []
        self._files: list[Files] = []
        self._away = False
        self._finished = False

    @property
    def run_id(self) -> str:
        """MLflow's name of the run."""
        return self._run_id

    def log_metrics(self, values: Mapping[str, float], step: int | None) -> None:
        """Record values of one moment. Names are made valid; what is not finite is left out."""
        now = int(time.time() * 1000)
        named = zip(valid_names(values), values.values(), strict=True)
        self._points += [
            Point(name, float(value), now, step or 0)
            for name, value in named
            if math.isfinite(value)
        ]
        self._send()

    def last_step(self, metric: str) -> int | None:
        """Return the largest step for which the run holds a value of `metric`.

        What is still to be sent counts too. None where there is none or the store is away.
        """
        (name,) = valid_names([metric])
        steps = [point.step for point in self._points if point.metric == name]
        try:
            with self._store.calls() as client:
                steps += [
                    int(point.step) for point in client.get_metric_history(self._run_id, name)
                ]
        except Exception as error:  # as in _send
            self._complain(error)
        return max(steps, default=None)

    def log_files(self, folder: Path, under: str) -> None:
        """Keep all files of a folder, also of those below it, in the run's artifact folder `under`."""
        self._files.append(Files(folder, under))
        self._send()

    def log_file(self, path: Path, under: str) -> None:
        """Keep one file in the run's artifact folder `under`."""
        self._files.append(Files(path, under))
        self._send()

    def finish(self, status: Status) -> None:
        """Send what is left and end the run; a second call does nothing.

        What cannot be sent is written to .segpipe/unsent/, and a warning says how much that is.
        """
        if self._finished:
            return
        self._finished = True
        self._send()
        if self._mark is not None:
            self._end(self._mark, status)
        if self._points or self._files:
            self._write_unsent()

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

    def _send(self) -> None:
        """Send all that waits, oldest first, as far as it goes; never raises for MLflow's sake."""
        try:
            self._send_points()
        except Exception as error:  # MLflow, requests, SQLAlchemy: none may stop a training
            self._complain(error)
            return
        left = []
        for files in self._files:
            try:
                self._send_files(files)
            except Exception as error:  # one that fails shall not hold back the others
                self._complain(error)
                left.append(files)
        self._files = left
        if self._away and not left:
            self._away = False
            say("MLflow: answers again; what was kept has been sent")
        if self._mark is not None:
            self._mark.touch()

    def _send_points(self) -> None:
        from mlflow.entities import Metric

        with self._store.calls() as client:
            if not self._points and self._files:
                # Files wait long for an answer, so first ask briefly whether anybody is there.
                client.get_run(self._run_id)
            while self._points:
                batch = self._points[:_BATCH]
                metrics = [Metric(*point) for point in batch]
                client.log_batch(self._run_id, metrics=metrics, synchronous=True)
                del self._points[: len(batch)]

    def _send_files(self, files: Files) -> None:
        with self._store.calls(LONG) as client:
            if files.path.is_dir():
                client.log_artifacts(self._run_id, str(files.path), files.under)
            else:
                client.log_artifact(self._run_id, str(files.path), files.under)

    def _end(self, mark: Mark, status: Status) -> None:
        try:
            with self._store.calls() as client:
                client.set_terminated(self._run_id, status)
        except Exception as error:  # as above; the next run that starts here sets the status
            self._complain(error)
            mark.leave(status)
            mark.release()
        else:
            mark.remove()

    def _complain(self, error: Exception) -> None:
        """Say once that the store is away, not at every epoch."""
        if not self._away:
            self._away = True
            say(
                f"warning: MLflow ({self._store.address}): {reason(error)}; the work goes on, and what "
                "could not be sent is kept and tried again"
            )

    def _write_unsent(self) -> None:
        path = repository_root() / ".segpipe" / "unsent" / f"{self._run_id}.jsonl"
        lines = [json.dumps(point._asdict()) for point in self._points]
        lines += [json.dumps({"path": str(path), "under": under}) for path, under in self._files]
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        try:
            write_text(path, before + "".join(f"{line}\n" for line in lines))
        except OSError as error:
            say(f"warning: {path}: cannot be written: {error}")
        say(
            f"warning: MLflow ({self._store.address}) did not take {len(self._points)} metric values "
            f"and {len(self._files)} files or folders of run {self._run_id}; they are listed in {path}"
        )
