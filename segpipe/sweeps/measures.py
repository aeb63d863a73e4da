"""By what a point of a sweep is judged: any number that its trainings have written.

`evaluation.miou` is a field of metrics/evaluation.json, `training.images_per_second` one of
metrics/training.json, `history.val_loss` a column of metrics/history.csv, in its last row that has a value.
"""

from typing import Any, Literal, get_args

from pydantic import BaseModel

from segpipe.results.evaluation import ClassScores, Evaluation
from segpipe.results.experiments import RunResults, read_run, read_run_table
from segpipe.results.records import shown_fields
from segpipe.results.training import HistoryRow, TrainingSummary
from segpipe.runtime.errors import DataError, did_you_mean

Direction = Literal["maximize", "minimize"]
_CLASSES = "evaluation.classes."
_NOT_NUMBERS = ("classes", "categories", "boundaries", "protocol")  # of varying form, or no result


def known_measures() -> list[str]:
    """Return the names of what can be measured, but for those by class, whose names the data gives."""
    return [
        *(f"evaluation.{name}" for name in _numbers(Evaluation)),
        *(f"training.{name}" for name in _numbers(TrainingSummary)),
        *(f"history.{name}" for name in _numbers(HistoryRow)),
    ]


def refuse_unknown_measure(name: str) -> None:
    """Raise ValueError, with the nearest name, for a number that no training writes."""
    by_class = name.startswith(_CLASSES) and name.rpartition(".")[2] in _numbers(ClassScores)
    known = known_measures()
    if name not in known and not by_class:
        hint = (
            did_you_mean(name, known) or f"such as evaluation.miou, {_CLASSES}NAME.iou, {known[-1]}"
        )
        raise ValueError(f"{name} is no number that trainings write; {hint}")


def measured(ref: str, names: list[str]) -> dict[str, float]:
    """Return the named numbers of an experiment; DataError where it has one of them not."""
    run = read_run(ref)
    return {name: _value(run, name) for name in names}


def row_label(name: str) -> str | None:
    """Return the name of a score in comparisons of runs, None for what stands in no comparison."""
    section, _, field = name.partition(".")
    shown = shown_fields(Evaluation) if section == "evaluation" else {}
    return shown[field].label if field in shown else None


def _value(run: RunResults, name: str) -> float:
    section, _, field = name.partition(".")
    found: Any
    if section == "history":
        column = [getattr(row, field) for row in read_run_table(run.name, HistoryRow)]
        found = next((value for value in reversed(column) if value is not None), None)
    elif name.startswith(_CLASSES):
        class_name, _, score = name.removeprefix(_CLASSES).rpartition(".")
        found = getattr(run.evaluation.classes.get(class_name), score, None)
    else:
        found = run.evaluation if section == "evaluation" else run.training
        for part in field.split("."):
            found = getattr(found, part, None)
    if found is None:
        raise DataError(
            f"{run.name}: has no {name}; the metric of a sweep must be one that all trials have"
        )
    return float(found)


def _numbers(model: type[BaseModel]) -> list[str]:
    """Return the dotted names of the fields that are numbers, also within other models."""
    names = []
    for name, field in model.model_fields.items():
        kinds = [kind for kind in (get_args(field.annotation) or (field.annotation,)) if kind]
        inner = next((k for k in kinds if isinstance(k, type) and issubclass(k, BaseModel)), None)
        if name in _NOT_NUMBERS or name.endswith("interval"):
            continue
        if inner is not None:
            names += [f"{name}.{one}" for one in _numbers(inner)]
        elif any(kind in (int, float) for kind in kinds) and field.annotation is not bool:
            names.append(name)
    return names
