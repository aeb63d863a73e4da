"""Labels as CSV: `id,name,red,green,blue[,class][,category]`, a line for each value of a mask.

    ID;Name;Red;Green;Blue
    7;road;128;64;128

The separator is a comma, a semicolon, a tab or a bar. Case and surrounding spaces of the header do not
matter, the order of its columns neither, and columns have the other names of `_NAMES` as well; lines
whose cells are all empty are passed over. The three colours may be left out, together: colours are
chosen then, one for each class. The id may be left out beside colours: ids are 0, 1, 2, ... then.
"""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from segpipe.labels.colours import BLACK, distinct_colours, void_colour
from segpipe.labels.label_text import name_fault, quote, read_label_text
from segpipe.labels.scheme import LARGEST_ID, SMALLEST_ID, VOID, VOID_NAMES, Colour, RawLabel
from segpipe.runtime.errors import DataError, did_you_mean

_SEPARATORS = (",", ";", "\t", "|")
_CHANNELS = ("red", "green", "blue")
_NEEDED = ("id", "name", *_CHANNELS)
_KNOWN = (*_NEEDED, "class", "category")
# Other names of columns, in small letters and with spaces for `_`; `label` and `class` see `_columns`.
_NAMES = {
    "id": ("value", "pixel value", "label id", "class id", "index"),
    "name": ("label name", "class name"),
    "red": ("r",),
    "green": ("g",),
    "blue": ("b",),
}
_EVERY_NAME = {*_KNOWN, "label", *(name for names in _NAMES.values() for name in names)}
HEADER = "id,name,red,green,blue"
# Spreadsheets and pandas write whole numbers of a column with gaps as 7.0.
_WHOLE = re.compile(r"[+-]?[0-9]{1,9}(\.0*)?")


@dataclass(frozen=True)
class _Row:
    """A row of the file; target: the name of its class, None for void. colour: None to be chosen.

    category: None where the cell is empty or a name of void.
    """

    line: int
    id: int
    name: str
    colour: Colour | None
    target: str | None
    category: str | None


def read_csv_labels(path: Path) -> tuple[list[str], list[tuple[str, RawLabel]], list[str]]:
    """Return the classes of a CSV file, its labels, each with its line, and what is wrong with rows.

    A row whose name, or class where it has one, is a name of void counts nowhere. Raises DataError
    where the file is no table of labels.
    """
    rows = _table(path)
    if not rows:
        raise DataError(
            f"{path}: is empty; the first line must be {HEADER}, with a row for each label below"
        )
    line, header = rows[0]
    columns = _columns(header)
    if fault := _header_fault(columns):
        raise DataError(
            f"{path}: line {line}: {fault}; found {quote(','.join(header))}, expected {HEADER} with a "
            "row for each label below (separated by commas, semicolons, tabs or bars)"
        )
    faults: list[str] = []
    read: list[_Row] = []
    for number, (line, cells) in enumerate(rows[1:]):
        try:
            read.append(_row(line, number, columns, cells))
        except DataError as error:
            faults.append(f"line {line}: {error}")
    if not rows[1:]:
        faults.append("there is no row below the header; add one for each label")
    classes = list(dict.fromkeys(row.target for row in read if row.target is not None))
    return classes, _labels(read, classes), faults


def _table(path: Path) -> list[tuple[int, list[str]]]:
    """Return the rows in which some cell is not empty, each with the number of its first line."""
    text = read_label_text(path)
    first = next((line for line in text.splitlines() if line.strip(" ,;\t|")), "")

    def fits(separator: str) -> tuple[int, int]:
        cells = {_plain(cell.strip().strip('"')) for cell in first.split(separator)}
        return len(cells & _EVERY_NAME), first.count(separator)

    separator = max(_SEPARATORS, key=fits)
    file = io.StringIO(text, newline="")
    reader = csv.reader(file, delimiter=separator, skipinitialspace=True, strict=True)
    rows, line = [], 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                rows.append((line, [cell.strip() for cell in cells]))
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(
            f"{path}: line {line}: cannot be divided into cells; close each quotation mark at the end "
            "of its cell, and write one inside of a quoted cell twice"
        ) from error
    return rows


