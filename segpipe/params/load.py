"""params.yaml becomes typed sections, or one message that lists everything wrong with it."""

import copy
import difflib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from segpipe.params.overlay import overlaid
from segpipe.params.schema import Params
from segpipe.params.section import Section, section_of, since
from segpipe.params.writer import yaml_value
from segpipe.runtime.console import say
from segpipe.runtime.errors import ParameterError, excerpt
from segpipe.runtime.yaml_file import read_yaml

# Parameters of older versions that are gone: the value at which they did nothing, and what is instead;
# None where any value may stay, since nothing depends on it any more.
_REMOVED: dict[str, tuple[Any, str]] = {
    "train.auto_accumulate": (
        False,
        "a training that runs out of memory says which train.accumulation would need less",
    ),
    "evaluate.bootstrap": (None, "intervals need no random samples"),
    "evaluate.seed": (None, "intervals need no random samples"),
}
_WANTED = {
    "float_type": "a number",
    "finite_number": "a finite number",
    "int_type": "a whole number",
    "string_type": "text",
    "bool_type": "true or false",
    "dict_type": "a section",
    "tuple_type": "a list of two numbers, [lower, upper]",
    "missing": "a list of two numbers, [lower, upper]",
    "too_long": "a list of two numbers, [lower, upper]",
}


def load_params(path: Path) -> Params:
    """Read and validate all of a parameter file.

    It is read with ruamel.yaml in YAML 1.2, exactly as DVC reads it: `1e-4` is a number. A file of an
    older version is read at the values at which later parameters change nothing, and one line says so.

    Raises ParameterError with one line for each fault: unknown keys (with the nearest known one),
    missing keys (with their default), wrong types, values out of range, combinations that cannot work.
    """
    content = read_yaml(path)
    params = validate(content, str(path.name))
    if os.environ.get("RANK", "0") == "0" and (lines := outdated(content)):
        say(
            f"{path.name}: is of an older version ({'; '.join(lines)}); it is read as if it said so, and "
            "`segpipe use --upgrade` brings it up to date"
        )
    return params


def load_overlay(path: Path) -> Params:
    """Read a parameter file that may name only what differs from the defaults, such as a recipe.

    Raises ParameterError as `load_params` does, but for keys that are missing.
    """
    return validate(overlaid(read_yaml(path)), path.name)


def is_whole(content: Any) -> bool:
    """Return whether a parameter file (its plain content) names every parameter of this version."""
    return isinstance(content, dict) and not _gaps(content) and not outdated(content)


def validate(content: Any, name: str) -> Params:
    """Return the sections that `content` (nested dictionaries) describes; `name` is used in errors."""
    if not isinstance(content, dict):
        raise ParameterError(f"{name}: must hold sections such as `train:`, not {_kind(content)}")
    content, faults = _without_removed(content)
    faults += _gaps(content)
    try:
        params = Params.model_validate(content)
    except ValidationError as error:
        faults += [_explain(fault, content) for fault in error.errors()]
    if faults:
        raise ParameterError("\n".join(f"{name}: {fault}" for fault in faults[:10]) + _rest(faults))
    return params


def outdated(content: dict[str, Any]) -> list[str]:
    """Return what a parameter file lacks of later versions, and what it has that is gone."""
    lines = [
        f"{place} is missing: {'{}' if section_of(field) else _default_of(field)}"
        for place, field in _missing(content, Params)
        if since(field)
    ]
    gone = [place for place in _REMOVED if _has(content, place)]
    return lines + [f"{place} is no longer a parameter" for place in gone]


def _missing(
    content: dict[str, Any], section: type[Section], prefix: str = ""
) -> Iterator[tuple[str, FieldInfo]]:
    """Yield the parameters and sections that a file leaves out, by dotted key."""
    for key, field in section.model_fields.items():
        inner = section_of(field)
        if key not in content:
            yield f"{prefix}{key}", field
        elif inner and isinstance(content[key], dict):
            yield from _missing(content[key], inner, f"{prefix}{key}.")


