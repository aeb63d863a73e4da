"""Label schemes are data: files of names, colours and the raw ids that mean each class.

`csv_labels`, `yaml_labels` and `labelmap` say what such a file holds.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from importlib import resources
from pathlib import Path

from segpipe.labels.colours import void_colour
from segpipe.labels.csv_labels import HEADER, read_csv_labels
from segpipe.labels.labelmap import read_labelmap
from segpipe.labels.scheme import LARGEST_ID, MAX_CLASSES, SMALLEST_ID, VOID, LabelScheme, RawLabel
from segpipe.labels.yaml_labels import read_yaml_labels
from segpipe.runtime.errors import DataError, ParameterError, did_you_mean, listing

_READERS = {
    ".csv": read_csv_labels,
    ".yaml": read_yaml_labels,
    ".yml": read_yaml_labels,
    ".txt": read_labelmap,
}
_LISTS = ("train.txt", "val.txt", "test.txt")  # of samples, which may lie beside a label file
_JOINING = (
    "give each label a name of its own; to join several to one class, name it in a column `class`"
)
_BUILT_IN = resources.files("segpipe.labels") / "schemes"


class MissingLabelFileError(DataError):
    """The label file that params.yaml names is not there."""


def load_scheme(scheme: str, extra: Mapping[int, str], folder: Path) -> LabelScheme:
    """Return the scheme of params.yaml's `labels`.

    scheme: a built-in name (cityscapes19), or a CSV, YAML or labelmap.txt file in `folder` (the raw
    data). It is looked for nowhere else: DVC would not see a change of a file outside of the data.
    extra: more raw values and the class (or `void`) that each means; it also moves known ones.

    Raises ParameterError for an unknown scheme or class, MissingLabelFileError, and DataError for a
    faulty file.
    """
    path = folder / scheme
    if not _is_label_file(path):
        return _with_map(built_in_scheme(scheme), extra)
    if Path(scheme).name != scheme:
        raise ParameterError(
            f"params.yaml: labels.scheme is {scheme!r}; it must be a file's name alone: the file must "
            "lie in the folder of the data (source.path) itself, from where it is copied"
        )
    if not os.path.exists(path):  # noqa: PTH110  (Path.exists raises where the name is too long)
        raise MissingLabelFileError(
            f"{path}: there is no such file; labels.scheme in params.yaml names it, and it must lie "
            f"in the folder of the data (source.path), beside the images{_other_label_files(path)}"
        )
    if not path.is_file():
        raise DataError(f"{path}: is not a file, though labels.scheme in params.yaml names it")
    return _with_map(_read(path, scheme.removesuffix(path.suffix)), extra)


def scheme_at(name: str) -> LabelScheme:
    """Return the scheme of a built-in name, or of a CSV, YAML or labelmap.txt file anywhere.

    Raises ParameterError for an unknown name, MissingLabelFileError, and DataError for a faulty file.
    """
    path = Path(name)
    if not _is_label_file(path):
        known = built_in_schemes()
        if name in known:
            return built_in_scheme(name)
        meant = did_you_mean(name, known)
        raise ParameterError(
            f"there is no label scheme {name!r}{f' ({meant})' if meant else ''}; it can be "
            f"{', '.join(known)}, or the path of a CSV file ({HEADER}), YAML file or labelmap.txt"
        )
    if not path.is_file():
        raise MissingLabelFileError(f"{path}: there is no such file{_other_label_files(path)}")
    return _read(path, path.stem)


def label_files(folder: Path) -> list[str]:
    """Return the names of the files in a folder that may hold labels; of a .txt the ending is all that is
    looked at, but for lists of samples.
    """
    found = folder.iterdir() if folder.is_dir() else ()
    return sorted(item.name for item in found if _is_label_file(item) and item.is_file())


def _is_label_file(path: Path) -> bool:
    return path.suffix.lower() in _READERS and path.name not in _LISTS


def _other_label_files(path: Path) -> str:
    """Return the end of a sentence that names the label files in the folder of a missing one."""
    names = label_files(path.parent)
    if meant := did_you_mean(path.name, names):
        return f"; {meant}"
    return f"; the label files there are {', '.join(names[:10])}" if names else ""


def built_in_scheme(name: str) -> LabelScheme:
    """Return a scheme that comes with segpipe; raises ParameterError where there is none."""
    known = built_in_schemes()
    if name not in known:
        meant = did_you_mean(name, known)
        raise ParameterError(
            f"params.yaml: labels.scheme is {name!r}{f' ({meant})' if meant else ''}; it can be "
            f"{', '.join(known)}, or a CSV file ({HEADER}), YAML file or labelmap.txt in "
            "the folder of the data"
        )
    with resources.as_file(_BUILT_IN / f"{name}.csv") as path:
        return _read(path, name)


def built_in_schemes() -> list[str]:
    """Return the names of the schemes that come with segpipe."""
    files = [item.name for item in _BUILT_IN.iterdir()]
    return sorted(name.removesuffix(".csv") for name in files if name.endswith(".csv"))


def _read(path: Path, name: str) -> LabelScheme:
    """Return the scheme of a file; raises DataError with all that is wrong with it."""
    classes, placed, faults = _READERS[path.suffix.lower()](path)
    raw = [label for _, label in placed]
    faults += [
        f"{label.name} has the id {label.id}; below 0 an id can only be void, or be mapped to a class "
        "that has another one (labels.map)"
        for label in raw
        if label.id < 0 and label.train_id != VOID
    ]
    faults += _duplicates(placed) + _similar(label.name for label in raw)
    faults += [fault for fault in _similar(classes) if fault not in faults]
    if not classes and not faults:
        faults.append("every label is void; there is no class to learn")
    if len(classes) > MAX_CLASSES:
        faults.append(
            f"{len(classes)} classes; a mask of train ids holds at most {MAX_CLASSES}: join some, or "
            "make some void"
        )
    if faults:
        raise DataError(f"{path}:\n{listing(faults)}")
    return LabelScheme(name, tuple(classes), tuple(raw))


def _duplicates(placed: Iterable[tuple[str, RawLabel]]) -> list[str]:
    """Say which ids appear twice, and which names; void labels may share a name."""
    ids: dict[int, list[str]] = {}
    names: dict[str, list[str]] = {}
    for place, label in placed:
        ids.setdefault(label.id, []).append(f"{label.name} ({place})" if place else label.name)
        if label.train_id != VOID:
            names.setdefault(label.name, []).append(place)
    faults = [f"duplicate id {k}: {', '.join(each)}" for k, each in ids.items() if len(each) > 1]
    for name, places in names.items():
        if len(places) > 1:
            lines = f" ({', '.join(places)}); {_JOINING}" if places[0] else ""
            faults.append(f"duplicate name {name}{lines}")
    return faults


def _similar(names: Iterable[str]) -> list[str]:
    """Say which names differ only in case or spaces: of one class, or nobody can tell them apart."""
    spellings: dict[str, dict[str, None]] = {}
    for name in names:
        spellings.setdefault(" ".join(name.casefold().split()), {})[name] = None
    return [
        f"the names {' and '.join(map(repr, each))} differ only in case or spaces; spell them alike, "
        "or choose another name"
        for each in spellings.values()
        if len(each) > 1
    ]


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
            alike = (label.category for label in scheme.raw if label.train_id == train_id)
            raw[value] = replace(known, train_id=train_id, category=next(alike, None))
    # Predictions are written with a raw value of 0 or more.
    written = {label.train_id for label in raw.values() if label.id >= 0}
    missing = sorted({*range(scheme.num_classes)} - written)
    faults += [_left_without(scheme, k, extra) for k in missing]
    if faults:
        raise ParameterError("\n".join(f"params.yaml: {fault}" for fault in faults))
    return replace(scheme, raw=tuple(raw.values()))


def _left_without(scheme: LabelScheme, train_id: int, extra: Mapping[int, str]) -> str:
    """Say which entries of labels.map take its raw values from a class, and what would do."""
    name = scheme.classes[train_id]
    taken = [label.id for label in scheme.raw if label.train_id == train_id and label.id in extra]
    entries = ", ".join(f"{value}: {extra[value]}" for value in taken)
    values = f"value{'s' * (len(taken) > 1)} {', '.join(map(str, taken))}"
    return (
        f"labels.map leaves no raw value for class {name}: `{{{entries}}}` moves its {values} away; "
        f"take such an entry out, or add the value that means {name} in the masks (`VALUE: {name}`), "
        "or choose a labels.scheme without this class"
    )


def _new_label(value: int, train_id: int, scheme: LabelScheme) -> RawLabel:
    """Return a label for a value of which only the meaning is known, in the colour of what it means."""
    same = (label.colour for label in scheme.raw if label.train_id == train_id)
    return RawLabel(value, f"value {value}", next(same, None) or void_colour(scheme.raw), train_id)
