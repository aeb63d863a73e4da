"""Parameters on a command line, as KEY=VALUE."""

from collections.abc import Sequence
from typing import Any

from segpipe.runtime.errors import ParameterError
from segpipe.runtime.yaml_file import parse_yaml


def settings_of(settings: Sequence[str]) -> dict[str, Any]:
    """Return values by dotted key; values are YAML 1.2, as `dvc exp run -S` reads them.

    Raises ParameterError for a text without key and `=` or with a value that is not valid YAML. Whether
    a key is known is for `segpipe.params.load.validate` to say.
    """
    return {key: parse_yaml(value.encode(), key) for key, value in map(split_setting, settings)}


def split_setting(setting: str) -> tuple[str, str]:
    """Return the dotted key and the text of the value of KEY=VALUE.

    Raises ParameterError when it is not of that form, or the value is not valid YAML within bounds.
    """
    key, equals, value = setting.partition("=")
    key = key.strip()
    if not equals or not all(key.split(".")):
        raise ParameterError(f"--set {setting}: must be KEY=VALUE, such as train.lr=0.001")
    parse_yaml(value.encode(), f"--set {setting}")
    return key, value


def set_in(content: Any, key: str, value: Any) -> None:
    """Put a value at its dotted key in nested sections.

    Sections that are not there are made in place of what is; `validate` names what does not fit.
    """
    *sections, name = key.split(".")
    for section in sections:
        if not isinstance(content.get(section), dict):
            content[section] = {}
        content = content[section]
    content[name] = value
