"""The MLflow run of a training: started, resumed after an interruption, continued by later stages."""

import contextlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segpipe.params.schema import TrackingParams
from segpipe.results.records import read_record
from segpipe.results.training import TrainedRun
from segpipe.runtime.console import say
from segpipe.runtime.errors import TrackingError, listing
from segpipe.runtime.revision import git_revision
from segpipe.runtime.trial import PARENT_RUN
from segpipe.runtime.version import package_version
from segpipe.tracking.calls import reason
from segpipe.tracking.datasets import DataUsed, log_data
from segpipe.tracking.description import NOTE, source_tags
from segpipe.tracking.names import PARAMETER_LIMIT, flat_parameters, shortened, valid_tags
from segpipe.tracking.outbox import Outbox
from segpipe.tracking.redaction import redacted
from segpipe.tracking.store import Store, find_run, open_store
from segpipe.tracking.system import SystemMonitor
from segpipe.tracking.tracker import Silent, Tracker
from segpipe.tracking.view import offer_view

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

WHOLE_PARAMETERS = "parameters.json"
TOKEN = "training_token"  # a tag: what no other training has
# MLflow takes this many parameters or tags in one call.
_BATCH = 100


def start_run(
    settings: TrackingParams,
    name: str,
    parameters: Mapping[str, Any],
    tags: Mapping[str, str],
    resume: str | None = None,
    data: Sequence[DataUsed] = (),
    hurried: Callable[[], bool] = lambda: False,
) -> Tracker:
    """Start a training's run, or resume the run whose id is `resume`, where the store has it.

    Without it, a run with the TOKEN of `tags` is resumed: the process that made it was killed before
    it could note the id.

    data: what is trained and validated on. hurried: whether this process was asked to end, so that
    the end of the run takes seconds at most.

    Parameters that a resumed run has already are not logged again: MLflow keeps the first value,
    and a line names those that differ.
    Raises TrackingError when the store cannot be used (`open_store` says when).
    """
    if not settings.enabled:
        return Silent()
    store = open_store(settings)
    with _explained(store) as client:
        run = known = find_run(client, resume) or _find_tagged(client, store, tags.get(TOKEN))
        if run is None:
            if resume:
                say(f"MLflow: run {resume} is not in {store.address}; a new one is made")
            run = create_run(client, store, name, tags)
        outbox = Outbox.create(run.info.run_id)
        if known:
            client.update_run(outbox.run_id, status="RUNNING")
            for tag, value in valid_tags(tags).items():
                if tag != NOTE:  # which a person may have edited meanwhile
                    client.set_tag(outbox.run_id, tag, value)
        _log_parameters(client, outbox, flat_parameters(parameters), known)
        if data:
            log_data(client, outbox.run_id, data)
        offer_view(client, store.experiment_id)
    say(f"MLflow: run {outbox.run_id} in {store.address}")
    every = settings.system_seconds
    system = SystemMonitor(every, run.info.start_time) if every else None
    return Tracker(store, outbox, ends_run=True, system=system, hurried=hurried)


def training_run(settings: TrackingParams, path: Path) -> Tracker:
    """Add to the run that `path`, the training's metrics/mlflow.json, names.

    Tags, status and end of a finished run stay as they are; a run that never got to its end is
    FINISHED when this is. Where the store does not have the run, for instance because the model came
    from another machine, a new one is made, and a line says so. Raises TrackingError as `start_run`.
    """
    if not settings.enabled:
        return Silent()
    run_id = read_record(TrainedRun, path).run_id
    store = open_store(settings)
    with _explained(store) as client:
        run = find_run(client, run_id)
        ends_run = run is None or run.info.status != "FINISHED"
        if run is None:
            run = create_run(client, store, "continued", standard_tags())
            wanted = (
                f"run {run_id} is not in {store.address}" if run_id else "the training has no run"
            )
            say(f"MLflow: {wanted}; a new one is made: {run.info.run_id}")
        return Tracker(store, Outbox.create(run.info.run_id), ends_run=ends_run)


def standard_tags() -> dict[str, str]:
    """Return what is known of the code and of the DVC experiment; what is not known has no tag.

    dvc_baseline: the commit that the experiment started from. That of the experiment itself is made
    after its last stage; metrics/training.json in it names the run.
    """
    known = {
        "git_commit": git_revision(),
        "dvc_experiment": os.environ.get("DVC_EXP_NAME"),
        "dvc_baseline": os.environ.get("DVC_EXP_BASELINE_REV"),
        "dvc_stage": os.environ.get("DVC_STAGE"),
        "segpipe_version": package_version(),
        "mlflow.parentRunId": os.environ.get(PARENT_RUN),
    }
    return {name: value for name, value in known.items() if value} | source_tags()


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


def create_run(client: "MlflowClient", store: Store, name: str, tags: Mapping[str, str]) -> "Run":
    """Return a new run of that name and these tags."""
    return client.create_run(store.experiment_id, run_name=redacted(name), tags=valid_tags(tags))


def _find_tagged(client: "MlflowClient", store: Store, token: str | None) -> "Run | None":
    """Return the run that was made with this token, if there is one."""
    if not token:
        return None
    found = client.search_runs([store.experiment_id], f"tags.{TOKEN} = '{token}'", max_results=1)
    return found[0] if found else None


def _log_parameters(
    client: "MlflowClient", outbox: Outbox, values: dict[str, str], known: "Run | None"
) -> None:
    """Log what the run does not have yet; a value that is cut is whole in an artifact."""
    from mlflow.entities import Param

    cut = {name: shortened(value, PARAMETER_LIMIT) for name, value in values.items()}
    logged = known.data.params if known else {}
    missing = [Param(name, value) for name, value in cut.items() if name not in logged]
    for start in range(0, len(missing), _BATCH):
        batch = missing[start : start + _BATCH]
        client.log_batch(outbox.run_id, params=batch, synchronous=True)
    if cut != values and missing:
        outbox.log_content(json.dumps(values, indent=2).encode(), WHOLE_PARAMETERS)
    changed = [name for name, value in cut.items() if logged.get(name, value) != value]
    if changed:
        say(
            "MLflow: parameters differ from those logged at the start; MLflow keeps the originals:\n"
            f"{listing(changed)}"
        )
