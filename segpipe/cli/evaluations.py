"""The scores and costs of one evaluation, from a folder, a git revision or a DVC experiment."""

import difflib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, Field, ValidationError

from segpipe.cli.git import commit_of, experiments, file_of, in_repository
from segpipe.runtime.errors import DataError, listing

METRICS = Path("metrics")
WORKSPACE = "workspace"
_EVALUATION, _TRAINING = "evaluation.json", "training.json"


class Interval(BaseModel):
    """The ends of a 95 % interval, 0..1."""

    low: float
    high: float


class ClassScore(BaseModel):
    """IoU in 0..1, None without meaning, and the valid pixels that truly belong to the class."""

    iou: float | None
    pixels: int = Field(ge=0)


class ByImage(BaseModel):
    """Means over the images that hold a class, None without any, and their intervals."""

    iou: float | None
    iou_interval: Interval | None
    dice: float | None
    dice_interval: Interval | None


class Foreground(BaseModel):
    """What is said more of the class that one logit scores."""

    by_image: ByImage
    average_precision: float | None


class Evaluation(BaseModel):
    """What is compared of evaluation.json."""

    miou: float | None
    miou_interval: Interval | None
    pixel_accuracy: float | None
    pixel_accuracy_interval: Interval | None
    foreground: Foreground | None = None
    classes: dict[str, ClassScore] = Field(min_length=1)
    protocol: dict[str, Any]


class Costs(BaseModel):
    """What is compared of training.json: speed, seconds, megabytes, and on what."""

    images_per_second: float
    seconds: float
    peak_memory_mb: float
    device: str
    processes: int
    precision: str


@dataclass(frozen=True)
class Measured:
    """An evaluation under the name that the user gave it. place: where it was found, in words."""

    name: str
    place: str
    evaluation: Evaluation
    costs: Costs | None


def read_measured(name: str) -> Measured:
    """Read the evaluation that `name` stands for.

    `workspace` is metrics/ here; then come a folder (with evaluation.json, or with a metrics/ that
    holds it), what git knows by the name, and the DVC experiments, in this order. Raises DataError
    with the nearest names when it is none of them, or when what it names holds no evaluation.
    """
    if name == WORKSPACE:
        return _from_folder(name, METRICS)
    folder = Path(name)
    holders = [place for place in (folder, folder / METRICS) if (place / _EVALUATION).is_file()]
    if holders:
        return _from_folder(name, holders[0])
    commit = commit_of(name) or _experiment(name)
    if commit is None:
        raise DataError(_unknown(name))
    return _from_commit(name, commit)


def _from_folder(name: str, folder: Path) -> Measured:
    evaluation = folder / _EVALUATION
    if not evaluation.is_file():
        raise DataError(f"{evaluation}: there is no such file; run `dvc repro` first")
    training = folder / _TRAINING
    costs = (
        _parse(Costs, training.read_bytes(), str(training), "train") if training.is_file() else None
    )
    scores = _parse(Evaluation, evaluation.read_bytes(), str(evaluation), "evaluate")
    return Measured(name, f"{folder}/", scores, costs)


def _from_commit(name: str, commit: str) -> Measured:
    place = f"commit {commit[:10]}"
    content = file_of(commit, METRICS / _EVALUATION)
    if content is None:
        raise DataError(
            f"{name} ({place}) holds no {METRICS / _EVALUATION} below the current folder; results "
            "stand in a commit once they are added (`git add metrics dvc.lock` after `dvc repro`), "
            f"in an experiment always{_known()}"
        )
    cost = file_of(commit, METRICS / _TRAINING)
    where = f"{name}:{METRICS}"
    costs = None if cost is None else _parse(Costs, cost, f"{where}/{_TRAINING}", "train")
    scores = _parse(Evaluation, content, f"{where}/{_EVALUATION}", "evaluate")
    return Measured(name, place, scores, costs)


def _experiment(name: str) -> str | None:
    """Return the commit of an experiment; of several, the one on the current commit, as DVC does."""
    named = [(baseline, ref) for other, baseline, ref in experiments() if other == name]
    here = commit_of("HEAD")
    named = [one for one in named if one[0] == here] or named
    if len(named) > 1:
        raise DataError(
            f"{name}: several experiments bear this name; give one of them in full:\n"
            + listing([ref for _, ref in named])
        )
    return commit_of(named[0][1]) if named else None


def _unknown(name: str) -> str:
    if not in_repository():
        return (
            f"{name}: there is no folder with {_EVALUATION} of this name, and no git repository here "
            "that could know it as a revision or an experiment"
        )
    names = sorted({known for known, _, _ in experiments()})
    near = difflib.get_close_matches(name, [*names, WORKSPACE], n=3, cutoff=0.5)
    hint = f"; did you mean {' or '.join(near)}?" if near else _known()
    return (
        f"{name}: is no folder with {_EVALUATION}, no revision of git and no DVC experiment{hint}"
    )


def _known() -> str:
    names = sorted({known for known, _, _ in experiments()})
    return f"; the experiments here:\n{listing(names)}" if names else "; there is no experiment yet"


_Model = TypeVar("_Model", bound=BaseModel)


def _parse(model: type[_Model], content: bytes, place: str, stage: str) -> _Model:
    try:
        return model.model_validate(json.loads(content))
    except ValidationError as error:
        faults = [
            f"{'.'.join(map(str, fault['loc'])) or 'the whole file'}: {fault['msg']}"
            for fault in error.errors()
        ]
        raise DataError(
            f"{place}: is not what the {stage} stage writes; run `dvc repro` anew, or read it with "
            f"the segpipe that wrote it:\n{listing(faults)}"
        ) from error
    except ValueError as error:
        raise DataError(f"{place}: is no JSON ({error}); run `dvc repro {stage}` anew") from error
