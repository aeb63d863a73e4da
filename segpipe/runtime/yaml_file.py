"""YAML 1.2, read exactly as DVC reads it (`1e-4` is a number), but within bounds.

Aliases may be used as DVC allows. Those of a few lines can stand for billions of values ("billion
laughs"), which hang whatever goes through them all; so what they repeat is counted.
"""

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from segpipe.runtime.errors import ParameterError
from segpipe.runtime.small_files import MOST_DEPTH, read_small_file

_MOST_BYTES = 1 << 20
_MOST_REPEATED = 100_000  # values that stand in a file once more for each alias
# What the library raises beside its own errors at values that contradict their tag (`!!int x`), at
# dates that do not exist and at numbers of thousands of digits; and UnicodeDecodeError.
_VALUE_FAULTS = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError)


def read_yaml(path: Path) -> Any:
    """Return the plain content of a YAML 1.2 file.

    Raises ParameterError when the file is missing, is not valid YAML, or exceeds a bound.
    """
    try:
        content = read_small_file(path, _MOST_BYTES)
    except FileNotFoundError as error:
        raise ParameterError(f"{path}: there is no such file") from error
    except IsADirectoryError as error:
        raise ParameterError(f"{path}: is a folder; put the YAML file in its place") from error
    except OSError as error:
        raise ParameterError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ParameterError(f"{path}: {error}") from error
    return parse_yaml(content, str(path))


def parse_yaml(content: bytes, name: str) -> Any:
    """Return the plain content of YAML 1.2.

    Raises ParameterError, with `name`, when it is not valid, larger than 1 MiB, nested deeper than 64
    levels, or repeats more than 100,000 values by aliases.
    """
    if len(content) > _MOST_BYTES:
        raise ParameterError(f"{name}: is larger than {_MOST_BYTES:,} bytes, the most that is read")
    reader = YAML(typ="safe", pure=True)
    reader.Composer = _Composer
    try:
        return reader.load(content.decode())
    except _BoundError as error:
        raise ParameterError(f"{name}: line {error.line}: {error}") from error
    except (YAMLError, *_VALUE_FAULTS) as error:
        raise ParameterError(f"{name}: not valid YAML: {_fault(error)}") from error


def _fault(error: Exception) -> str:
    """Return what is wrong and where, without the lines of the file, which may be any file."""
    if not isinstance(error, MarkedYAMLError):
        return " ".join(str(error).split())[:100]
    mark = error.problem_mark or error.context_mark
    place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    # Of a key that is there twice ruamel.yaml tells both values.
    cause = (error.problem or error.context or "").partition(" with value ")[0]
    return f"{place}{cause[:100]}"


class _BoundError(Exception):
    """The content exceeds a bound in the line `line`, from 1."""

    def __init__(self, text: str, mark: Any) -> None:
        super().__init__(text)
        self.line = mark.line + 1


class _Composer(Composer):
    """Refuses what is nested too deeply, and aliases that stand for too many values."""

    def __init__(self, loader: Any = None) -> None:
        super().__init__(loader)
        self.warn_double_anchors = False  # YAML lets a later anchor replace one of the same name
        self._values = self._repeated = 0
        self._sizes: dict[int, int] = {}  # by id of a complete node: its values, aliases expanded

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Return the next node, which may be an alias of an earlier one."""
        if self.depth > MOST_DEPTH:
            text = f"more than {MOST_DEPTH} sections and lists are inside each other"
            raise _BoundError(text, self.parser.peek_event().start_mark)
        before = self._values
        self._values += 1
        node = super().compose_node(parent, index)
        if node.anchor is not None:
            self._sizes.setdefault(id(node), self._values - before)
        return node

    def return_alias(self, node: Any) -> Any:
        """Return the node that an alias stands for."""
        size, mark = self._sizes.get(id(node)), self.parser.peek_event().start_mark
        if size is None:
            raise _BoundError("an alias (*name) is part of what it stands for", mark)
        self._values += size
        self._repeated += size
        if self._repeated > _MOST_REPEATED:
            raise _BoundError(f"aliases (*name) repeat more than {_MOST_REPEATED:,} values", mark)
        return node
