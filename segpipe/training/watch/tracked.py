"""A training as MLflow sees it: its run, the rows of its history, the pictures of its validations.

The pictures are kept on the disk as well, whether MLflow is asked or not.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from typing import Any

from segpipe.params.schema import TrackingParams
from segpipe.runtime.console import say
from segpipe.runtime.state import kept_folder
from segpipe.runtime.trial import report_rows
from segpipe.tracking.description import NOTE, description, run_name
from segpipe.tracking.run import TOKEN, standard_tags, start_run
from segpipe.tracking.tracker import Tracker
from segpipe.training.class_balance import centroid_counts
from segpipe.training.distributed.signals import Interrupted, StopRequest
from segpipe.training.history import Row
from segpipe.training.job import Job
from segpipe.training.state.checkpoint import Progress
from segpipe.training.watch.console import row_line
from segpipe.training.watch.kept import keep_pictures
from segpipe.training.watch.pictures import validation_pictures
from segpipe.training.watch.publish import data_used


@contextlib.contextmanager
def mlflow_run(
    tracking: TrackingParams,
    model: str,
    recorded: dict[str, Any],
    job: Job,
    progress: Progress,
    stop: StopRequest,
) -> Iterator[tuple[Tracker | None, Callable[[Row], None]]]:
    """Yield the tracker and what logs a row of the history; only the leading process has a tracker.

    model: its name. recorded: all parameters.
    """
    if not job.processes.leads:
        yield None, partial(_follow, job, tracking)
        return
    with start_run(
        tracking,
        name=run_name(model, recorded),
        parameters={**recorded, **derived(job)},
        tags={
            **standard_tags(),
            "data_fingerprint": job.data.dataset.fingerprint,
            NOTE: description(model, recorded),
            **({TOKEN: job.checkpoints.tracking_token()} if tracking.enabled else {}),
        },
        resume=job.checkpoints.tracked(),
        data=data_used(job.data, recorded["source"]["name"]),
        hurried=lambda: stop.asked,
    ) as tracker:
        if tracker.run_id is not None:
            job.checkpoints.note_tracked(tracker.run_id)

        def send_row(row: Row, timestamp: int) -> None:
            values = {name: value for name, value in row.items() if name != "step"}
            tracker.log_metrics(numbers(values), step=int(row["step"] or 0), timestamp=timestamp)

        # A process that was killed may not have come to log them; what the run has is left out.
        for earlier, timestamp in zip(progress.history, progress.row_times, strict=True):
            send_row(earlier, timestamp)

        def log_row(row: Row) -> None:
            say(row_line(row))
            report_rows(progress.history)
            send_row(row, progress.row_times[-1])
            if _has_pictures(tracking, row):
                pictures = validation_pictures(job, tracking.validation_pictures)
                name = f"step_{int(row['step'] or 0):09d}.png"
                keep_pictures(pictures, name, kept_folder(job.checkpoints.folder, "pictures"))
                tracker.log_content(pictures, f"validation/{name}")

        try:
            yield tracker, log_row
        except Interrupted:
            tracker.finish("KILLED")
            folder = job.checkpoints.folder
            say(f"interrupted; the state is in {folder}, start again to go on from it")
            raise


def _has_pictures(tracking: TrackingParams, row: Row) -> bool:
    return tracking.validation_pictures > 0 and row["val_loss"] is not None


def _follow(job: Job, tracking: TrackingParams, row: Row) -> None:
    """Call a sharded network along with the leading process, which draws pictures with it."""
    if job.learner.sharded and _has_pictures(tracking, row):
        validation_pictures(job, tracking.validation_pictures)


def derived(job: Job) -> dict[str, Any]:
    """What was made of the parameters and the data, as MLflow shows it beside them."""
    lengths = {name: value for name, value in asdict(job.lengths).items() if name != "reasons"}
    weights = {"class_weights": job.objective.class_weights} if job.objective.class_weights else {}
    data = job.data
    counts = {"centroids": centroid_counts(data.centroids, data.dataset)} if data.centroids else {}
    return {"steps": lengths, **weights, **counts}


def numbers(values: dict[str, Any]) -> dict[str, float]:
    """Return those of the values that are numbers, as MLflow takes them."""
    return {name: float(value) for name, value in values.items() if isinstance(value, int | float)}
