"""Overlays: parameter files that name only what differs from the defaults, such as the recipes."""

from typing import Any

from segpipe.params.schema import Params
from segpipe.params.section import Section, section_of


def overlaid(changes: Any) -> Any:
    """Return the default parameters (nested plain values) with `changes` laid over them, as `laid_over`."""
    return laid_over(Params().model_dump(mode="json"), changes)


def laid_over(base: Any, changes: Any, section: type[Section] = Params) -> Any:
    """Return the nested plain values of a section with `changes` laid over them; `base` stays as it is.

    A value that is a dictionary itself (`loss.sum`) is replaced as a whole. Keys that the schema
    does not know are kept, so that `segpipe.params.load.validate` names them.
    """
    if not isinstance(changes, dict):
        return changes
    values = dict(base or {})
    for key, value in changes.items():
        inner = section_of(section.model_fields[key]) if key in section.model_fields else None
        values[key] = laid_over(values.get(key), value, inner) if inner else value
    return values


def with_data_of(values: dict[str, Any], present: Section) -> dict[str, Any]:
    """Return an overlay with the data of other parameters: where it is, its labels, its splits.

    values: an overlay, of nested plain values, such as a recipe's. present: whole Params.
    """
    kept, prepare = present.model_dump(mode="json"), dict(values.get("prepare") or {})
    prepare |= {name: kept["prepare"][name] for name in ("split", "rasters", "esd")}
    return {**values, "source": kept["source"], "labels": kept["labels"], "prepare": prepare}


def differences(params: Section) -> dict[str, Any]:
    """Return the smallest overlay that gives `params`: what differs from the defaults."""
    usual, values = type(params)(), params.model_dump(mode="json")
    found: dict[str, Any] = {}
    for name in type(params).model_fields:
        value, default = getattr(params, name), getattr(usual, name)
        if isinstance(value, Section):
            if inner := differences(value):
                found[name] = inner
        elif value != default:
            found[name] = values[name]
    return found
