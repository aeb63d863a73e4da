"""What may have been meant by mask values that do not fit the label scheme, in words to act on.

All functions are pure: they judge from the values of a whole data set and their pixels alone.
"""

import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from segpipe.labels.scheme import VOID, LabelScheme
from segpipe.labels.train_ids import (
    LABEL_IDS,
    MINUS_ONE,
    TRAIN_IDS,
    looks_like_label_ids,
    looks_like_train_ids,
    meaning_of_train_ids,
)

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
    rules: tuple[Callable[[LabelScheme, Mapping[int, int]], Suggestion | None], ...] = (
        _as_train_ids,
        _as_label_ids,
        _as_negative,
        _as_binary,
        _as_minus_one,
        _as_ramp,
        _as_shifted,
    )
    return next((found for rule in rules if (found := rule(scheme, present))), None)


def _as_train_ids(scheme: LabelScheme, present: Mapping[int, int]) -> Suggestion | None:
    if not looks_like_train_ids(scheme, present):
        return None
    cause = (
        f"the masks hold only {_few(present)}: they look like train ids, where {scheme.name} wants "
        "label ids"
    )
    target = {label.name: _class_of(scheme, label.train_id) for label in scheme.raw}
    meant = {value: target[name] for value, name in meaning_of_train_ids(scheme).items()}
    meant |= dict.fromkeys(sorted(MINUS_ONE & present.keys()), "void")
    mapped = _mapped(scheme, cause, meant)
    if mapped and scheme.name != LABEL_IDS:
        return mapped
    # These classes are the official ones, or some of them occur in label ids alone.
    repair = f"set `scheme: {TRAIN_IDS}` under labels in params.yaml"
    return Suggestion(cause, repair, scheme=TRAIN_IDS)


def _as_label_ids(scheme: LabelScheme, present: Mapping[int, int]) -> Suggestion | None:
    if not looks_like_label_ids(scheme, present):
        return None
    cause = (
        f"the masks hold {_few(present)}: they look like label ids of Cityscapes, where "
        f"{scheme.name} wants train ids"
    )
    repair = f"set `scheme: {LABEL_IDS}` under labels in params.yaml"
    return Suggestion(cause, repair, scheme=LABEL_IDS)


def _as_negative(scheme: LabelScheme, present: Mapping[int, int]) -> Suggestion | None:
    negative = sorted(value for value in present if value < 0)
    if not negative:
        return None
    cause = f"{_few(negative)} below 0 may mean void"
    repair = "declare it as the nodata value of the label rasters, or write 255 in its place"
    return Suggestion(cause, repair)


def _as_binary(scheme: LabelScheme, present: Mapping[int, int]) -> Suggestion | None:
    """Masks of 0 and 255 (or another number) alone: one thing and the rest."""
    if len(present) != 2 or 0 not in present:
        return None
    value, now = max(present), _meanings(scheme)
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
    unknown = present.keys() - _ids(scheme)
    if not unknown or not unknown <= MINUS_ONE:
        return None
    verb = "looks" if len(unknown) == 1 else "look"
    cause = f"{_few(unknown)} {verb} like void, or -1, which files of 8 and 16 bits store so"
    return _mapped(scheme, cause, dict.fromkeys(sorted(unknown), "void"))


def _as_ramp(scheme: LabelScheme, present: Mapping[int, int]) -> Suggestion | None:
    """Class numbers that were multiplied so that the mask can be seen: 0, 85, 170, 255."""
    unknown = present.keys() - _ids(scheme)
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
    counted = {label.id for label in scheme.raw if label.train_id != VOID}
    values = {value for value in present if value in counted or value not in _ids(scheme)}
    values -= MINUS_ONE
    if len(ids) < 2 or ids != list(range(first, end)) or counted != set(ids):
        return None
    for shift, outside in ((1, end), (-1, first - 1)):
        shifted = {value + shift for value in ids}
        if outside in values - _ids(scheme) and values <= shifted:
            cause = (
                f"{_few(values)} look like ids that start at {first + shift}, where "
                f"{scheme.name} starts at {first}"
            )
            meant = {value + shift: name for value, name in zip(ids, scheme.classes, strict=True)}
            return _mapped(scheme, cause, meant)
    return None


def _mapped(scheme: LabelScheme, cause: str, meant: Mapping[int, str]) -> Suggestion | None:
    """Suggest those entries of a map that are not so already; None where a class would lose all."""
    now = _meanings(scheme)
    if set(scheme.classes) - {*{**now, **meant}.values()}:
        return None
    changed = {value: name for value, name in meant.items() if now.get(value) != name}
    entries = ", ".join(f"{value}: {_quoted(name)}" for value, name in changed.items())
    repair = f"if so, write it in params.yaml: `map: {{{entries}}}` under labels"
    return Suggestion(cause, repair, changed)


def _meanings(scheme: LabelScheme) -> dict[int, str]:
    """Return the class, or void, of each raw id."""
    return {label.id: _class_of(scheme, label.train_id) for label in scheme.raw}


def _class_of(scheme: LabelScheme, train_id: int) -> str:
    return "void" if train_id == VOID else scheme.classes[train_id]


def _ids(scheme: LabelScheme) -> set[int]:
    return {label.id for label in scheme.raw}


def _few(values: Collection[int], shown: int = 8) -> str:
    """Name values in words, the first of them and the last."""
    listed = [str(value) for value in sorted(values)]
    if len(listed) > shown:
        return f"{', '.join(listed[: shown - 1])}, ... {listed[-1]}"
    if len(listed) < 2:
        return "".join(listed)
    return f"{', '.join(listed[:-1])} and {listed[-1]}"


def _quoted(name: str) -> str:
    """Return a name as it stands in a YAML map in braces."""
    plain = _PLAIN.fullmatch(name) and not name.endswith(" ") and name.lower() not in _NOT_TEXT
    return name if plain else json.dumps(name, ensure_ascii=False)
