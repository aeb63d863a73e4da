"""Labels as CSV: `id,name,red,green,blue[,class]`, a row for each value of a mask."""

import csv
from pathlib import Path

from segpipe.labels.assemble import LARGEST_ID, VOID_NAMES, assemble
from segpipe.labels.scheme import VOID, LabelScheme, RawLabel
from segpipe.runtime.errors import DataError

_COLUMNS = ("id", "name", "red", "green", "blue")


def read_csv_labels(path: Path, name: str) -> LabelScheme:
    """Return the scheme of a CSV file; a row named void (or whose class is) counts nowhere.

    Raises DataError with all that is wrong with the file.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file, skipinitialspace=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: is no CSV file: {error}") from error
    if not rows or any(column not in rows[0] for column in _COLUMNS):
        raise DataError(
            f"{path}: the first line must be {','.join(_COLUMNS)}, with a row for each label below"
        )
    faults: list[str] = []
    classes: dict[str, int] = {}
    raw: list[RawLabel] = []
    for line, row in enumerate(rows, start=2):
        try:
            raw.append(_row(row, classes))
        except (ValueError, TypeError, AttributeError) as error:
            faults.append(f"line {line}: {error}")
    return assemble(path, name, list(classes), raw, faults)


def _row(row: dict[str, str], classes: dict[str, int]) -> RawLabel:
    """Turn a CSV row into a label, adding its class to `classes` where it is new."""
    number, (red, green, blue) = (
        int(row["id"]),
        (int(row[part]) for part in ("red", "green", "blue")),
    )
    if not 0 <= number <= LARGEST_ID:
        raise ValueError(f"id {number} is not in 0..{LARGEST_ID}")
    if not all(0 <= part <= 255 for part in (red, green, blue)):
        raise ValueError(f"colour {red},{green},{blue} is not in 0..255")
    name = row["name"].strip()
    if not name:
        raise ValueError("the name is empty")
    target = (row.get("class") or name).strip() or name
    if target.lower() in VOID_NAMES:
        return RawLabel(number, name, (red, green, blue), VOID)
    return RawLabel(number, name, (red, green, blue), classes.setdefault(target, len(classes)))
