"""The description of a synthetic world: a YAML file, read strictly."""

from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from segpipe.params.section import Section
from segpipe.runtime.errors import ParameterError
from segpipe.runtime.yaml_file import read_yaml

Described = TypeVar("Described", bound=Section)


def read_description(path: Path, kind: type[Described], usual: str) -> Described:
    """Read and validate the description of a synthetic world.

    kind: the section that the whole file is. usual: the path at which it usually lies.
    Raises ParameterError when it is missing, is not valid YAML, or with one line for each faulty key.
    """
    if not path.is_file():
        raise ParameterError(
            f"params.yaml: source.path is {path}, but there is no such file; for a synthetic source "
            f"it names the description of what is made, usually {usual}"
        )
    content = read_yaml(path)
    if not isinstance(content, dict):
        sections = ", ".join(kind.model_fields)
        raise ParameterError(f"{path}: must hold the sections {sections}, not {content!r}")
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        faults = [f"{path}: {_explain(fault, kind)}" for fault in error.errors()]
        raise ParameterError("\n".join(faults)) from error


def _explain(fault: Any, kind: type[Section]) -> str:
    place = ".".join(str(part) for part in fault["loc"])
    match fault["type"]:
        case "missing":
            return f"{place} is missing; add it"
        case "extra_forbidden":
            return f"{place} is not a key of this file; {_siblings(fault['loc'], kind)}"
        case "too_short":
            return f"{place} is empty; it must name at least one"
        case "value_error":
            return f"{place}: {fault['ctx']['error']}"
        case _:
            wanted = fault["msg"].removeprefix("Input should be ").removeprefix("a valid ")
            return f"{place} is {fault['input']!r}; it must be {wanted}"


def _siblings(place: tuple[str | int, ...], kind: type[Section]) -> str:
    section: Any = kind
    for key in place[:-1]:
        section = section.model_fields[key].annotation
    owner = ".".join(str(part) for part in place[:-1]) or "the file"
    return f"{owner} has: {', '.join(section.model_fields)}"