def _plain(cell: str) -> str:
    return " ".join(cell.replace("_", " ").split()).casefold()


def _columns(header: Sequence[str]) -> list[str]:
    """Return the columns by the names that are used here; what has another meaning keeps its own.

    `label` is the id where there is none, beside a name or class; else it is the name. `class` is the
    name where there is no other one.
    """
    columns = [_plain(cell) for cell in header]

    def rename(others: Sequence[str], name: str) -> None:
        found = [other for other in others if other in columns]
        if name not in columns and found:
            columns[columns.index(found[0])] = name

    for name, others in _NAMES.items():
        rename(others, name)
    if "id" not in columns and {"name", "class"} & {*columns}:
        rename(["label"], "id")
    rename(["label", "class"], "name")
    return columns


def _header_fault(columns: Sequence[str]) -> str | None:
    twice = [column for column in _KNOWN if columns.count(column) > 1]
    if twice:
        return f"the column {twice[0]} appears twice"
    others = [column for column in columns if column and column not in _KNOWN]
    missing = [column for column in _NEEDED if column not in columns]
    if missing == ["id"] or (missing == [*_CHANNELS] and not others):
        missing = []
    if missing and _WHOLE.fullmatch(columns[0]):
        return "is a label; the names of the columns must stand in a line above"
    if missing:
        return f"lacks the column{'s' * (len(missing) > 1)} {', '.join(missing)}"
    near = [
        column for column in others if "class" not in columns and did_you_mean(column, ["class"])
    ]
    if near:
        return (
            f"has the unknown column {quote(near[0])}; rename it to class if it names the classes, "
            "else take it out"
        )
    return None


def _row(line: int, position: int, columns: Sequence[str], cells: Sequence[str]) -> _Row:
    """Turn the cells of a row into what they mean; raises DataError, without a place.

    position: among the rows, the id where there is no column of ids.
    """
    pairs = list(zip_longest(columns, cells, fillvalue=""))
    if any(cell and not column for column, cell in pairs):
        raise DataError(
            f"has {len(cells)} cells where the header names {sum(map(bool, columns))}; a cell that "
            "holds the separator must be in quotes"
        )
    row = dict(pairs)
    number = _whole(row, "id", SMALLEST_ID, LARGEST_ID) if "id" in row else position
    colour = None
    if any(row.get(channel) for channel in _CHANNELS):
        red, green, blue = (_whole(row, channel, 0, 255) for channel in _CHANNELS)
        colour = red, green, blue
    name, target = row["name"], row.get("class") or row["name"]
    category = row.get("category") or "void"
    for text in (name, target, category):
        if fault := name_fault(text):
            raise DataError(fault)
    return _Row(line, number, name, colour, _not_void(target), _not_void(category))


def _not_void(name: str) -> str | None:
    return None if name.lower() in VOID_NAMES else name


def _whole(row: Mapping[str, str], column: str, smallest: int, largest: int) -> int:
    cell = row[column]
    if _WHOLE.fullmatch(cell) and smallest <= int(cell.partition(".")[0]) <= largest:
        return int(cell.partition(".")[0])
    found = quote(cell) if cell else "empty"
    raise DataError(f"{column} is {found}; it must be a whole number {smallest}..{largest}")


def _labels(rows: Sequence[_Row], classes: Sequence[str]) -> list[tuple[str, RawLabel]]:
    """Return the labels in the order of the rows; colours that are left out are chosen."""
    given = [row.colour for row in rows if row.colour]
    bare = dict.fromkeys(row.target for row in rows if row.target and not row.colour)
    colours = distinct_colours(len(bare), given)
    chosen: dict[str | None, Colour] = dict(zip(bare, colours, strict=True))
    train_ids: dict[str | None, int] = {None: VOID} | {name: k for k, name in enumerate(classes)}

    def label(row: _Row, otherwise: Colour) -> RawLabel:
        colour = row.colour or chosen.get(row.target, otherwise)
        return RawLabel(row.id, row.name, colour, train_ids[row.target], row.category)

    known = [label(row, BLACK) for row in rows if row.colour or row.target]
    of_void = void_colour(known)
    return [(f"line {row.line}", label(row, of_void)) for row in rows]
