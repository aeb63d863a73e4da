"""What all files of labels have in common: their encoding, their names, quotes of them."""

import codecs
from pathlib import Path
from typing import Any

from segpipe.runtime.errors import DataError

PROPOSED_NAME = "class "  # of a class that only a person can name, before its number
_MOST_BYTES = 1 << 24  # 65536 labels take about 3 MB
_MOST_CHARACTERS = 100  # of a name, which also becomes part of the names of scores
_QUOTED = 40  # characters of a wrong value that a message repeats


def read_label_text(path: Path) -> str:
    """Return the text of a label file in UTF-8, with or without its mark, or in marked UTF-16.

    Raises DataError for a file that cannot be read, is far too large, is a workbook, or is in another
    encoding: which of the older ones it is cannot be told from the bytes.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise DataError(f"{path}: is larger than {_MOST_BYTES:,} bytes; this is no label file")
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    if content.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise DataError(
            f"{path}: is a workbook or an archive, not text; in the spreadsheet, save the table as "
            "`CSV UTF-8`"
        )
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    if b"\0" in content and not wide:
        raise DataError(
            f"{path}: holds zero bytes, as UTF-16 without a byte order mark does; if it is that: "
            f"{_conversion(path, 'utf-16le')}"
        )
    try:
        return content.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        if wide:
            raise DataError(
                f"{path}: is UTF-16 that is cut off or damaged; save it anew"
            ) from error
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path}: line {line}: byte 0x{content[error.start]:02X} is not UTF-8; if the file comes "
            f"from Windows in Western Europe or America: {_conversion(path, 'cp1252')}"
        ) from error


def _conversion(path: Path, encoding: str) -> str:
    # The name alone: in the prepare stage the path is that of a copy of the user's file.
    return f"`iconv -f {encoding} -t utf-8 {path.name} > utf8 && mv utf8 {path.name}`"


def name_fault(name: str) -> str | None:
    """Return what keeps `name` from being the name of a label or class; None where nothing does."""
    if not name:
        return "the name is empty"
    hidden = next((character for character in name if not character.isprintable()), None)
    if hidden is not None:
        return (
            f"the name {quote(name)} holds the invisible character U+{ord(hidden):04X}; type the name "
            "anew"
        )
    if len(name) > _MOST_CHARACTERS:
        return f"the name {quote(name)} has {len(name)} characters; at most {_MOST_CHARACTERS}"
    return None


def quote(value: Any) -> str:
    """Return a value of a label file for a message: in quotes where it is text, escaped, shortened."""
    words = {None: "empty", True: "true", False: "false"}
    if value is None or isinstance(value, bool):
        return words[value]
    text = repr(value[: _QUOTED + 1] if isinstance(value, str) else value)
    return text if len(text) <= _QUOTED + 2 else f"{text[:_QUOTED]}..."
