"""The MLflow run of a training, as the stages after it find it."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from segpipe.params.schema import TrackingParams
from segpipe.results.records import read_record
from segpipe.results.training import TrainedRun
from segpipe.tracking.run import Tracker, continue_run, standard_tags


@contextlib.contextmanager
def training_run(settings: TrackingParams, path: Path) -> Iterator[Tracker]:
    """Yield the tracker of the run that `path`, the training's metrics/mlflow.json, names."""
    run_id = read_record(TrainedRun, path).run_id
    with continue_run(settings, run_id, "continued", standard_tags()) as tracker:
        yield tracker
