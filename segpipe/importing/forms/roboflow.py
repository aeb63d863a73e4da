"""Roboflow's "Semantic Segmentation Masks".

    train/NAME.jpg, train/NAME_mask.png, train/_classes.csv, and the same in valid/ and test/

`_classes.csv` has a line `Pixel Value, Class`, and below it one for each value of the masks. Source:
https://roboflow.com/formats/semantic-segmentation-masks. Images without a mask are left out.
"""

import posixpath

from segpipe.importing.contents import Contents, ExportClass, collected, split_word
from segpipe.importing.mask_files import add_pairs
from segpipe.importing.tree import ExportTree
from segpipe.runtime.errors import DataError, excerpt

_CLASSES = "_classes.csv"
_END = "_mask.png"


def evidence(tree: ExportTree) -> str:
    """Return which files speak for this form, "" for none."""
    masks = tree.ending(_END)
    return f"{_CLASSES} and {len(masks)} files *{_END}" if masks and tree.named(_CLASSES) else ""


def read(tree: ExportTree) -> Contents:
    """Return images, masks and classes."""
    contents = Contents()
    for place in tree.named(_CLASSES):
        with collected(contents.faults, place):
            contents.classes += _new_classes(tree.read_text(place), contents.classes)
    masks = {place[: -len(_END)]: place for place in tree.ending(_END)}
    images = {}
    for place in tree.pictures:
        if not place.endswith(_END):
            name = posixpath.splitext(place)[0]
            name = place if name in images else name
            images[name] = (split_word(place.split("/")[0]), place)
    add_pairs(tree, contents, images, masks)
    return contents


def _new_classes(text: str, known: list[ExportClass]) -> list[ExportClass]:
    """Return the classes that are not known yet; DataError where a value has two names."""
    names = {each.id: each.name for each in known}
    found = []
    for line in text.splitlines()[1:]:
        value, _, name = (part.strip() for part in line.partition(","))
        if not line.strip():
            continue
        if not value.isdecimal() or not name:
            raise DataError(f"{excerpt(line)} is no line `value, class`")
        if names.setdefault(int(value), name) != name:
            raise DataError(
                f"{value} is {excerpt(name)}, but {names[int(value)]!r} in another split"
            )
        if int(value) not in {each.id for each in known}:
            found.append(ExportClass(int(value), name))
    return found
