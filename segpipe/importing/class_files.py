"""Lists of classes that lie in an export beside its images: CSV, labelmap.txt, a name a line."""

import re

from segpipe.importing.contents import ExportClass
from segpipe.importing.tree import ExportTree
from segpipe.labels.csv_labels import read_csv_labels
from segpipe.labels.scheme import VOID, Colour
from segpipe.runtime.errors import DataError, excerpt, file_named

_LABELMAP = re.compile(r"(.+?):(\d{1,3}),(\d{1,3}),(\d{1,3})(:.*)?")
_HEX = re.compile("#[0-9a-fA-F]{6}")
NAMES_OF_LISTS = ("labelmap.txt", "classes.csv", "labels.csv", "classes.txt", "labels.txt")


def listed_classes(tree: ExportTree) -> list[ExportClass] | None:
    """Return the classes of the class file that lies nearest to the top; None where there is none.

    Raises DataError for a faulty file.
    """
    places = [place for name in NAMES_OF_LISTS for place in tree.named(name)]
    if not places:
        return None
    place = min(places, key=lambda one: one.count("/"))
    if place.endswith(".csv"):
        _, labels, faults = read_csv_labels(tree.files[place])
        if faults:
            raise DataError(f"{place}: {faults[0]}")
        return [
            ExportClass(label.id, label.name, label.colour, label.train_id != VOID)
            for _, label in labels
        ]
    with file_named(place):
        lines = [line.strip() for line in tree.read_text(place).splitlines()]
        rows = [line for line in lines if line and not line.startswith("#")]
        if place.endswith("labelmap.txt"):
            return [_labelmap_row(number, row) for number, row in enumerate(rows)]
    return [ExportClass(number, name) for number, name in enumerate(rows)]


def _labelmap_row(number: int, row: str) -> ExportClass:
    found = _LABELMAP.fullmatch(row)
    if found is None or any(int(found[channel]) > 255 for channel in (2, 3, 4)):
        raise DataError(f"{excerpt(row)} is no line name:red,green,blue:parts:actions")
    return ExportClass(number, found[1], (int(found[2]), int(found[3]), int(found[4])))


def hex_colour(text: str) -> Colour | None:
    """Return the colour of #rrggbb; None for anything else."""
    if not _HEX.fullmatch(text):
        return None
    red, green, blue = bytes.fromhex(text[1:])
    return red, green, blue
