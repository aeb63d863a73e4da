"""Which values in a mask make its image one of those that `labels.exclude_images_with` leaves out."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from segpipe.labels.scheme import LabelScheme, colour_text, pack_colour
from segpipe.runtime.errors import ParameterError, did_you_mean

_PLACE = "params.yaml: labels.exclude_images_with"


@dataclass(frozen=True)
class ExcludedLabel:
    """The values by which a label, or a class, is known.

    ids: its raw ids, in masks of numbers. colours: the colours as 0xRRGGBB, in painted masks, that
    no other label has. shared: the others of its colours, with the name of another label of each.
    """

    name: str
    ids: frozenset[int]
    colours: frozenset[int]
    shared: dict[int, str]

    def is_in(self, values: Collection[int], painted: bool) -> bool:
        """Tell whether a mask that holds `values` (of either kind) holds this label.

        Raises ParameterError where the mask is painted and its colours cannot tell.
        """
        if not painted:
            return not self.ids.isdisjoint(values)
        if not self.colours.isdisjoint(values):
            return True
        code = min(self.shared.keys() & set(values), default=None)
        if code is None:
            return False
        raise ParameterError(
            f"{_PLACE}: {self.name} has the colour of {self.shared[code]} ({colour_text(code)}), so "
            "that masks of colours cannot tell them apart; take it from the list, or use masks of "
            "numbers"
        )


def excluded_labels(scheme: LabelScheme, names: Sequence[str]) -> dict[str, ExcludedLabel]:
    """Return the values of the named labels, by name.

    names: of raw labels (rail track) or of classes; a class stands for all of its raw labels.
    Raises ParameterError that lists the names which are neither, each with the nearest one.
    """
    known = sorted({*scheme.classes, *(label.name for label in scheme.raw)})
    faults = [
        f"{_PLACE}: {name!r} is neither a label nor a class of {scheme.name}; "
        + (did_you_mean(name, known) or f"it has {', '.join(known)}")
        for name in names
        if name not in known
    ]
    if faults:
        raise ParameterError("\n".join(faults))
    return {name: _excluded(name, scheme) for name in names}


def _excluded(name: str, scheme: LabelScheme) -> ExcludedLabel:
    train_id = scheme.classes.index(name) if name in scheme.classes else None
    labels = [one for one in scheme.raw if one.name == name or one.train_id == train_id]
    colours = {pack_colour(label.colour) for label in labels}
    others = {pack_colour(one.colour): one.name for one in scheme.raw if one not in labels}
    shared = {code: others[code] for code in colours & others.keys()}
    ids = frozenset(label.id for label in labels)
    return ExcludedLabel(name, ids, frozenset(colours - shared.keys()), shared)
