"""YAML 1.2, read exactly as DVC reads it: `1e-4` is a number."""

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from segpipe.runtime.errors import ParameterError


def read_yaml(path: Path) -> Any:
    """Return the plain content of a YAML 1.2 file.

    Raises ParameterError when the file is missing or is not valid YAML.
    """
    try:
        return parse_yaml(path.read_bytes(), str(path))
    except FileNotFoundError as error:
        raise ParameterError(f"{path}: there is no such file") from error


def parse_yaml(content: bytes, name: str) -> Any:
    """Return the plain content of YAML 1.2; ParameterError, with `name`, when it is not valid."""
    try:
        return YAML(typ="safe", pure=True).load(content.decode())
    except (YAMLError, UnicodeDecodeError) as error:
        raise ParameterError(f"{name}: not valid YAML: {_fault(error)}") from error


def _fault(error: Exception) -> str:
    """Return what is wrong and where, without the lines of the file, which may be any file."""
    if not isinstance(error, MarkedYAMLError):
        return " ".join(str(error).split())
    mark = error.problem_mark or error.context_mark
    place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    # Of a key that is there twice ruamel.yaml tells both values.
    cause = (error.problem or error.context or "").partition(" with value ")[0]
    return f"{place}{cause[:100]}"
