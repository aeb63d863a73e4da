"""A trained model with its results: of a bundle, a revision, a DVC experiment or an MLflow run."""

import contextlib
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segpipe.bundle_format import (
    BEST,
    DESCRIPTION,
    PREDICTING,
    Description,
    file_sha256,
    read_description,
)
from segpipe.params.schema import TrackingParams
from segpipe.results.evaluation import Evaluation
from segpipe.results.evaluation_tables import ImageCountsRow
from segpipe.results.experiments import commit_of, experiment_commit, read_run
from segpipe.results.records import METRICS, read_record, write_record, write_table
from segpipe.results.training import TrainedRun, TrainingSummary
from segpipe.runtime.atomic import atomic_dir
from segpipe.runtime.errors import BundleError, DataError, SegpipeError
from segpipe.runtime.small_files import read_json
from segpipe.runtime.yaml_file import read_yaml

_MODELS, _LOCK = "models", "dvc.lock"
_ENVIRONMENT = "environment.json"
_RESULTS = (Evaluation.file, ImageCountsRow.file, TrainingSummary.file)
_OF_RUN = {
    "bundle": (*PREDICTING, _ENVIRONMENT),
    "evaluation": (Evaluation.file, ImageCountsRow.file),
    "training": (TrainingSummary.file,),
}


@dataclass(frozen=True)
class TrainedModel:
    """A model and what is known of it.

    bundle: its folder. results: those files of `evaluation.json`, `image_counts.csv` and `training.json`
    that there are, by name. run_id: of its MLflow run, None where it has none.
    """

    bundle: Path
    about: Description
    results: Mapping[str, Path]
    run_id: str | None

    @property
    def evaluation(self) -> Evaluation:
        """The scores of the evaluate stage."""
        return read_record(Evaluation, self.results[Evaluation.file])

    @property
    def training(self) -> TrainingSummary | None:
        """What the training cost."""
        path = self.results.get(TrainingSummary.file)
        return read_record(TrainingSummary, path) if path else None

    @property
    def environment(self) -> dict[str, Any]:
        """On what it was trained."""
        path = self.bundle / _ENVIRONMENT
        return read_json(path) if path.is_file() else {}

    @property
    def content(self) -> str:
        """The SHA-256 of weights, description and scores: what tells it from other versions."""
        files = [self.bundle / name for name in PREDICTING]
        files += [path for name, path in self.results.items() if name != TrainingSummary.file]
        return hashlib.sha256(" ".join(map(file_sha256, files)).encode()).hexdigest()


def find_trained(name: str, settings: TrackingParams, scratch: Path) -> TrainedModel:
    """Return the model that `name` stands for, with its evaluation.

    It is looked for as the folder of a bundle, a revision of git or DVC experiment, and an MLflow run (by
    its id or name), in this order. What must be brought from elsewhere is written below the folder
    `scratch`. Raises DataError when it is none of them or was not evaluated, BundleError for a bundle that
    cannot be read.
    """
    bundle, run_id = Path(name), None
    if (bundle / DESCRIPTION).is_file():
        results = _results_beside(bundle)
    elif commit := commit_of(name) or experiment_commit(name):
        bundle, results = scratch / "bundle", scratch / METRICS
        fetch_committed_bundle(name, commit, bundle)
        _write_results(name, results)
    else:
        run_id = _fetch_run(name, settings, scratch)
        bundle, results = scratch / "bundle", scratch / METRICS
    about = read_description(bundle)
    if not (bundle / BEST).is_file():
        raise BundleError(f"{name}: holds no {BEST}; copy the model again, or train it")
    known = {one: results / one for one in _RESULTS if (results / one).is_file()}
    if Evaluation.file not in known:
        raise DataError(
            f"{name}: there is no {Evaluation.file}, which holds its scores; run `dvc repro evaluate`, "
            "then try again"
        )
    return TrainedModel(bundle, about, known, run_id or _run_of(results))