def _default_of(field: FieldInfo) -> str:
    return yaml_value(field.get_default(call_default_factory=True))


def _without_removed(content: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the content without parameters that are gone, and a fault for each that was in use."""
    content, faults = copy.deepcopy(content), []
    for place, (neutral, instead) in _REMOVED.items():
        if _has(content, place):
            section, _, key = place.rpartition(".")
            if _section(content, section).pop(key) != neutral and neutral is not None:
                faults.append(
                    f"{place} is no longer a parameter: {instead}; take it out, or set it to "
                    f"{yaml_value(neutral)}"
                )
    return content, faults


def _has(content: dict[str, Any], place: str) -> bool:
    section, _, key = place.rpartition(".")
    return key in _section(content, section)


def _section(content: Any, place: str) -> Any:
    for part in place.split("."):
        content = content.get(part) if isinstance(content, dict) else None
    return content if isinstance(content, dict) else {}


def _rest(faults: list[str]) -> str:
    return f"\n... and {len(faults) - 10} more" if len(faults) > 10 else ""


def _gaps(content: dict[str, Any]) -> list[str]:
    """Name each parameter of the first version that the file leaves out, with its default."""
    return [
        f"{place} is missing; add it "
        f"({'a section' if section_of(field) else f'usual value {_default_of(field)}'})"
        for place, field in _missing(content, Params)
        if since(field) is None
    ]


def _explain(fault: Any, content: dict[str, Any]) -> str:
    """Say one of pydantic's findings as place, cause and repair."""
    place = ".".join(_shown_key(part) for part in fault["loc"] if part != "[key]")
    given, limits = excerpt(fault["input"]), fault.get("ctx", {})
    match fault["type"]:
        case "extra_forbidden":
            return f"{place} is not a parameter{_suggestion(place)}"
        case "literal_error":
            return f"{place} is {given}; it can be {limits['expected']}"
        case "value_error":
            cause = str(limits["error"])
            return f"{place}: {cause}" if place else cause
        case "greater_than" | "greater_than_equal" | "less_than" | "less_than_equal":
            return f"{place} is {given}; it must be {fault['msg'].removeprefix('Input should be ')}"
        case "model_type" | "model_attributes_type":
            return f"{place} is {given}; it must be a section with parameters under it"
        case _:
            value = fault["input"]
            wanted = _WANTED.get(fault["type"], fault["msg"].removeprefix("Input should be "))
            return f"{place} is {given} ({_kind(value)}); it must be {wanted}{_hint(value)}"


def _shown_key(key: object) -> str:
    text = str(key)
    return text if text.isprintable() and len(text) <= 60 else excerpt(text)


def _kind(value: Any) -> str:
    names = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}
    names |= {list: "a list", dict: "a section", type(None): "empty"}
    return names.get(type(value), type(value).__name__)


def _hint(value: Any) -> str:
    if isinstance(value, str):
        try:
            float(value)
        except ValueError:
            return ""
        return "; write it without quotes"
    return ""


def _suggestion(place: str) -> str:
    """The nearest parameter: beside the unknown one, else below the same section, else anywhere."""
    parent, _, key = place.rpartition(".")
    known = _all_places(Params, "")
    beside = [name for name in known if name.rpartition(".")[0] == parent]
    below = [name for name in known if name.startswith(f"{parent}.")]
    for candidates in (beside, below, known):
        keys = [name.rpartition(".")[2] for name in candidates]
        near = difflib.get_close_matches(key, keys, n=1, cutoff=0.75)
        if near:
            return f"; did you mean {candidates[keys.index(near[0])]}?"
    siblings = ", ".join(name.rpartition(".")[2] for name in beside)
    return f"; {parent or 'the file'} has: {siblings}"


def _all_places(section: type[Section], prefix: str) -> list[str]:
    places = []
    for key, field in section.model_fields.items():
        places.append(prefix + key)
        if inner := section_of(field):
            places += _all_places(inner, f"{prefix}{key}.")
    return places
