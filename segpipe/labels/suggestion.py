"""What may have been meant by mask values that do not fit the label scheme, in words to act on.

All functions are pure: they judge from the values of a whole data set and their pixels alone.
"""

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from segpipe.labels.load import built_in_scheme
from segpipe.labels.scheme import SMALLEST_ID, LabelScheme

# Cityscapes by train ids, the numbers of its labelTrainIds files, and by label ids.
_TRAIN_IDS, _LABEL_IDS = "cityscapes19_trainids", "cityscapes19"
# What -1 becomes in files of 8 and of 16 bits; also the usual numbers of void.
_MINUS_ONE = frozenset({255, 65535})
# Of a street scene about a tenth is void in label ids (the bonnet, the margin); of train ids that are
# read as label ids more than half (road and building become void).
_MUCH_VOID = 0.3
_SHOWN = 8  # values in a sentence
_PLAIN = re.compile(r"[A-Za-z][\w /-]*")
_NOT_TEXT = frozenset({"true", "false", "null"})


@dataclass(frozen=True)
class Suggestion:
    """What the values look like, and which parameter would say so.

    map: lines for `labels.map`. scheme: a value for `labels.scheme`. Either may be empty.
    """

    cause: str
    repair: str
    map: dict[int, str] = field(default_factory=dict)
    scheme: str | None = None

    def __str__(self) -> str:
        """Cause and repair as one sentence."""
        return f"{self.cause}; {self.repair}"


def suggest_mapping(scheme: LabelScheme, values: Mapping[int, int]) -> Suggestion | None:
    """Return what the raw values of masks of numbers may mean, None where nothing is recognised.

    values: all raw values of the data set (not only those outside the scheme) with their pixels.
    Recognised: train ids where label ids were due and the reverse, binary masks of 0 and one more
    value, stretched grey ramps, ids that start at the wrong number, -1 that was stored as 255 or
    65535. Masks that hold known values alone get a suggestion only where these say that the masks
    are mostly void: train ids read as label ids, or binary masks both of whose values are void.
    """
    present = {value: pixels for value, pixels in values.items() if pixels}
    rules = (
        _as_train_ids,
        _as_label_ids,
        _as_negative,
        _as_binary,
        _as_minus_one,
        _as_ramp,
        _as_shifted,
    )
    return next((found for rule in rules if (found := rule(scheme, present))), None)


def looks_like_train_ids(scheme: LabelScheme, values: Mapping[int, int]) -> bool:
    """Tell whether masks of a data set hold train ids, although the scheme wants label ids.

    values: all raw values with their pixels. Train ids are mostly values that the scheme knows, with
    another meaning, so the whole must speak: a third of the train ids occurs, nothing is above them
    but 255 or 65535, though most classes have label ids up there, and much of the area would be void
    or unknown.
    """
    meant = _names_of_train_ids(scheme)
    wanted = {label.id for label in scheme.raw if label.name in meant.values()}
    present = {value: pixels for value, pixels in values.items() if value not in _MINUS_ONE}
    few = len(present) < max(2, len(meant) / 3)
    if few or not present.keys() <= meant.keys() or 2 * len(wanted - meant.keys()) < len(wanted):
        return False
    counted = _counted(scheme)
    lost = sum(pixels for value, pixels in present.items() if value not in counted)
    return lost >= _MUCH_VOID * sum(present.values())


def looks_like_label_ids(scheme: LabelScheme, values: Iterable[int]) -> bool:
    """Tell whether masks hold Cityscapes label ids, although the scheme wants train ids.

    Label ids go up to 33, where the train ids end with 18: at least two of those beyond occur, and
    nothing that is neither a label id nor 255 or 65535.
    """
    by_train_id = {label.id: label.name for label in built_in_scheme(_TRAIN_IDS).raw}
    counted = _counted(scheme)
    names = {label.id: label.name for label in scheme.raw if label.id in counted}
    if len(names) < 2 or not names.items() <= by_train_id.items():
        return False
    present = set(values) - _MINUS_ONE
    beyond = present - by_train_id.keys()
    return present <= built_in_scheme(_LABEL_IDS).meanings.keys() and len(beyond) >= 2


def _names_of_train_ids(scheme: LabelScheme) -> dict[int, str]:
    """Return the name of the scheme's raw label that each train id stands for.

    For label ids of Cityscapes the official train ids, for others the order of the classes.
    """
    official, train_ids = built_in_scheme(_LABEL_IDS), built_in_scheme(_TRAIN_IDS)
    names = {label.id: label.name for label in scheme.raw}
    if all(names.get(value) == name for value, name in _counted(official).items()):
        return _counted(train_ids)
    return {k: names[value] for k, value in enumerate(scheme.raw_ids_K.tolist())}


def _as_train_ids(scheme: LabelScheme, present: Mapping[int, int]) -> Suggestion | None:
    if not looks_like_train_ids(scheme, present):
        return None
    cause = (
        f"the masks hold only {_few(present)}: they look like train ids, where {scheme.name} wants "
        "label ids"
    )
    target = {label.name: scheme.meanings[label.id] for label in scheme.raw}
    meant = {value: target[name] for value, name in _names_of_train_ids(scheme).items()}
    meant |= dict.fromkeys(sorted(_MINUS_ONE & present.keys()), "void")
    mapped = _mapped(scheme, cause, meant)
    # Unmapped classes are the official ones, or some of them occur in label ids alone.
    return mapped if mapped and scheme.name != _LABEL_IDS else _of_scheme(cause, _TRAIN_IDS)