def fetch_committed_bundle(name: str, commit: str, target: Path) -> None:
    """Bring the model of a commit from DVC's cache or remote into the folder `target`, whole or not.

    Raises BundleError, with `name`, where that fails.
    """
    from dvc.api import DVCFileSystem  # DVC takes a second to import

    try:
        with atomic_dir(target) as partial:
            files = DVCFileSystem(rev=commit)
            for file in PREDICTING:
                files.get_file(f"{_MODELS}/{file}", str(partial / file))
    except Exception as error:  # DVC, git and what reads remotes each raise their own
        cause = str(error).partition("\n")[0] or type(error).__name__
        raise BundleError(
            f"{name}: its model cannot be read from DVC's cache or remote ({cause}); "
            f"try dvc exp apply {name}"
        ) from error


def _results_beside(bundle: Path) -> Path:
    """Return the folder of the results of a bundle: itself, or metrics/ beside models/.

    Raises DataError where metrics/ is of another model than this one.
    """
    if (bundle / Evaluation.file).is_file():
        return bundle
    project = bundle.absolute().parent
    results, scores = project / METRICS, read_description(bundle).lineage.get("scores", {})
    if not (results / Evaluation.file).is_file():
        return results
    with contextlib.suppress(DataError):  # no training.json
        trained = read_record(TrainingSummary, results / TrainingSummary.file)
        recorded = scores.get("best_step"), scores.get("val_miou")
        if (trained.best_step, trained.val_miou) == recorded and not _is_stale(project / _LOCK):
            return results
    raise DataError(
        f"{results}: holds the scores of another model than {bundle}; run `dvc repro evaluate`, or lay its "
        f"own {Evaluation.file} into {bundle}"
    )


def _is_stale(lock: Path) -> bool:
    """Whether DVC evaluated another model than the one that it trained last."""
    if not lock.is_file():
        return False
    with contextlib.suppress(KeyError, TypeError, StopIteration, SegpipeError):
        stages = read_yaml(lock)["stages"]
        made, used = (
            next(one for one in stages[stage][kind] if one["path"] == _MODELS)["md5"]
            for stage, kind in (("train", "outs"), ("evaluate", "deps"))
        )
        return bool(made != used)
    return False


def _write_results(name: str, folder: Path) -> None:
    """Write the results of a revision or experiment into the new `folder`."""
    run = read_run(name)
    folder.mkdir()
    write_record(folder / Evaluation.file, run.evaluation)
    if run.image_counts is not None:
        write_table(
            folder / ImageCountsRow.file,
            ImageCountsRow,
            run.image_counts,
            protocol=run.evaluation.protocol.summary,
        )
    if run.training is not None:
        write_record(folder / TrainingSummary.file, run.training)


def _run_of(results: Path) -> str | None:
    """Return the MLflow run that results name, if they do."""
    for model, field in ((TrainingSummary, "mlflow_run"), (TrainedRun, "run_id")):
        path = results / model.file
        if path.is_file() and (run_id := getattr(read_record(model, path), field)):
            return str(run_id)
    return None


def _fetch_run(name: str, settings: TrackingParams, scratch: Path) -> str:
    """Bring bundle and results of an MLflow run into `scratch`/bundle and metrics; return the run's id."""
    from segpipe.tracking.lookup import recorded_run  # MLflow takes seconds to import

    files = [f"{folder}/{one}" for folder, names in _OF_RUN.items() for one in names]
    run = recorded_run(name, settings, scratch, files)
    if run is None:
        raise DataError(
            f"{name}: is no folder with {DESCRIPTION}, no revision of git, no DVC experiment and no MLflow "
            "run; `dvc exp show` and `segpipe ui` list them"
        )
    (scratch / METRICS).mkdir()
    for path in (scratch / one for one in files if not one.startswith("bundle/")):
        if path.is_file():
            path.replace(scratch / METRICS / path.name)
    return run.run_id
