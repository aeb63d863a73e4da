"""Only what was chosen counts: the parameters that can change a result (law 13)."""

import json
from collections.abc import Mapping, Set
from typing import Any

from segpipe.params.section import Section, is_neutral

_WORDS = ("", "null", "~", "true", "false")  # what YAML does not read as text


def chosen(section: Section) -> dict[str, Any]:
    """Return the parameters that count, as plain JSON values.

    Left out are the options of alternatives that were not chosen (`Section.unused`), and parameters
    that a later version brought, at the value at which they change nothing (`Since`). So neither an
    option of another model nor a new parameter changes a fingerprint, a bundle or a comparison.
    """
    return _chosen(section, section.unused())


def _chosen(section: Section, unused: Set[str]) -> dict[str, Any]:
    plain = section.model_dump(mode="json")
    values: dict[str, Any] = {}
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if name in unused or is_neutral(field, value):
            continue
        if isinstance(value, Section):
            inner = {one.removeprefix(f"{name}.") for one in unused if one.startswith(f"{name}.")}
            values[name] = _chosen(value, inner | value.unused())
        else:
            values[name] = plain[name]
    return values


def flat(content: Any, prefix: str = "") -> dict[str, str]:
    """Return dotted key → value as it would be written; an empty section is a value."""
    if not isinstance(content, dict):
        return {}
    found: dict[str, str] = {}
    for key, value in content.items():
        if isinstance(value, dict) and value:
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = _written(value)
    return found


def differing(
    before: Mapping[str, str], after: Mapping[str, str], absent: str = "(not used)"
) -> list[tuple[str, str, str]]:
    """Return key, old and new value of what differs between two dictionaries such as `flat` returns.

    In the order of the keys in `before`, then of those in `after` alone. absent: what stands for the value
    of a key that one of them does not have.
    """
    pairs = ((key, before.get(key), after.get(key)) for key in {**before, **after})
    return [
        (key, absent if old is None else old, absent if new is None else new)
        for key, old, new in pairs
        if old != new
    ]


def _written(value: Any) -> str:
    # Text is shown bare, unless YAML would make a number or a word of its own of it.
    if isinstance(value, str) and value == value.strip() and value not in _WORDS:
        try:
            float(value)
        except ValueError:
            return value
    return json.dumps(value, ensure_ascii=False, default=str)