def _as_label_ids(scheme: LabelScheme, present: Mapping[int, int]) -> Suggestion | None:
    if not looks_like_label_ids(scheme, present):
        return None
    cause = (
        f"the masks hold {_few(present)}: they look like label ids of Cityscapes, where "
        f"{scheme.name} wants train ids"
    )
    return _of_scheme(cause, _LABEL_IDS)


def _of_scheme(cause: str, name: str) -> Suggestion:
    repair = f"set `scheme: {name}` under labels in params.yaml"
    return Suggestion(cause, repair, scheme=name)


def _as_negative(scheme: LabelScheme, present: Mapping[int, int]) -> Suggestion | None:
    negative = sorted(value for value in present if value < 0)
    if not negative:
        return None
    cause = f"{_few(negative)} below 0 may mean void"
    if negative[0] >= SMALLEST_ID:
        return _mapped(scheme, cause, dict.fromkeys(negative, "void"))
    repair = "declare it as the nodata value of the label rasters, or write -1 in its place"
    return Suggestion(cause, repair)


def _as_binary(scheme: LabelScheme, present: Mapping[int, int]) -> Suggestion | None:
    """Masks of 0 and 255 (or another number) alone: one thing and the rest."""
    if len(present) != 2 or 0 not in present:
        return None
    value, now = max(present), scheme.meanings
    if value in now and {now.get(0), now[value]} != {"void"}:
        return None
    if scheme.num_classes != 2:
        if value != 255:
            return None
        cause = (
            f"the values 0 and 255 look binary, but {scheme.name} has {scheme.num_classes} classes"
        )
        repair = (
            "if 255 is one of them, name it in params.yaml: `map: {255: CLASS}` under labels; "
            "if it counts nowhere: `map: {255: void}`"
        )
        return Suggestion(cause, repair)
    cause = f"the values 0 and {value} look binary"
    return _mapped(scheme, cause, {0: scheme.classes[0], value: scheme.classes[1]})


def _as_minus_one(scheme: LabelScheme, present: Mapping[int, int]) -> Suggestion | None:
    unknown = present.keys() - scheme.meanings.keys()
    if not unknown or not unknown <= _MINUS_ONE:
        return None
    verb = "looks" if len(unknown) == 1 else "look"
    cause = f"{_few(unknown)} {verb} like void, or -1, which files of 8 and 16 bits store so"
    return _mapped(scheme, cause, dict.fromkeys(sorted(unknown), "void"))


def _as_ramp(scheme: LabelScheme, present: Mapping[int, int]) -> Suggestion | None:
    """Class numbers that were multiplied so that the mask can be seen: 0, 85, 170, 255."""
    unknown = present.keys() - scheme.meanings.keys()
    values, classes = sorted(present), scheme.num_classes
    if len(values) < 3 or values[0] != 0 or 2 * len(unknown) <= len(values) - 1:
        return None
    for steps in range(len(values) - 1, classes):
        step = values[-1] / steps
        places = {value: round(value / step) for value in values}
        # A ramp up to 255 is rounded; small steps must be exact, or anything would look like one.
        far = max(abs(value - place * step) for value, place in places.items())
        if (step >= 8 and far < 1) or (step >= 2 and far < 1e-6):
            cause = f"{_few(values)} look like a grey ramp, class numbers times {step:g}"
            meant = {value: scheme.classes[place] for value, place in places.items()}
            return _mapped(scheme, cause, meant)
    return None


def _as_shifted(scheme: LabelScheme, present: Mapping[int, int]) -> Suggestion | None:
    """Ids from 1 where they start at 0, or the reverse."""
    ids = scheme.raw_ids_K.tolist()
    first, end = ids[0], ids[0] + scheme.num_classes
    counted, known = _counted(scheme).keys(), scheme.meanings.keys()
    values = (present.keys() & counted | present.keys() - known) - _MINUS_ONE
    if len(ids) < 2 or ids != list(range(first, end)) or counted != set(ids):
        return None
    for shift, outside in ((1, end), (-1, first - 1)):
        shifted = {value + shift for value in ids}
        if outside in values - known and values <= shifted:
            cause = (
                f"{_few(values)} look like ids that start at {first + shift}, where "
                f"{scheme.name} starts at {first}"
            )
            meant = {value + shift: name for value, name in zip(ids, scheme.classes, strict=True)}
            return _mapped(scheme, cause, meant)
    return None


def _mapped(scheme: LabelScheme, cause: str, meant: Mapping[int, str]) -> Suggestion | None:
    """Suggest those entries of a map that are not so already; None where a class would lose all."""
    now = scheme.meanings
    if set(scheme.classes) - {*(now | dict(meant)).values()}:
        return None
    changed = {value: name for value, name in meant.items() if now.get(value) != name}
    entries = ", ".join(f"{value}: {_quoted(name)}" for value, name in changed.items())
    repair = f"if so, write it in params.yaml: `map: {{{entries}}}` under labels"
    return Suggestion(cause, repair, changed)


def _counted(scheme: LabelScheme) -> dict[int, str]:
    """Return the class of each raw id that is not void."""
    return {value: name for value, name in scheme.meanings.items() if name != "void"}


def _few(values: Collection[int]) -> str:
    """Name values in words, the first of them and the last."""
    listed = [str(value) for value in sorted(values)]
    if len(listed) > _SHOWN:
        return f"{', '.join(listed[: _SHOWN - 1])}, ... {listed[-1]}"
    return " and ".join([", ".join(listed[:-1]), listed[-1]]) if len(listed) > 1 else listed[0]


def _quoted(name: str) -> str:
    """Return a name as a YAML map in braces needs it."""
    plain = _PLAIN.fullmatch(name) and not name.endswith(" ") and name.lower() not in _NOT_TEXT
    return name if plain else json.dumps(name, ensure_ascii=False)
