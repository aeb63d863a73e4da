"""What a finished training was made from: found by a bundle, a revision, a DVC experiment, an MLflow run."""

import contextlib
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segpipe.bundle_format import DESCRIPTION, read_description
from segpipe.params.schema import TrackingParams
from segpipe.results.evaluation import Evaluation
from segpipe.results.experiments import commit_of, experiment_commit, read_run
from segpipe.results.records import METRICS, read_record, shown_values
from segpipe.results.training import TrainingSummary
from segpipe.runtime.errors import DataError
from segpipe.runtime.small_files import read_json

if TYPE_CHECKING:
    from segpipe.tracking.lookup import RecordedRun

ENVIRONMENT = "environment.json"


@dataclass(frozen=True)
class Origin:
    """What made a model, as far as is known.

    place: where that was found, in words. commit: of the code. parameters: those that counted, nested;
    None for those of the commit's params.yaml. code: the hash of the training's code. data: the
    fingerprint of the prepared data. weights: SHA-256 by file. scores: by label. environment: on what it
    was trained.
    """

    name: str
    place: str
    commit: str | None
    parameters: Mapping[str, Any] | None = None
    code: str | None = None
    data: str | None = None
    weights: Mapping[str, str] = field(default_factory=dict)
    scores: Mapping[str, float | None] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)


def find_origin(name: str, settings: TrackingParams) -> Origin:
    """Return what `name` was made from.

    It is looked for as the folder of a bundle, a revision of git or DVC experiment, and an MLflow run (by
    its id or name), in this order. Raises DataError when it is none of them.
    """
    if (Path(name) / DESCRIPTION).is_file():
        return of_bundle(name, f"the bundle in {name}", Path(name))
    if commit := commit_of(name) or experiment_commit(name):
        return Origin(name, f"commit {commit[:10]}", commit)
    from segpipe.tracking.lookup import recorded_run  # MLflow takes seconds to import

    with tempfile.TemporaryDirectory() as folder:
        run = recorded_run(name, settings, Path(folder))
        if run is None:
            raise DataError(
                f"{name}: is no folder with {DESCRIPTION}, no revision of git, no DVC experiment and no "
                "MLflow run; `dvc exp show` and `segpipe ui` list them"
            )
        place = f"MLflow run {run.run_id} ({run.name})"
        if commit := _commit_of_experiment(run):
            # It holds the code as well where that was not committed when the experiment began.
            return Origin(name, f"{place}, DVC experiment {run.experiment}, {commit[:10]}", commit)
        bundle = Path(folder) / "bundle"
        if not (bundle / DESCRIPTION).is_file():
            raise DataError(
                f"{name}: {place} holds no bundle, and no DVC experiment here is that of the run; its "
                "training did not end, or its files are still in .segpipe/unsent of where it ran"
            )
        found = of_bundle(name, place, bundle)
        files = Path(folder) / "evaluation", Path(folder) / "training"
        return replace(found, scores={**found.scores, **scores_in(*files)})


def _commit_of_experiment(run: "RecordedRun") -> str | None:
    """Return the commit of a run's DVC experiment, where that is here and names the run."""
    with contextlib.suppress(DataError):  # several of the name, or one without results
        commit = experiment_commit(run.experiment) if run.experiment else None
        training = read_run(commit).training if commit else None
        if training and training.mlflow_run == run.run_id:
            return commit
    return None


def of_bundle(name: str, place: str, folder: Path) -> Origin:
    """Return what the description of a bundle says of its origin."""
    about = read_description(folder)
    lineage, environment = about.lineage, folder / ENVIRONMENT
    revision = lineage.get("git_commit")
    miou = lineage.get("scores", {}).get("val_miou")
    return Origin(
        name=name,
        place=place,
        commit=revision and revision.removesuffix("-dirty"),
        parameters=lineage.get("parameters"),
        code=lineage.get("code"),
        data=lineage.get("data"),
        weights=about.sha256,
        scores={"mIoU while training": miou},
        environment=read_json(environment) if environment.is_file() else {},
    )


def of_project(origin: Origin, project: Path) -> Origin:
    """Return `origin`, of a commit alone, with what the files of the checked-out project say more."""
    scores = scores_in(project / METRICS, project / METRICS)
    if not (project / "models" / DESCRIPTION).is_file():
        return replace(origin, scores=scores)
    found = of_bundle(origin.name, origin.place, project / "models")
    # The commit holds the code and the parameters; an experiment's bundle was written before it.
    return replace(
        found, commit=origin.commit, parameters=None, code=None, scores={**found.scores, **scores}
    )


def scores_in(evaluation: Path, training: Path) -> dict[str, float | None]:
    """Return the scores of evaluation.json and training.json in two folders, where they are there."""
    scores: dict[str, float | None] = {}
    if (training / TrainingSummary.file).is_file():
        summary = read_record(TrainingSummary, training / TrainingSummary.file)
        scores["mIoU while training"] = summary.val_miou
    if (evaluation / Evaluation.file).is_file():
        found = shown_values(read_record(Evaluation, evaluation / Evaluation.file))
        scores |= {one.label: one.value for one in found}
    return scores
