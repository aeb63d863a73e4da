"""Polygons as Cityscapes has them, with its classes or others.

    gtFine/train/CITY/NAME_gtFine_polygons.json, leftImg8bit/train/CITY/NAME_leftImg8bit.png
    classes.csv                          optional: id,name,red,green,blue, for classes of one's own

Source: https://github.com/mcordts/cityscapesScripts, helpers/annotation.py and
preparation/json2labelImg.py. Objects are painted as there: by Pillow, without an outline, in the order of
the file; `cargroup` is car, what is deleted or has a negative id is not drawn, and pixels in no object
are `unlabeled`, which is void. Where labels are not those of Cityscapes and no classes.csv names them,
they count from 1 in the order in which they are met, and 0 is void. Images without polygons are left out.
"""

import posixpath
from typing import Any

from segpipe.importing.class_files import listed_classes
from segpipe.importing.contents import Annotated, Contents, ExportClass, collected, split_named
from segpipe.importing.shapes import Shape, drawn, polygon
from segpipe.importing.tree import ExportTree
from segpipe.labels.load import built_in_scheme
from segpipe.labels.scheme import VOID, VOID_NAMES
from segpipe.runtime.errors import DataError, excerpt

_END = "_polygons.json"
_KINDS = ("_gtFine", "_gtCoarse", "")
_GROUP = "group"


def evidence(tree: ExportTree) -> str:
    """Return which files speak for this form, "" for none."""
    files = tree.ending(_END)
    return f"{len(files)} files *{_END}" if files else ""


def read(tree: ExportTree) -> Contents:
    """Return images, polygons and classes."""
    contents = Contents()
    files: dict[str, Any] = {}
    for place in tree.ending(_END):
        with collected(contents.faults, place):
            files[place] = tree.json(place)
    contents.classes = _classes(tree, files, contents)
    void = next((each.id for each in contents.classes if each.name.lower() in VOID_NAMES), None)
    if void is None:
        void = VOID
        contents.classes.append(ExportClass(VOID, "void", None, counts=False))
    for place, value in files.items():
        with collected(contents.faults, place):
            contents.images.append(_image(tree, place, value, void, contents))
    return contents


def _classes(tree: ExportTree, files: dict[str, Any], contents: Contents) -> list[ExportClass]:
    if listed := listed_classes(tree):
        return listed
    official = [
        ExportClass(label.id, label.name, label.colour, label.train_id != VOID)
        for label in built_in_scheme("cityscapes34").raw
        if label.id >= 0
    ]
    known = {each.name for each in official}
    met: dict[str, None] = {}
    for place, value in files.items():
        with collected(contents.faults, place):
            met |= dict.fromkeys(str(each["label"]) for each in value["objects"])
    if all(
        name in known or name.removesuffix(_GROUP) in known or name == "license plate"
        for name in met
    ):
        return official
    own = [name for name in met if name.lower() not in VOID_NAMES]
    void = next((name for name in met if name.lower() in VOID_NAMES), "void")
    return [
        ExportClass(0, void, None, counts=False),
        *(ExportClass(number, name) for number, name in enumerate(own, start=1)),
    ]


def _image(tree: ExportTree, place: str, value: Any, void: int, contents: Contents) -> Annotated:
    picture = _find_image(tree, place)
    ids, shapes = contents.ids(), []
    for number, each in enumerate(value["objects"], start=1):
        label = str(each["label"])
        if label not in ids:
            label = label.removesuffix(_GROUP)
        if each.get("deleted") or (label == "license plate" and label not in ids):
            continue
        if label not in ids:
            raise DataError(
                f"object {number} has the class {excerpt(label)}, which no class file names"
            )
        shapes.append(
            Shape(ids[label], polygon([each["polygon"]], "edges"), f"object {number} ({label})")
        )
    size = int(value["imgHeight"]), int(value["imgWidth"])
    draw = drawn(shapes, void, contents.passed_over, picture, size)
    return Annotated(picture, tree.files[picture], split_named(posixpath.dirname(place)), draw)


def _find_image(tree: ExportTree, place: str) -> str:
    """Return the image of a file of polygons: NAME_leftImg8bit.png, or NAME of any kind."""
    stem = posixpath.basename(place)[: -len(_END)]
    for kind in _KINDS:
        if stem.endswith(kind):
            stem = stem.removesuffix(kind)
            break
    fits: list[str] = [*tree.by_stem.get(f"{stem}_leftImg8bit", ()), *tree.by_stem.get(stem, ())]
    if len(fits) > 1:
        folders = posixpath.dirname(place).split("/")
        fits = [
            one for one in fits if posixpath.dirname(one).split("/")[-1:] == folders[-1:]
        ] or fits
    if len(fits) != 1:
        found = "not in the export" if not fits else f"{fits[0]} or {fits[1]}"
        raise DataError(f"its image {stem}_leftImg8bit.png is {found}")
    return fits[0]
