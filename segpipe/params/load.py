"""params.yaml becomes typed sections, or one message that lists everything wrong with it."""

import difflib
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from segpipe.params.schema import Params
from segpipe.params.section import Section
from segpipe.runtime.errors import ParameterError
from segpipe.runtime.yaml_file import read_yaml

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

    It is read with ruamel.yaml in YAML 1.2, exactly as DVC reads it: `1e-4` is a number.

    Raises ParameterError with one line for each fault: unknown keys (with the nearest known one),
    missing keys (with their usual value), wrong types, values out of range, combinations that
    cannot work.
    """
    return validate(read_yaml(path), str(path.name))


def validate(content: Any, name: str) -> Params:
    """Return the sections that `content` (nested dictionaries) describes; `name` stands in errors."""
    if not isinstance(content, dict):
        raise ParameterError(f"{name}: must hold sections such as `train:`, not {content!r}")
    faults = _gaps(content, Params, "")
    try:
        params = Params.model_validate(content)
    except ValidationError as error:
        faults += [_explain(fault, content) for fault in error.errors()]
    if faults:
        raise ParameterError("\n".join(f"{name}: {fault}" for fault in faults[:10]) + _rest(faults))
    return params


def _rest(faults: list[str]) -> str:
    return f"\n... and {len(faults) - 10} more" if len(faults) > 10 else ""


def _gaps(content: dict[str, Any], section: type[Section], prefix: str) -> list[str]:
    """Name each parameter that the file leaves out, with its usual value."""
    gaps = []
    for key, field in section.model_fields.items():
        kind = field.annotation
        nested = isinstance(kind, type) and issubclass(kind, Section)
        if key not in content:
            usual = (
                "a section"
                if nested
                else f"usual value {_yaml(field.get_default(call_default_factory=True))}"
            )
            gaps.append(f"{prefix}{key} is missing; add it ({usual})")
        elif nested and isinstance(content[key], dict):
            gaps += _gaps(content[key], kind, f"{prefix}{key}.")  # type: ignore[arg-type]
    return gaps


def _yaml(value: Any) -> str:
    """Show a value as it would be written in YAML."""
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case tuple():
            return f"[{', '.join(_yaml(item) for item in value)}]"
        case dict() if not value:
            return "{}"
        case _:
            return str(value)


def _explain(fault: Any, content: dict[str, Any]) -> str:
    """Say one of pydantic's findings as place, cause and repair."""
    place = ".".join(str(part) for part in fault["loc"] if part != "[key]")
    given, limits = fault["input"], fault.get("ctx", {})
    match fault["type"]:
        case "extra_forbidden":
            return f"{place} is not a parameter{_suggestion(place)}"
        case "literal_error":
            return f"{place} is {given!r}; it can be {limits['expected']}"
        case "value_error":
            cause = str(limits["error"])
            return f"{place}: {cause}" if place else cause
        case "greater_than" | "greater_than_equal" | "less_than" | "less_than_equal":
            return f"{place} is {given}; it must be {fault['msg'].removeprefix('Input should be ')}"
        case "model_type" | "model_attributes_type":
            return f"{place} is {given!r}; it must be a section with parameters under it"
        case _:
            wanted = _WANTED.get(fault["type"], fault["msg"].removeprefix("Input should be "))
            return f"{place} is {given!r} ({_kind(given)}); it must be {wanted}{_hint(given)}"


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
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            places += _all_places(field.annotation, f"{prefix}{key}.")
    return places
