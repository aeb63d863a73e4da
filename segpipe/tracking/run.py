"""The MLflow run of a training: started, resumed after an interruption, continued by later stages."""

import contextlib
import importlib.metadata
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

from segpipe.params.schema import TrackingParams
from segpipe.runtime.console import say
from segpipe.runtime.errors import TrackingError, listing
from segpipe.runtime.revision import git_revision
from segpipe.tracking.calls import reason
from segpipe.tracking.datasets import DataUsed, log_data
from segpipe.tracking.marks import Mark, Status, end_abandoned_runs
from segpipe.tracking.mlflow_run import MlflowRun
from segpipe.tracking.names import PARAMETER_LIMIT, flat_parameters, shortened, valid_tags
from segpipe.tracking.redaction import redacted
from segpipe.tracking.store import Store, find_run, open_store

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

WHOLE_PARAMETERS = "parameters.json"
# MLflow takes this many parameters or tags in one call.
_BATCH = 100


class Tracker(Protocol):
    """What a run is told. As a context manager it ends the run, with the status that fits."""

    @property
    def run_id(self) -> str | None:
        """MLflow's name of the run; None where MLflow is told nothing."""

    def log_metrics(self, values: Mapping[str, float], step: int | None) -> None:
        """Record values of one moment. Names are made valid; what is not finite is left out."""

    def last_step(self, metric: str) -> int | None:
        """Return the largest step for which the run holds a value of `metric`.

        What is still to be sent counts too. None where there is no value, where tracking is off,
        and where the store cannot be asked.
        """

    def log_files(self, folder: Path, under: str) -> None:
        """Keep all files of a folder in the run's artifact folder `under`."""

    def log_file(self, path: Path, under: str) -> None:
        """Keep one file in the run's artifact folder `under`."""

    def log_content(self, content: bytes, path: str) -> None:
        """Keep a file of this content as `path` (with folders) among the run's artifacts."""

    def finish(self, status: Status) -> None:
        """End the run; a second call does nothing."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


class Silent:
    """The tracker of `tracking.enabled: false`."""

    run_id: str | None = None

    def log_metrics(self, values: Mapping[str, float], step: int | None) -> None:
        """Do nothing."""

    def last_step(self, metric: str) -> int | None:
        """Return None: there is no run."""
        return None

    def log_files(self, folder: Path, under: str) -> None:
        """Do nothing."""

    def log_file(self, path: Path, under: str) -> None:
        """Do nothing."""

    def log_content(self, content: bytes, path: str) -> None:
        """Do nothing."""

    def finish(self, status: Status) -> None:
        """Do nothing."""

    def __enter__(self) -> "Silent":
        return self

    def __exit__(self, *_: object) -> None:
        return None


def start_run(
    settings: TrackingParams,
    name: str,
    parameters: Mapping[str, Any],
    tags: Mapping[str, str],
    resume: str | None,
    data: Sequence[DataUsed] = (),
    hurried: Callable[[], bool] = lambda: False,
) -> Tracker:
    """Start a training's run, or go on with the run whose id is `resume`, where the store has it.

    data: what is trained and validated on. hurried: whether this process was asked to end, so that
    the end of the run may take seconds at most.

    Parameters that a resumed run has already are not logged again: MLflow keeps the first value,
    and a line names those that differ. Nor are metrics logged again for steps that it has.
    Raises TrackingError when the store cannot be used (`open_store` says when).
    """
    if not settings.enabled:
        return Silent()
    store = open_store(settings)
    end_abandoned_runs(store)
    with _explained(store) as client:
        known = find_run(client, resume)
        if resume and known is None:
            say(f"MLflow: run {resume} is not in {store.address}; a new one is made")
        run_id = known.info.run_id if known else _create(client, store, name, tags)
        mark = Mark(store, run_id)
        if known:
            _reopen(client, run_id, tags)
        _log_parameters(client, run_id, flat_parameters(parameters), known)
        if data:
            log_data(client, run_id, data)
    say(f"MLflow: run {run_id} in {store.address}")
    every = settings.system_seconds or None
    return MlflowRun(store, run_id, mark, resumed=known is not None, system=every, hurried=hurried)


def continue_run(
    settings: TrackingParams, run_id: str | None, name: str, tags: Mapping[str, str]
) -> Tracker:
    """Add to the run of a training that has ended; its tags, status and end stay as they are.

    A run that never got to its end is called FINISHED when this does. Where the store does not
    have the run, for instance because the model came from another machine, a new one is made with
    `name` and `tags`, and a line says so. Raises TrackingError as `start_run` does.
    """
    if not settings.enabled:
        return Silent()
    store = open_store(settings)
    end_abandoned_runs(store)
    with _explained(store) as client:
        known = find_run(client, run_id)
        if known is not None and known.info.status == "FINISHED":
            return MlflowRun(store, known.info.run_id, None)
        if known is None:
            wanted = (
                f"run {run_id} is not in {store.address}" if run_id else "the training has no run"
            )
            new = _create(client, store, name, tags)
            say(f"MLflow: {wanted}; a new one is made: {new}")
            return MlflowRun(store, new, Mark(store, new))
        return MlflowRun(store, known.info.run_id, Mark(store, known.info.run_id))


def standard_tags() -> dict[str, str]:
    """Return what is known of the code and of the DVC experiment; what is not known has no tag."""
    known = {
        "git_commit": git_revision(),
        "dvc_experiment": os.environ.get("DVC_EXP_NAME"),
        "dvc_stage": os.environ.get("DVC_STAGE"),
        "segpipe_version": _version(),
    }
    return {name: value for name, value in known.items() if value}


def _version() -> str | None:
    try:
        return importlib.metadata.version("segpipe")
    except importlib.metadata.PackageNotFoundError:
        return None


@contextlib.contextmanager
def _explained(store: Store) -> Iterator["MlflowClient"]:
    """Yield the client; say in plain words what fails while a run is being started."""
    try:
        with store.calls() as client:
            yield client
    except TrackingError:
        raise
    except Exception as error:  # MLflow, requests and SQLAlchemy each raise their own
        # MLflow's own message may hold a password: it is not chained.
        raise TrackingError(
            f"MLflow ({store.address}): the run could not be started: {reason(error)}. Try again, "
            "or set `tracking.enabled: false` in params.yaml"
        ) from None


def _create(client: "MlflowClient", store: Store, name: str, tags: Mapping[str, str]) -> str:
    run = client.create_run(store.experiment_id, run_name=redacted(name), tags=valid_tags(tags))
    return str(run.info.run_id)


def _reopen(client: "MlflowClient", run_id: str, tags: Mapping[str, str]) -> None:
    from mlflow.entities import RunTag

    client.update_run(run_id, status="RUNNING")
    client.log_batch(
        run_id, tags=[RunTag(*tag) for tag in valid_tags(tags).items()], synchronous=True
    )


def _log_parameters(
    client: "MlflowClient", run_id: str, values: dict[str, str], known: "Run | None"
) -> None:
    """Log what the run does not have yet; a value that is cut stands whole in an artifact."""
    from mlflow.entities import Param

    cut = {name: shortened(value, PARAMETER_LIMIT) for name, value in values.items()}
    logged = known.data.params if known else {}
    missing = [Param(name, value) for name, value in cut.items() if name not in logged]
    for start in range(0, len(missing), _BATCH):
        client.log_batch(run_id, params=missing[start : start + _BATCH], synchronous=True)
    if cut != values and missing:
        client.log_dict(run_id, values, WHOLE_PARAMETERS)
    changed = [name for name, value in cut.items() if logged.get(name, value) != value]
    if changed:
        say(
            "MLflow: these parameters were others when the run began, and are kept so there:\n"
            f"{listing(changed)}"
        )
