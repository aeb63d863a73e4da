"""A run in MLflow by its id or name, and the files of it that say how it was made."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from segpipe.params.schema import TrackingParams
from segpipe.runtime.errors import DataError, listing
from segpipe.tracking.calls import LONG
from segpipe.tracking.store import find_run, may_hold_runs, open_store

# As the stages log them: the bundle's description and environment, and the scores.
FILES = (
    *("bundle/model.json", "bundle/environment.json"),
    *("evaluation/evaluation.json", "training/training.json"),
)


@dataclass(frozen=True)
class RecordedRun:
    """A run of the store. experiment: the name of its DVC experiment, None where it has none."""

    run_id: str
    name: str
    experiment: str | None


def recorded_run(
    name: str, settings: TrackingParams, folder: Path, files: Sequence[str] = FILES
) -> RecordedRun | None:
    """Return the run of this id or name, with those of `files` that it has below `folder`; None: no such run.

    Raises DataError where several runs have the name, TrackingError where the store cannot be used.
    """
    if not may_hold_runs():
        return None
    store, quote = open_store(settings), '"' if "'" in name else "'"
    with store.calls(LONG) as client:
        found = [run] if (run := find_run(client, name)) else None
        if found is None:
            wanted = f"attributes.run_name = {quote}{name}{quote}"
            found = list(client.search_runs([store.experiment_id], wanted))
        if not found:
            return None
        if len(found) > 1:
            ids = [str(one.info.run_id) for one in found]
            raise DataError(
                f"{name}: several MLflow runs have this name; give an id:\n{listing(ids)}"
            )
        [run] = found
        for path in files:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(Exception):  # MLflow, requests, the system; it is not there
                # A local store leaves out the folders that a server's files keep.
                got = client.download_artifacts(run.info.run_id, path, str(folder))
                Path(got).replace(folder / path)
    return RecordedRun(run.info.run_id, run.info.run_name, run.data.tags.get("dvc_experiment"))
