"""Only what was chosen counts: the parameters that can change a result (law 13)."""

from collections.abc import Set
from typing import Any

from segpipe.params.section import Section, is_neutral


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
