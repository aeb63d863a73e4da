"""Small text files that a person or another program may have damaged, read within bounds.

A parser that follows such a file wherever it leads can be hung or crashed by it: by its size, by
brackets in brackets, by a pipe in its place.
"""

import errno
import json
import stat
from pathlib import Path
from typing import Any

MOST_DEPTH = 64  # sections and lists inside each other; segpipe's own files have up to eight
_MOST_JSON_BYTES = 64 << 20


def read_small_file(path: Path, most: int) -> bytes:
    """Return the content of a file of up to `most` bytes.

    Raises OSError, also for a pipe or a device (a pipe is not opened, because that would wait for
    whoever writes into it), and ValueError when the file is larger.
    """
    about = path.stat()
    if not stat.S_ISREG(about.st_mode) and not stat.S_ISDIR(about.st_mode):
        raise OSError(errno.EINVAL, "it is a pipe or a device, not a file", str(path))
    with path.open("rb") as file:
        content = file.read(min(most, about.st_size) + 1)  # takes room for so many bytes at once
    if len(content) > most:
        raise ValueError(f"is larger than {most:,} bytes, the most that is read of such a file")
    return content


def read_json(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file; raises OSError, and ValueError as `parse_json` does."""
    return parse_json(read_small_file(path, _MOST_JSON_BYTES))


def parse_json(content: str | bytes) -> dict[str, Any]:
    """Return the object that JSON text holds.

    Raises ValueError when it is not valid JSON, nested too deeply for what works on it, or holds
    something else than an object.
    """
    value = parse_any_json(content)
    if not isinstance(value, dict):
        raise ValueError(f"must hold a JSON object, {{...}}, not {type(value).__name__}")
    return value


def parse_any_json(content: str | bytes) -> Any:
    """Return the value of JSON text, whatever its type; raises ValueError as `parse_json` does."""
    too_deep = f"has more than {MOST_DEPTH} lists and objects inside each other"
    try:
        value = json.loads(content)
    except RecursionError as error:
        raise ValueError(too_deep) from error
    level, depth = [value], 0
    while level := [inner for outer in level for inner in _inner(outer)]:
        depth += 1
        if depth > MOST_DEPTH:
            raise ValueError(too_deep)
    return value


def _inner(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []
