"""Which values in a mask make its image one of those that `labels.exclude_images_with` leaves out."""

import difflib
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from segpipe.labels.scheme import LabelScheme, RawLabel, pack_colour
from segpipe.runtime.errors import ParameterError


@dataclass(frozen=True)
class ExcludedLabel:
    """The values by which a label, or a class, is known.

    ids: its raw ids, in masks of numbers. colours: its colours as 0xRRGGBB, in painted masks.
    shared: those of its colours that other labels have as well, with the name of one such label.
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
        if not (self.colours - self.shared.keys()).isdisjoint(values):
            return True
        for code in sorted(self.shared.keys() & set(values)):
            raise ParameterError(
                f"params.yaml: labels.exclude_images_with: {self.name} has the colour of "
                f"{self.shared[code]} ({code >> 16},{code >> 8 & 255},{code & 255}), so that masks "
                "of colours cannot tell them apart; take it from the list, or use masks of numbers"
            )
        return False


def excluded_labels(scheme: LabelScheme, names: Sequence[str]) -> dict[str, ExcludedLabel]:
    """Return the values of the named labels, by name.

    names: of raw labels (rail track) or of classes; a class stands for all of its raw labels.
    Raises ParameterError that lists the names which are neither, each with the nearest one.
    """
    found = {name: _labels(scheme, name) for name in names}
    unknown = [name for name, labels in found.items() if not labels]
    if unknown:
        known = sorted({*scheme.classes, *(label.name for label in scheme.raw)})
        raise ParameterError("\n".join(_fault(name, known, scheme.name) for name in unknown))
    return {name: _values(name, labels, scheme) for name, labels in found.items()}


def _labels(scheme: LabelScheme, name: str) -> list[RawLabel]:
    train_id = scheme.classes.index(name) if name in scheme.classes else None
    return [label for label in scheme.raw if label.name == name or label.train_id == train_id]


def _values(name: str, labels: list[RawLabel], scheme: LabelScheme) -> ExcludedLabel:
    colours = frozenset(pack_colour(label.colour) for label in labels)
    others = [label for label in scheme.raw if label not in labels]
    shared = {
        code: label.name for label in others if (code := pack_colour(label.colour)) in colours
    }
    return ExcludedLabel(name, frozenset(label.id for label in labels), colours, shared)


def _fault(name: str, known: list[str], scheme: str) -> str:
    folded = {other.casefold(): other for other in known}
    near = difflib.get_close_matches(name.casefold(), folded, n=1)
    meant = f"did you mean {folded[near[0]]}?" if near else f"it has {', '.join(known)}"
    return (
        f"params.yaml: labels.exclude_images_with: {name!r} is no label and no class of {scheme}; "
        f"{meant}"
    )
