"""Label schemes are data: files of names, colours and the raw ids that mean each class."""

import difflib
from collections.abc import Mapping
from dataclasses import replace
from importlib import resources
from pathlib import Path

from segpipe.labels.colours import void_colour
from segpipe.labels.csv_labels import read_csv_labels
from segpipe.labels.scheme import VOID, LabelScheme, RawLabel
from segpipe.labels.yaml_labels import read_yaml_labels
from segpipe.runtime.errors import DataError, ParameterError

_SUFFIXES = (".csv", ".yaml", ".yml")


def load_scheme(scheme: str, extra: Mapping[int, str], folder: Path) -> LabelScheme:
    """Return the scheme of params.yaml's `labels`.

    scheme: a built-in name (cityscapes19), or a CSV or YAML file in `folder` (the raw data). It is
    looked for nowhere else: DVC would not see a change of a file outside of the data.
    extra: more raw values and the class (or `void`) that each means; it also moves known ones.

    Raises ParameterError for an unknown scheme or class, DataError for a missing or faulty file.
    """
    if scheme.endswith(_SUFFIXES):
        path = _find(scheme, folder)
        read = read_csv_labels if path.suffix == ".csv" else read_yaml_labels
        return _with_map(read(path, scheme[: -len(path.suffix)]), extra)
    return _with_map(built_in_scheme(scheme), extra)


def built_in_scheme(name: str) -> LabelScheme:
    """Return a scheme that comes with segpipe; raises ParameterError where there is none."""
    known = built_in_schemes()
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        meant = f" (did you mean {near[0]}?)" if near else ""
        raise ParameterError(
            f"params.yaml: labels.scheme is {name!r}{meant}; it can be {', '.join(known)}, or a CSV "
            "file (id,name,red,green,blue) or YAML file in the folder of the data"
        )
    with resources.as_file(resources.files("segpipe.labels") / "schemes" / f"{name}.csv") as path:
        return read_csv_labels(path, name)


def built_in_schemes() -> list[str]:
    """Return the names of the schemes that come with segpipe."""
    folder = resources.files("segpipe.labels") / "schemes"
    return sorted(
        item.name.removesuffix(".csv") for item in folder.iterdir() if item.name.endswith(".csv")
    )


def _find(scheme: str, folder: Path) -> Path:
    path = folder / scheme
    if not path.is_file():
        raise DataError(
            f"{path}: there is no such file; labels.scheme in params.yaml names it, and it must lie "
            "in the folder of the data (source.path), beside the images"
        )
    return path


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
            known = raw.get(value) or _new_label(value, train_id, scheme)
            raw[value] = replace(known, train_id=train_id)
    missing = sorted(set(range(scheme.num_classes)) - {label.train_id for label in raw.values()})
    faults += [f"labels.map leaves no raw value for class {scheme.classes[k]}" for k in missing]
    if faults:
        raise ParameterError("\n".join(f"params.yaml: {fault}" for fault in faults))
    return replace(scheme, raw=tuple(raw.values()))


def _new_label(value: int, train_id: int, scheme: LabelScheme) -> RawLabel:
    """A value of which nothing but its meaning is known has the colour of what it means."""
    same = (label.colour for label in scheme.raw if label.train_id == train_id)
    return RawLabel(value, f"value {value}", next(same, None) or void_colour(scheme.raw), train_id)
