"""The points of a sweep's space, as values by dotted key, and as settings of an experiment."""

import copy
import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from segpipe.params.load import validate
from segpipe.params.settings import set_in
from segpipe.runtime.errors import ParameterError
from segpipe.runtime.provenance import PARAMETERS
from segpipe.runtime.yaml_file import read_yaml
from segpipe.sweeps.definition import Definition, Dimension
from segpipe.sweeps.experiment import Experiment

Point = dict[str, Any]
_MOST_CHECKED = 2000  # corners of a space; each takes some milliseconds


def grid(definition: Definition) -> list[Point]:
    """Return all points of a grid in the order of the file, the last parameter changing fastest.

    A parameter whose condition is not met is absent from the point.
    """
    return list(_points(definition.space, lambda one: one.values or []))


def drawn(definition: Definition, draw: Callable[[str, Dimension], Any]) -> Point:
    """Return a point whose values `draw` gives, in the order of the file, where conditions are met."""
    point: Point = {}
    for key, one in definition.space.items():
        if one.applies(point):
            point[key] = draw(key, one)
    return point


def settings(definition: Definition, point: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what `dvc exp run -S` takes for a point, with the parameters of all trials before it."""
    return tuple(
        f"{key}={_written(value)}" for key, value in {**definition.settings, **point}.items()
    )


def shown_point(point: Mapping[str, Any]) -> str:
    """Return the values of a point in a line."""
    return ", ".join(f"{key}={value}" for key, value in point.items())


def refuse_impossible(definition: Definition) -> int:
    """Raise ParameterError, with the point, for a value that the parameters do not take.

    Checked are all points of a grid, and of another space all combinations of choices and ends, up to 2000.
    Returns how many were checked.
    """
    whole = definition.search == "grid"
    points = _points(definition.space, lambda one: (one.values or []) if whole else one.ends)
    base, checked = read_yaml(PARAMETERS), 0
    for point in itertools.islice(points, _MOST_CHECKED):
        content = copy.deepcopy(base)
        for key, value in {**definition.settings, **point}.items():
            set_in(content, key, value)
        shown = shown_point(point)
        validate(content, f"the point {shown}")
        if not checked and _differs(Experiment("", settings(definition, point)), content):
            raise ParameterError(
                f"the point {shown}: DVC reads its values otherwise; write them otherwise"
            )
        checked += 1
    return checked


def _differs(experiment: Experiment, content: Any) -> bool:
    return experiment.parameters() != validate(content, PARAMETERS.name)


def _points(
    space: Mapping[str, Dimension], values: Callable[[Dimension], list[Any]]
) -> Iterator[Point]:
    def extend(keys: list[str], point: Point) -> Iterator[Point]:
        if not keys:
            yield point
        elif space[keys[0]].applies(point):
            for value in values(space[keys[0]]):
                yield from extend(keys[1:], {**point, keys[0]: value})
        else:
            yield from extend(keys[1:], point)

    return extend(list(space), {})


def _written(value: Any) -> str:
    """Write a value as DVC's `-S` takes it: text in quotes unless it is a word or words."""
    if isinstance(value, str):
        plain = value.replace(" ", "").replace("_", "").isalnum() and value == value.strip()
        word = value.lower() in ("null", "true", "false") or _is_number(value)
        return (
            value
            if plain and not word
            else "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
        )
    if isinstance(value, list):
        return f"[{','.join(map(_written, value))}]"
    return json.dumps(value)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
