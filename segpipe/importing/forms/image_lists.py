"""Lists of pairs: text files with a line `image mask` for each pair.

    train.txt, val.txt, test.txt, or one list of another name

The names are separated by a tab, a comma or spaces; SegNet's CamVid and HRNet's lists are written so. Paths
may be those of another computer: the end that one file of the export has counts. The lists tell the
splits. Masks hold ids, 255 is void; the names of the classes come from classes.csv, classes.txt or
labelmap.txt in the export, and without one each value becomes a class without a name.
"""

import posixpath

from segpipe.importing.class_files import NAMES_OF_LISTS, listed_classes
from segpipe.importing.contents import Annotated, Contents, collected, split_named
from segpipe.importing.mask_files import file_drawn, painted_or_numbers
from segpipe.importing.tree import ExportTree
from segpipe.runtime.errors import DataError, excerpt

_SUFFIXES = (".txt", ".lst", ".csv")
_LOOKED_AT = 20  # lists; labels of YOLO are text files too, by the thousand


def evidence(tree: ExportTree) -> str:
    """Return which files speak for this form, "" for none."""
    places = _lists(tree)
    return f"{', '.join(places[:3])} with lines `image mask`" if places else ""


def _lists(tree: ExportTree) -> list[str]:
    found = []
    candidates = [one for one in tree.ending(*_SUFFIXES) if "labels" not in one.split("/")[:-1]]
    for place in candidates[:_LOOKED_AT]:
        if posixpath.basename(place) in NAMES_OF_LISTS:
            continue
        try:
            lines = tree.head(place).decode("utf-8-sig", "replace").splitlines()
            first = next((line for line in lines if line.strip() and not line.startswith("#")), "")
            _pair(tree, first, posixpath.dirname(place))
        except DataError:
            continue
        found.append(place)
    return found


def read(tree: ExportTree) -> Contents:
    """Return the pairs of all lists, and the classes."""
    classes = listed_classes(tree)
    contents = Contents(classes=classes or [], open_classes=classes is None)
    seen: dict[str, str] = {}
    for place in _lists(tree):
        for number, line in enumerate(tree.read_text(place).splitlines(), start=1):
            if not line.strip() or line.startswith("#"):
                continue
            with collected(contents.faults, f"{place}: line {number}"):
                image, mask = _pair(tree, line, posixpath.dirname(place))
                if seen.setdefault(image, place) != place:
                    raise DataError(f"{image} is in {seen[image]} too")
                draw = file_drawn(
                    tree.files[mask], mask, lambda path: painted_or_numbers(path, contents.classes)
                )
                split = split_named(posixpath.basename(place))
                contents.images.append(Annotated(image, tree.files[image], split, draw))
    return contents


def _pair(tree: ExportTree, line: str, folder: str) -> tuple[str, str]:
    """Return image and mask of a line; names may hold spaces where the files tell their end."""
    for separator in ("\t", ",", ";"):
        if line.count(separator) == 1:
            image, mask = (part.strip() for part in line.split(separator))
            return tree.find(image, folder), tree.find(mask, folder)
    words = line.split()
    if len(words) < 2:
        raise DataError(f"{excerpt(line)} does not name an image and its mask")
    for cut in range(1, len(words)):
        try:
            return (
                tree.find(" ".join(words[:cut]), folder),
                tree.find(" ".join(words[cut:]), folder),
            )
        except DataError as error:
            last = error
    raise last
