"""YAML 1.2, read exactly as DVC reads it: `1e-4` is a number."""

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

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
        raise ParameterError(f"{name}: not valid YAML: {' '.join(str(error).split())}") from error
