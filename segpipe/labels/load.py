"""Label schemes are data: files of names, colours and the raw ids that mean each class.

A CSV file is `id,name,red,green,blue[,class]`, a row for each value of a mask; `yaml_labels` says
what a YAML file holds.
"""

import csv
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from importlib import resources
from pathlib import Path

from segpipe.labels.colours import void_colour
from segpipe.labels.scheme import (
    LARGEST_ID,
    MAX_CLASSES,
    SMALLEST_ID,
    VOID,
    VOID_NAMES,
    LabelScheme,
    RawLabel,
)
from segpipe.labels.yaml_labels import read_yaml_labels
from segpipe.runtime.errors import DataError, ParameterError, did_you_mean, listing

_SUFFIXES = (".csv", ".yaml", ".yml")
_COLUMNS = ("id", "name", "red", "green", "blue")
_BUILT_IN = resources.files("segpipe.labels") / "schemes"


def load_scheme(scheme: str, extra: Mapping[int, str], folder: Path) -> LabelScheme:
    """Return the scheme of params.yaml's `labels`.

    scheme: a built-in name (cityscapes19), or a CSV or YAML file in `folder` (the raw data). It is
    looked for nowhere else: DVC would not see a change of a file outside of the data.
    extra: more raw values and the class (or `void`) that each means; it also moves known ones.

    Raises ParameterError for an unknown scheme or class, DataError for a missing or faulty file.
    """
    if not scheme.endswith(_SUFFIXES):
        return _with_map(built_in_scheme(scheme), extra)
    path = folder / scheme
    if not path.is_file():
        raise DataError(
            f"{path}: there is no such file; labels.scheme in params.yaml names it, and it must lie "
            "in the folder of the data (source.path), beside the images"
        )
    return _with_map(_read(path, scheme.removesuffix(path.suffix)), extra)


def built_in_scheme(name: str) -> LabelScheme:
    """Return a scheme that comes with segpipe; raises ParameterError where there is none."""
    known = built_in_schemes()
    if name not in known:
        meant = did_you_mean(name, known)
        raise ParameterError(
            f"params.yaml: labels.scheme is {name!r}{f' ({meant})' if meant else ''}; it can be "
            f"{', '.join(known)}, or a CSV file (id,name,red,green,blue) or YAML file in the folder "
            "of the data"
        )
    with resources.as_file(_BUILT_IN / f"{name}.csv") as path:
        return _read(path, name)


def built_in_schemes() -> list[str]:
    """Return the names of the schemes that come with segpipe."""
    files = [item.name for item in _BUILT_IN.iterdir()]
    return sorted(name.removesuffix(".csv") for name in files if name.endswith(".csv"))


def _read(path: Path, name: str) -> LabelScheme:
    """Return the scheme of a file; raises DataError with all that is wrong with it."""
    read = _read_csv if path.suffix == ".csv" else read_yaml_labels
    classes, raw, faults = read(path)
    names: dict[int, list[str]] = {}
    for label in raw:
        names.setdefault(label.id, []).append(label.name)
    faults += [f"duplicate id {k}: {', '.join(each)}" for k, each in names.items() if len(each) > 1]
    faults += [
        f"{label.name} has the id {label.id}; below 0 an id can only be void, or be mapped to a class "
        "that has another one (labels.map)"
        for label in raw
        if label.id < 0 and label.train_id != VOID
    ]
    times = Counter(label.name for label in raw)
    faults += [f"duplicate name {label}" for label, count in times.items() if count > 1]
    if not classes and not faults:
        faults.append("every row is void; there is no class to learn")
    if len(classes) > MAX_CLASSES:
        faults.append(f"{len(classes)} classes; a mask of train ids holds at most {MAX_CLASSES}")
    if faults:
        raise DataError(f"{path}:\n{listing(faults)}")
    return LabelScheme(name, tuple(classes), tuple(raw))


def _read_csv(path: Path) -> tuple[list[str], list[RawLabel], list[str]]:
    """Return classes, labels and faults; a row named void (or whose class is) counts nowhere."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file, skipinitialspace=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: not a valid CSV file: {error}") from error
    if not rows or any(column not in rows[0] for column in _COLUMNS):
        raise DataError(
            f"{path}: the first line must be {','.join(_COLUMNS)}, with a row for each label below"
        )
    faults: list[str] = []
    classes: dict[str, int] = {}
    raw: list[RawLabel] = []
    for line, row in enumerate(rows, start=2):
        try:
            raw.append(_label(row, classes))
        except (ValueError, TypeError, AttributeError) as error:
            faults.append(f"line {line}: {error}")
    return list(classes), raw, faults


def _label(row: dict[str, str], classes: dict[str, int]) -> RawLabel:
    """Turn a CSV row into a label, adding its class to `classes` where it is new."""
    number, red, green, blue = (int(row[column]) for column in ("id", "red", "green", "blue"))
    if not SMALLEST_ID <= number <= LARGEST_ID:
        raise ValueError(f"id {number} is not in {SMALLEST_ID}..{LARGEST_ID}")
    if not 0 <= min(red, green, blue) <= max(red, green, blue) <= 255:
        raise ValueError(f"colour {red},{green},{blue} is not in 0..255")
    name = row["name"].strip()
    if not name:
        raise ValueError("the name is empty")
    target = (row.get("class") or name).strip() or name
    void = target.lower() in VOID_NAMES
    train_id = VOID if void else classes.setdefault(target, len(classes))
    return RawLabel(number, name, (red, green, blue), train_id)


def _with_map(scheme: LabelScheme, extra: Mapping[int, str]) -> LabelScheme:
    raw = {label.id: label for label in scheme.raw}
    train_ids = {"void": VOID} | {name: k for k, name in enumerate(scheme.classes)}
    faults = []
    for value, target in extra.items():
        if not SMALLEST_ID <= value <= LARGEST_ID:
            bounds = f"{SMALLEST_ID}..{LARGEST_ID}"
            faults.append(f"labels.map: {value} cannot occur in a mask; values are {bounds}")
        elif target not in train_ids:
            meant = did_you_mean(target, scheme.classes)
            meant = meant or f"classes are {', '.join(scheme.classes)}, or void"
            faults.append(f"labels.map: {value} means {target!r}, which is not a class; {meant}")
        else:
            train_id = train_ids[target]
            known = raw.get(value) or _new_label(value, train_id, scheme)
            raw[value] = replace(known, train_id=train_id)
    # Predictions are written with a raw value of 0 or more.
    written = {label.train_id for label in raw.values() if label.id >= 0}
    missing = sorted({*range(scheme.num_classes)} - written)
    faults += [f"labels.map leaves no raw value for class {scheme.classes[k]}" for k in missing]
    if faults:
        raise ParameterError("\n".join(f"params.yaml: {fault}" for fault in faults))
    return replace(scheme, raw=tuple(raw.values()))


def _new_label(value: int, train_id: int, scheme: LabelScheme) -> RawLabel:
    """Return a label for a value of which only the meaning is known, in the colour of what it means."""
    same = (label.colour for label in scheme.raw if label.train_id == train_id)
    return RawLabel(value, f"value {value}", next(same, None) or void_colour(scheme.raw), train_id)
