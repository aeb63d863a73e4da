"""What a run is told: values of metrics and files, and how they get to a store."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from segpipe.tracking.calls import LONG
from segpipe.tracking.store import Store

# MLflow takes this many metrics in one call.
BATCH = 1000


class Point(NamedTuple):
    """One value of a metric. timestamp: milliseconds since 1970."""

    metric: str
    value: float
    timestamp: int
    step: int


class Files(NamedTuple):
    """A file, or all files of a folder, and the folder of the run's artifacts they belong in.

    ours: written for MLflow alone, and of no use once it is there.
    """

    path: Path
    under: str
    ours: bool = False


def first_batch(points: list[Point]) -> list[Point]:
    """Return the oldest points that one call takes, without cutting what was logged at one moment.

    A call is kept whole or not at all, so whoever finds a value of a row finds the rest of it. A row
    of more than BATCH values is cut all the same.
    """
    if len(points) <= BATCH:
        return list(points)
    last, following = points[BATCH - 1], points[BATCH]
    end = BATCH
    if (last.timestamp, last.step) == (following.timestamp, following.step):
        moment = last.timestamp, last.step
        while end and (points[end - 1].timestamp, points[end - 1].step) == moment:
            end -= 1
    return points[: end or BATCH]


def send_points(store: Store, run_id: str, points: list[Point]) -> None:
    """Send up to BATCH points. A store takes the same point twice without keeping it twice."""
    from mlflow.entities import Metric

    metrics = [Metric(*point) for point in points]
    with store.calls() as client:
        client.log_batch(run_id, metrics=metrics, synchronous=True)


def send_files(store: Store, run_id: str, files: Files) -> None:
    """Send a file, or a folder and all below it; what was sent before is replaced."""
    with store.calls(LONG) as client:
        if files.path.is_dir():
            client.log_artifacts(run_id, str(files.path), files.under or None)
        else:
            client.log_artifact(run_id, str(files.path), files.under or None)
    if files.ours:
        files.path.unlink(missing_ok=True)


def stored_points(store: Store, run_id: str, metrics: Iterable[str]) -> list[Point]:
    """Return all values that the run has of these metrics."""
    found = []
    with store.calls() as client:
        for name in sorted(set(metrics)):
            for point in client.get_metric_history(run_id, name):
                found.append(Point(name, float(point.value), int(point.timestamp), int(point.step)))
    return found
