"""Plain values, such as those of a JSON file, as typed ones; what is wrong with them in words."""

import json
import reprlib
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from segpipe.runtime.errors import listing

Typed = TypeVar("Typed")


def typed(kind: type[Typed], content: Any) -> Typed:
    """Return the plain values of a JSON file as `kind`.

    kind: a pydantic model, or a dataclass whose fields say what is allowed in pydantic's terms.
    Raises ValueError with a line for each fault: the field, its value and what is allowed.
    """
    try:
        return TypeAdapter(kind).validate_json(json.dumps(content))
    except ValidationError as error:
        raise ValueError(listing(faults_of(error))) from error


def faults_of(error: ValidationError) -> list[str]:
    """Return a line for each fault: the field, its value (abbreviated) and what is allowed."""
    return [_explain(fault) for fault in error.errors()]


def _explain(fault: Any) -> str:
    place = ".".join(map(str, fault["loc"])) or "the whole file"
    match fault["type"]:
        case "missing" | "missing_argument":
            return f"{place} is missing"
        case "extra_forbidden" | "unexpected_keyword_argument":
            return f"{place} is not a known field"
        case "value_error":
            return f"{place}: {fault['ctx']['error']}"
        case "json_invalid":
            return f"{place}: not valid JSON: {fault['ctx']['error']}"
        case _:
            wanted = fault["msg"].removeprefix("Input should be ")
            return f"{place} is {reprlib.repr(fault['input'])}; it must be {wanted}"
