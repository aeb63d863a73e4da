"""Label schemes are data: CSV files of raw id, name, colour and class."""

import csv
import difflib
from collections.abc import Mapping
from dataclasses import replace
from importlib import resources
from pathlib import Path

from segpipe.errors import DataError, ParameterError, listing
from segpipe.labels.scheme import VOID, LabelScheme, RawLabel

_COLUMNS = ("id", "name", "red", "green", "blue")
_VOID_NAMES = frozenset({"void", "unlabelled", "unlabeled", "ignore", "ignored"})


def load_scheme(scheme: str, extra: Mapping[int, str], folder: Path) -> LabelScheme:
    """Return the scheme of params.yaml's `labels`.

    scheme: a built-in name (cityscapes19) or a CSV file in `folder` (the raw data).
    extra: more raw values and the class (or `void`) that each means; it also moves known ones.

    Raises ParameterError for an unknown scheme or class, DataError for a faulty CSV file.
    """
    if scheme.endswith(".csv"):
        read = _from_csv((folder / scheme), scheme.removesuffix(".csv"))
    elif scheme in built_in_schemes():
        with resources.as_file(
            resources.files("segpipe.labels") / "schemes" / f"{scheme}.csv"
        ) as path:
            read = _from_csv(path, scheme)
    else:
        names = ", ".join(built_in_schemes())
        raise ParameterError(
            f"params.yaml: labels.scheme is {scheme!r}; it can be {names}, or a CSV file "
            "(id,name,red,green,blue) in the folder of the data"
        )
    return _with_map(read, extra)


def built_in_schemes() -> list[str]:
    """Return the names of the schemes that come with segpipe."""
    folder = resources.files("segpipe.labels") / "schemes"
    return sorted(
        item.name.removesuffix(".csv") for item in folder.iterdir() if item.name.endswith(".csv")
    )


def _from_csv(path: Path, name: str) -> LabelScheme:
    """Read `id,name,red,green,blue[,class]`; a row named void (or whose class is) counts nowhere."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file, skipinitialspace=True))
    except FileNotFoundError as error:
        raise DataError(
            f"{path}: there is no such file; labels.scheme in params.yaml names it, "
            "and it must lie in the folder of the data"
        ) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: is no CSV file: {error}") from error
    if not rows or any(column not in rows[0] for column in _COLUMNS):
        raise DataError(
            f"{path}: the first line must be {','.join(_COLUMNS)}, with a row for each label below"
        )
    faults: list[str] = []
    classes: list[str] = []
    raw: list[RawLabel] = []
    for line, row in enumerate(rows, start=2):
        try:
            raw.append(_row(row, classes))
        except (ValueError, TypeError, AttributeError) as error:
            faults.append(f"line {line}: {error}")
    faults += _repeated("id", [label.id for label in raw]) + _repeated(
        "name", [label.name for label in raw]
    )
    if not classes and not faults:
        faults.append("every row is void; there is no class to learn")
    if len(classes) >= VOID:
        faults.append(f"{len(classes)} classes; a mask of train ids holds at most {VOID - 1}")
    if faults:
        raise DataError(f"{path}:\n{listing(faults)}")
    return LabelScheme(name, tuple(classes), tuple(raw))


def _row(row: dict[str, str], classes: list[str]) -> RawLabel:
    """Turn a CSV row into a label, adding its class to `classes` where it is new."""
    number, (red, green, blue) = (
        int(row["id"]),
        (int(row[part]) for part in ("red", "green", "blue")),
    )
    if not 0 <= number <= 65535:
        raise ValueError(f"id {number} is not in 0..65535")
    if not all(0 <= part <= 255 for part in (red, green, blue)):
        raise ValueError(f"colour {red},{green},{blue} is not in 0..255")
    name = row["name"].strip()
    if not name:
        raise ValueError("the name is empty")
    target = (row.get("class") or name).strip()
    if target.lower() in _VOID_NAMES:
        return RawLabel(number, name, (red, green, blue), VOID)
    if target not in classes:
        classes.append(target)
    return RawLabel(number, name, (red, green, blue), classes.index(target))


def _repeated(what: str, values: list[int] | list[str]) -> list[str]:
    twice = sorted({str(value) for value in values if values.count(value) > 1})  # type: ignore[arg-type]
    return [f"the {what} {value} stands twice" for value in twice]


def _with_map(scheme: LabelScheme, extra: Mapping[int, str]) -> LabelScheme:
    raw = {label.id: label for label in scheme.raw}
    faults = []
    for value, target in extra.items():
        if not 0 <= value <= 65535:
            faults.append(f"labels.map: {value} cannot stand in a mask; values are 0..65535")
        elif target != "void" and target not in scheme.classes:
            near = difflib.get_close_matches(target, scheme.classes, n=1)
            meant = (
                f"; did you mean {near[0]}?"
                if near
                else f"; classes are {', '.join(scheme.classes)}, or void"
            )
            faults.append(f"labels.map: {value} means {target!r}, which is no class{meant}")
        else:
            train_id = VOID if target == "void" else scheme.classes.index(target)
            known = raw.get(value, RawLabel(value, f"value {value}", (0, 0, 0), train_id))
            raw[value] = replace(known, train_id=train_id)
    missing = sorted(set(range(scheme.num_classes)) - {label.train_id for label in raw.values()})
    faults += [f"labels.map leaves no raw value for class {scheme.classes[k]}" for k in missing]
    if faults:
        raise ParameterError("\n".join(f"params.yaml: {fault}" for fault in faults))
    return replace(scheme, raw=tuple(raw.values()))
