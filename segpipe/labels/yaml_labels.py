"""Labels as YAML: classes in the order of the model's outputs, each with the ids that mean it.

    classes:
      road: {ids: [7, 8], colour: [128, 64, 128]}
      car: 26
    void: [0, 255]

An entry is an id, a list of ids, or a section of `ids`, `colour` and `category`. `colour` is one
colour, or a list with one for each id. Where no class has ids they are 0, 1, 2, ... in order
(`classes` may then be a list of names), one for each colour of a class. Colours that are left out are
chosen. A data.yaml as Ultralytics reads it is taken as well: of `names`, a list or a section of ids and
names, and of `void`; its other keys are passed over.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import Any

from segpipe.labels.colours import distinct_colours, void_colour
from segpipe.labels.label_text import name_fault, quote, read_label_text
from segpipe.labels.scheme import LARGEST_ID, SMALLEST_ID, VOID, VOID_NAMES, Colour, RawLabel
from segpipe.runtime.errors import DataError, ParameterError, did_you_mean
from segpipe.runtime.yaml_file import parse_yaml

_PARTS = ("classes", "void")
_KEYS = ("ids", "colour", "category")


@dataclass(frozen=True)
class _Entry:
    """What the file says of a class, or of void; `ids` is None where it leaves them out."""

    name: str
    ids: tuple[int, ...] | None = None
    colours: tuple[Colour, ...] = ()
    category: str | None = None


def read_yaml_labels(path: Path) -> tuple[list[str], list[tuple[str, RawLabel]], list[str]]:
    """Return the classes of a YAML file, its labels, and what is wrong with it but duplicates.

    The labels come in pairs with the place of each, which is empty: their names say enough.

    Raises DataError where the file cannot be read or holds nothing of labels.
    """
    try:
        content = parse_yaml(read_label_text(path).encode(), str(path))
    except ParameterError as error:
        raise DataError(str(error)) from error
    if not isinstance(content, Mapping) or not content:
        raise DataError(
            f"{path}: must hold `classes:` with a line for each class, such as `road: [7, 8]`, and "
            "perhaps `void: [0, 255]`"
        )
    faults: list[str] = []
    void = [_entry("void", content["void"], faults)] if "void" in content else []
    if "names" in content and "classes" not in content:
        entries, more = _of_names(content["names"], faults)
        void += more
    else:
        faults += _unknown_keys("the file", content, _PARTS)
        entries = _classes(content.get("classes"), faults)
    entries = _with_ids(entries, faults)
    labels = [("", label) for label in _labels(entries, void)]
    return [entry.name for entry in entries], labels, faults


def _classes(content: Any, faults: list[str]) -> list[_Entry]:
    match content:
        case Mapping() if content:
            given = list(content.items())
        case list() if content:
            given = [(name, None) for name in content]
        case _:
            faults.append(f"classes is {quote(content)}; it must name the classes, one a line")
            return []
    return [entry for name, value in given if (entry := _class(name, value, faults))]


def _of_names(content: Any, faults: list[str]) -> tuple[list[_Entry], list[_Entry]]:
    """Return the classes of `names: [sky, road]` or `names: {0: sky, 1: road}`, and what is void there."""
    match content:
        case Mapping() if content:
            given = [(name, value) for value, name in content.items()]
        case list() if content:
            given = [(name, value) for value, name in enumerate(content)]
        case _:
            faults.append(f"names is {quote(content)}; it must name the classes, one a line")
            return [], []
    entries, void = [], []
    for name, value in given:
        if isinstance(name, str) and name.strip().lower() in VOID_NAMES:
            void.append(_entry("void", value, faults))
        elif entry := _class(name, value, faults):
            entries.append(entry)
    return entries, void


def _class(name: Any, content: Any, faults: list[str]) -> _Entry | None:
    if not isinstance(name, str):
        faults.append(
            f"classes: {quote(name)} is not a name; write it in quotes if it is meant as one"
        )
    elif fault := name_fault(name.strip()):
        faults.append(f"classes: {fault}")
    elif name.strip().lower() in VOID_NAMES:
        faults.append(
            f"classes: {name} is a name for what counts nowhere; move its ids to `void:` beside "
            "classes, or choose another name"
        )
    else:
        return _entry(name.strip(), content, faults)
    return None


def _entry(name: str, content: Any, faults: list[str]) -> _Entry:
    """Read an id, a list of ids, a section, or nothing."""
    if not isinstance(content, Mapping):
        return _Entry(name, _ids(name, content, faults))
    faults += _unknown_keys(name, content, _KEYS)
    ids = _ids(f"{name}.ids", content.get("ids"), faults)
    colours = _colours(f"{name}.colour", content.get("colour"), faults)
    if ids and len(colours) > 1 and len(colours) != len(ids):
        faults.append(
            f"{name} has {len(ids)} ids and {len(colours)} colours; give one colour, or one for each"
        )
        colours = ()
    return _Entry(name, ids, colours, _category(name, content.get("category"), faults))


def _category(name: str, content: Any, faults: list[str]) -> str | None:
    if content is None:
        return None
    if not isinstance(content, str):
        faults.append(f"{name}.category: {quote(content)} is not a name; write it in quotes")
    elif fault := name_fault(content.strip()):
        faults.append(f"{name}.category: {fault}")
    elif content.strip().lower() not in VOID_NAMES:
        return content.strip()
    return None


def _ids(place: str, content: Any, faults: list[str]) -> tuple[int, ...] | None:
    if content is None:
        return None
    given = content if isinstance(content, list) else [content]
    if not given:
        faults.append(f"{place} is an empty list; give an id, or leave it out")
    faults += [
        f"{place}: {quote(value)} is not an id; ids are whole numbers {SMALLEST_ID}..{LARGEST_ID}"
        for value in given
        if not _is_whole(value, SMALLEST_ID, LARGEST_ID)
    ]
    return tuple(value for value in given if _is_whole(value, SMALLEST_ID, LARGEST_ID))


def _is_whole(value: Any, smallest: int, largest: int) -> bool:
    return type(value) is int and smallest <= value <= largest  # True and False are not numbers


def _colours(place: str, content: Any, faults: list[str]) -> tuple[Colour, ...]:
    if content is None:
        return ()
    several = isinstance(content, list) and content and isinstance(content[0], list)
    found: list[Colour] = []
    for value in content if several else [content]:
        match value:
            case [red, green, blue] if all(_is_whole(part, 0, 255) for part in value):
                found.append((red, green, blue))
            case _:
                faults.append(
                    f"{place}: {quote(value)} is not a colour; write [red, green, blue], 0..255"
                )
    return tuple(found)


def _with_ids(entries: list[_Entry], faults: list[str]) -> list[_Entry]:
    """Number the classes where none of them has ids; name those without where others have some."""
    bare = [entry.name for entry in entries if entry.ids is None]
    if len(bare) < len(entries):
        faults += [f"{name} has no ids, though other classes have; give it some" for name in bare]
        return entries
    numbered, start = [], 0
    for entry in entries:
        end = start + max(1, len(entry.colours))
        numbered.append(replace(entry, ids=tuple(range(start, end))))
        start = end
    return numbered


def _labels(entries: Sequence[_Entry], voids: Sequence[_Entry]) -> list[RawLabel]:
    """Return the labels of the classes, then those of void, if any; missing colours are chosen."""
    given = [colour for entry in (*entries, *voids) for colour in entry.colours]
    chosen = iter(distinct_colours(sum(not entry.colours for entry in entries), given))
    raw: list[RawLabel] = []
    for train_id, entry in enumerate(entries):
        raw += _numbered(entry, entry.colours or (next(chosen),), train_id)
    for void in voids:
        colours = void.colours or (void_colour(raw),)
        if void.ids is None:
            # 255 and downwards, where nothing else is.
            places = chain(range(255, -1, -1), range(256, LARGEST_ID + 1))
            taken = {label.id for label in raw}
            free = (value for value in places if value not in taken)
            void = replace(void, ids=tuple(islice(free, len(colours))))
        raw += _numbered(void, colours, VOID)
    return raw


def _numbered(entry: _Entry, colours: tuple[Colour, ...], train_id: int) -> list[RawLabel]:
    """Return a label for each id; of several, each is named with its id as well."""
    ids = entry.ids or ()
    each = colours if len(colours) == len(ids) else colours * len(ids)
    alone = len(ids) == 1
    return [
        RawLabel(
            id=value,
            name=entry.name if alone else f"{entry.name} {value}",
            colour=colour,
            train_id=train_id,
            category=entry.category,
        )
        for value, colour in zip(ids, each, strict=True)
    ]


def _unknown_keys(place: str, content: Mapping[Any, Any], known: Sequence[str]) -> list[str]:
    return [
        f"{place}: unknown key {key if str(key).isidentifier() else quote(key)}; "
        + (did_you_mean(str(key), known) or f"{place} can have {' and '.join(known)}")
        for key in content
        if key not in known
    ]
