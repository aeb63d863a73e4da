"""What MLflow takes as names and values: flat, of certain characters, of limited length."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from segpipe.tracking.redaction import redacted

NAME_LIMIT = 250
PARAMETER_LIMIT = 6000
TAG_LIMIT = 5000
_REFUSED = re.compile(r"[^/\w.\- :]")


def valid_names(names: Iterable[str]) -> list[str]:
    """Return names that MLflow accepts, one for each of `names`, all different.

    Characters outside letters, digits and `/_-. :` become `_`; parts such as `..` are dropped, since
    MLflow reads names as paths. Names that fall together by this get _2, _3 in their order.
    """
    taken: set[str] = set()
    valid = []
    for name in names:
        parts = (part.strip() for part in _REFUSED.sub("_", name).split("/"))
        base = "/".join(part for part in parts if part not in ("", ".", ".."))[:NAME_LIMIT] or "_"
        base = base.rstrip("/")
        unique, count = base, 1
        while unique in taken:
            count += 1
            ending = f"_{count}"
            unique = base[: NAME_LIMIT - len(ending)] + ending
        taken.add(unique)
        valid.append(unique)
    return valid


def flat_parameters(parameters: Mapping[str, Any]) -> dict[str, str]:
    """Return nested parameters as dotted names and texts, spelled as YAML and JSON spell them.

    Passwords in addresses are hidden. An empty mapping is kept as `{}`.
    """
    flat = dict(_flat(parameters, ""))
    return dict(zip(valid_names(flat), flat.values(), strict=True))


def shortened(value: str, limit: int) -> str:
    """Return `value`, or its beginning and its length where MLflow would refuse it."""
    if len(value) <= limit:
        return value
    note = f"... ({len(value)} characters)"
    return value[: limit - len(note)] + note


def valid_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Return tags that MLflow accepts, without passwords."""
    values = [shortened(redacted(value), TAG_LIMIT) for value in tags.values()]
    return dict(zip(valid_names(tags), values, strict=True))


def _flat(value: Any, name: str) -> Iterable[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}" if name else str(key))
    else:
        text = (
            value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
        )
        yield name, redacted(text)
