"""What the trials of a sweep show: the best, the Pareto front, what matters, whether there is a winner."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from segpipe.runtime.errors import DataError, SegpipeError
from segpipe.sweeps.definition import Definition
from segpipe.sweeps.measures import Direction, row_label
from segpipe.sweeps.study import Record

_BINS = 4  # of the values of a number, by their rank


@dataclass(frozen=True)
class Trial:
    """A trial as it is shown. means, deviations: of each metric over the seeds."""

    record: Record
    means: Mapping[str, float]
    deviations: Mapping[str, float | None]


@dataclass(frozen=True)
class Importance:
    """How much of the variance of a metric a parameter explains alone, and in how many trials it occurs.

    share: epsilon squared (Kelley 1935), the part between groups of equal value less what chance would
    give, in 0..1; None where it cannot be told.
    """

    parameter: str
    metric: str
    share: float | None
    trials: int


def shown_trials(records: Sequence[Record]) -> list[Trial]:
    """Return the trials with the means of their values."""
    return [
        Trial(
            record=one,
            means={name: fmean(values) for name, values in one.values.items()},
            deviations={
                name: stdev(values) if len(values) > 1 else None
                for name, values in one.values.items()
            },
        )
        for one in records
    ]


def complete(trials: Sequence[Trial]) -> list[Trial]:
    """Return the trials that count: those that came to their end."""
    return [one for one in trials if one.record.state == "complete"]


def ranked(trials: Sequence[Trial], metric: str, direction: Direction) -> list[Trial]:
    """Return the complete trials, the best mean first."""
    sign = -1 if direction == "maximize" else 1
    return sorted(complete(trials), key=lambda one: (sign * one.means[metric], one.record.number))


def pareto_front(trials: Sequence[Trial], metrics: Mapping[str, Direction]) -> list[Trial]:
    """Return the complete trials that no other one beats, by the first metric, the best first.

    One beats another by being no worse in any metric and better in one.
    """
    first = next(iter(metrics.items()))
    front: list[Trial] = []
    for one in ranked(trials, *first):
        costs = _costs(one, metrics)
        others = (_costs(other, metrics) for other in complete(trials))
        if not any(
            other != costs and all(a <= b for a, b in zip(other, costs, strict=True))
            for other in others
        ):
            front.append(one)
    return front


def importances(trials: Sequence[Trial], definition: Definition) -> list[Importance]:
    """Return what each parameter explains of each metric, the most important first."""
    found = []
    for metric in definition.metrics:
        rows = []
        for key in definition.space:
            having = [one for one in complete(trials) if key in one.record.point]
            values = [one.record.point[key] for one in having]
            share = explained(values, [one.means[metric] for one in having])
            rows.append(Importance(key, metric, share, len(having)))
        found += sorted(rows, key=lambda row: -1 if row.share is None else row.share, reverse=True)
    return found


def explained(values: Sequence[Any], scores: Sequence[float]) -> float | None:
    """Return epsilon squared of scores grouped by value; numbers of more than four kinds by quarter."""
    groups: dict[Any, list[float]] = {}
    for group, score in zip(_grouped(values), scores, strict=True):
        groups.setdefault(group, []).append(score)
    number, kinds = len(scores), len(groups)
    if kinds < 2 or number <= kinds:
        return None
    mean = fmean(scores)
    whole = sum((score - mean) ** 2 for score in scores)
    within = sum((score - fmean(group)) ** 2 for group in groups.values() for score in group)
    if not whole:
        return None
    return max(0.0, 1 - within / (number - kinds) / (whole / (number - 1)))


def verdicts(trials: Sequence[Trial], definition: Definition) -> list[str]:
    """Return whether the best point is shown to be better than each other, in words.

    Needs the experiments: points are compared as families of seeds on the same images (`segpipe repeat
    --against` does the same).
    """
    metric, direction = next(iter(definition.metrics.items()))
    order, label = ranked(trials, metric, direction), row_label(metric)
    if len(order) < 2 or len(definition.metrics) > 1:
        return []
    best, name = order[0], f"trial {order[0].record.number}"
    if label is None:
        return [f"no winner: how sure {metric} is, is not known; {name} has the best value"]
    if definition.repeats < 3:
        return [
            f"no winner: with {definition.repeats} seed(s) a difference shows nothing of other seeds; {name} "
            "has the best value (`repeats: 3` or more)"
        ]
    close = []
    for other in order[1:]:
        try:
            if not _is_shown(best.record.experiments, other.record.experiments, label):
                close.append(f"{other.record.number}")
        except SegpipeError as error:
            return [f"no winner: {name} has the best mean, but {error}"]
    if close:
        return [
            f"no winner: {name} has the best mean, and is not shown to be better than {', '.join(close)}"
        ]
    return [
        f"winner: {name} is shown to be better than each other point (95 % intervals of the differences)"
    ]


def _is_shown(best: Sequence[str], other: Sequence[str], label: str) -> bool:
    from segpipe.evaluation.family import family_differences
    from segpipe.results.experiments import read_run

    apart = family_differences(
        [read_run(name) for name in other], [read_run(name) for name in best]
    )
    if apart.refusal:
        raise DataError(apart.refusal)
    found = apart.of_row.get(("score", label))
    if found is None or not found.known:
        raise DataError(f"there is no interval: {found.basis if found else 'no such score'}")
    return found.low > 0 or found.high < 0


def _costs(one: Trial, metrics: Mapping[str, Direction]) -> list[float]:
    return [
        -one.means[name] if way == "maximize" else one.means[name] for name, way in metrics.items()
    ]


def _grouped(values: Sequence[Any]) -> list[Any]:
    numbers = all(
        isinstance(value, int | float) and not isinstance(value, bool) for value in values
    )
    if not numbers or len(set(values)) <= _BINS:
        return [repr(value) for value in values]
    order = sorted(range(len(values)), key=lambda place: values[place])
    groups = [0] * len(values)
    for rank, place in enumerate(order):
        groups[place] = rank * _BINS // len(values)
    return groups
