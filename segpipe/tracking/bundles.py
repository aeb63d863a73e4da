"""The models that are kept in MLflow runs: listed, and brought into a folder."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from segpipe.params.schema import TrackingParams
from segpipe.runtime.atomic import atomic_dir
from segpipe.runtime.errors import TrackingError
from segpipe.tracking.calls import LONG, reason
from segpipe.tracking.store import may_hold_runs, open_store

BUNDLE = "bundle"  # the folder of artifacts that holds it
_MOST = 200  # runs, the latest


@dataclass(frozen=True)
class TrackedModel:
    """A finished MLflow run. name: the run's, for people; started: milliseconds since 1970."""

    run_id: str
    name: str
    started: int


def tracked_models(settings: TrackingParams) -> list[TrackedModel]:
    """Return the finished runs of the experiment, the latest 200 first; none where nothing is stored.

    Raises TrackingError when the store cannot be used.
    """
    if not may_hold_runs():
        return []
    store = open_store(settings)
    try:
        with store.calls() as client:
            runs = client.search_runs(
                [store.experiment_id], "attributes.status = 'FINISHED'", max_results=_MOST
            )
    except Exception as error:  # MLflow, requests and SQLAlchemy each raise their own
        raise TrackingError(
            f"MLflow ({store.address}): the runs could not be listed: {reason(error)}"
        ) from None
    return [
        TrackedModel(run.info.run_id, run.info.run_name or run.info.run_id, run.info.start_time)
        for run in runs
    ]


def fetch_bundle(settings: TrackingParams, run_id: str, files: Sequence[str], target: Path) -> None:
    """Bring `files` of a run's bundle into the folder `target`, all of them or none.

    Raises TrackingError when the run does not hold them or the store cannot be used.
    """
    store = open_store(settings)
    try:
        with atomic_dir(target) as partial, store.calls(LONG) as client:
            held = {Path(file.path).name for file in client.list_artifacts(run_id, BUNDLE)}
            if not held.issuperset(files):
                raise TrackingError(
                    f"MLflow ({store.address}): run {run_id} holds no model; choose a run whose "
                    "training ended"
                )
            for name in files:
                found = client.download_artifacts(run_id, f"{BUNDLE}/{name}", str(partial))
                Path(found).replace(partial / name)
    except TrackingError:
        raise
    except Exception as error:  # as above; the message may hold a password
        raise TrackingError(
            f"MLflow ({store.address}): the model of run {run_id} could not be read: {reason(error)}"
        ) from None
