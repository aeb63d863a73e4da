"""Parameters on a command line, as KEY=VALUE."""

from collections.abc import Sequence
from typing import Any

from segpipe.runtime.errors import ParameterError, excerpt
from segpipe.runtime.yaml_file import parse_yaml


def settings_of(texts: Sequence[str]) -> dict[str, Any]:
    """Return values by dotted key; values are YAML 1.2, as `dvc exp run -S` reads them.

    Raises ParameterError for a text without `=` or with a value that is not valid YAML. Whether a key
    is known is for `segpipe.params.load.validate` to say.
    """
    settings = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not all(key.split(".")):
            raise ParameterError(f"{excerpt(text)}: is no setting; write it as train.lr=0.001")
        settings[key] = parse_yaml(value.encode(), excerpt(text))
    return settings


def set_in(content: dict[str, Any], key: str, value: Any) -> None:
    """Set a value by its dotted key in nested sections; ParameterError where a section is a value."""
    *sections, name = key.split(".")
    place = content
    for section in sections:
        place = place.setdefault(section, {})
        if not isinstance(place, dict):
            raise ParameterError(f"{key}: {section} is a value and not a section")
    place[name] = value
