"""The models that can be chosen: bundles in folders, those of DVC experiments, and of MLflow runs.

A choice is a name of a list that is made here, never a path: what is not listed cannot be opened.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path

from segpipe.bundle_format import DESCRIPTION, PREDICTING, SHIPPED
from segpipe.params.load import load_params
from segpipe.params.schema import TrackingParams
from segpipe.registry.find import fetch_committed_bundle
from segpipe.results.experiments import commit_of, experiments
from segpipe.runtime.errors import BundleError, SegpipeError
from segpipe.runtime.provenance import PARAMETERS
from segpipe.runtime.state import repository_root
from segpipe.tracking.bundles import fetch_bundle, tracked_models

FOLDERS, EXPERIMENTS, RUNS = "Folders", "DVC experiments", "MLflow runs"
_SHIPPED_NAME = "streets (comes with segpipe)"

# By the name that is shown: returns the folder of the bundle, fetched before where it is none yet.
Models = Mapping[str, Callable[[], Path]]


def models_of(origin: str, folders: Sequence[Path]) -> Models:
    """Return the models of one origin: FOLDERS, EXPERIMENTS or RUNS. folders: those of FOLDERS."""
    if origin == EXPERIMENTS:
        return _of_experiments()
    if origin == RUNS:
        return _of_runs()
    return _in_folders(folders)


def files_state(folder: Path) -> tuple[int, ...]:
    """Return what changes when a bundle is replaced; BundleError where a file is missing."""
    found: list[int] = []
    for path in (folder / name for name in PREDICTING):
        try:
            about = path.stat()
        except OSError as error:
            raise BundleError(
                f"{path}: {error.strerror}; copy the model again, or train it"
            ) from error
        found += [about.st_ino, about.st_mtime_ns, about.st_size]
    return tuple(found)


def _in_folders(folders: Sequence[Path]) -> Models:
    """Return the bundles that the folders are or hold; the one of segpipe comes last.

    A folder in them that is a link to somewhere else is left out.
    """
    found: dict[str, Path] = {}
    for root in folders:
        inside = sorted(root.iterdir()) if root.is_dir() else []
        for folder in (root, *inside):
            if (folder / DESCRIPTION).is_file() and folder.resolve().is_relative_to(root.resolve()):
                found.setdefault(str(folder), folder)
    found[_SHIPPED_NAME] = SHIPPED
    return {name: partial(Path, folder) for name, folder in found.items()}


def _of_experiments() -> Models:
    known = experiments()
    counts = Counter(name for name, _, _ in known)
    found: dict[str, Callable[[], Path]] = {}
    for name, baseline, ref in known:
        shown = name if counts[name] == 1 else f"{name} on {baseline[:7]}"
        found[shown] = partial(_fetched_experiment, name, ref)
    return found


def _fetched_experiment(name: str, ref: str) -> Path:
    """Return the folder of an experiment's model, brought from DVC's cache or remote at first."""
    commit = commit_of(ref)
    if commit is None:
        raise BundleError(f"{name}: the experiment was removed; reload the page")
    target = _kept(commit)
    if not target.is_dir():
        fetch_committed_bundle(name, commit, target)
    return target


def _of_runs() -> Models:
    try:
        settings = load_params(PARAMETERS).tracking
    except SegpipeError:
        settings = TrackingParams()
    found: dict[str, Callable[[], Path]] = {}
    for run in tracked_models(settings):
        when = datetime.fromtimestamp(run.started / 1000).strftime("%Y-%m-%d %H:%M")
        shown = f"{run.name}, {when}, {run.run_id[:8]}"
        found[shown] = partial(_fetched_run, settings, run.run_id)
    return found


def _fetched_run(settings: TrackingParams, run_id: str) -> Path:
    """Return the folder of a run's model, brought from MLflow at first."""
    target = _kept(run_id)
    if not target.is_dir():
        fetch_bundle(settings, run_id, PREDICTING, target)
    return target


def _kept(name: str) -> Path:
    """Return where a model is kept that has been fetched; `name` is a commit or the id of a run."""
    return repository_root() / ".segpipe" / "dashboard" / name
