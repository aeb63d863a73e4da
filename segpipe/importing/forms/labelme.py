"""Labelme: a JSON file of shapes for each image.

    NAME.jpg, NAME.json      imagePath, imageHeight, imageWidth, shapes; imageData: the image in base64
    labels.txt               optional, as for `labelme --labels`: __ignore__, _background_, then classes

Sources: https://github.com/wkentaro/labelme, labelme/label_file.py and utils/shape.py. Pixels are those of
Labelme's own labelme2voc.py: Pillow draws with edges and outline (`polygons`), in the order of the
file. Lines and points have no area here. Without labels.txt classes count from 1 in the order in which
they are met, files by name; background is 0 and __ignore__ is void. Images without a JSON file are left
out; those with a file without shapes are background.
"""

import base64
import binascii
import math
import posixpath
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from segpipe.importing.class_files import listed_classes
from segpipe.importing.contents import (
    Annotated,
    Contents,
    ExportClass,
    background_id,
    collected,
    in_order,
    split_named,
    with_ids,
)
from segpipe.importing.mask_files import png_mask
from segpipe.importing.polygons import checked_points
from segpipe.importing.shapes import Pixels, Region, Shape, drawn, no_area, polygon
from segpipe.importing.tree import ExportTree
from segpipe.labels.scheme import VOID
from segpipe.runtime.errors import DataError, excerpt

_IGNORE = "__ignore__"


def evidence(tree: ExportTree) -> str:
    """Return which files speak for this form, "" for none."""
    places = [place for place, value in tree.sample_of_json.items() if _is_labelme(value)]
    return f"{', '.join(places[:3])} with shapes and imagePath" if places else ""


def _is_labelme(value: Any) -> bool:
    return isinstance(value, dict) and "shapes" in value and "imagePath" in value


def read(tree: ExportTree) -> Contents:
    """Return images, shapes and classes."""
    contents = Contents()
    files: dict[str, Any] = {}
    for place, value in tree.json_files(_is_labelme, contents.faults):
        # Thousands of images would not fit into memory: they are read again, one by one.
        embedded = bool(value.get("imageData")) and not _has_image(tree, place, value)
        files[place] = value | {"imageData": None, "embedded": embedded}
    _set_classes(tree, files, contents)
    for place, value in files.items():
        with collected(contents.faults, place):
            contents.images.append(_image(tree, place, value, contents))
    contents.leave_out_others(tree.pictures)
    return contents


def _has_image(tree: ExportTree, place: str, value: Any) -> bool:
    try:
        tree.find(str(value["imagePath"]), posixpath.dirname(place))
    except DataError:
        return False
    return True


def _set_classes(tree: ExportTree, files: dict[str, Any], contents: Contents) -> None:
    listed = listed_classes(tree)
    if listed is None:
        names: list[str] = []
        for place, value in files.items():
            with collected(contents.faults, place):
                names += [str(shape["label"]) for shape in value["shapes"]]
        contents.classes = in_order((name, None) for name in names if name != _IGNORE)
    else:
        # labelme2voc.py numbers the lines from -1 on, which is __ignore__.
        shift = 1 if listed[0].name == _IGNORE else 0
        kept = [each for each in listed if each.name != _IGNORE]
        with_ids(
            [ExportClass(each.id - shift, each.name, each.colour, each.counts) for each in kept],
            contents,
        )
    if VOID not in contents.ids().values():
        contents.classes.append(ExportClass(VOID, _IGNORE, None, counts=False))


def _image(tree: ExportTree, place: str, value: Any, contents: Contents) -> Annotated:
    name = str(value["imagePath"]).replace("\\", "/")
    folder = posixpath.dirname(place)
    ids, shapes = contents.ids(), []
    for number, shape in enumerate(value["shapes"], start=1):
        label = str(shape["label"])
        if label not in ids:
            raise DataError(
                f"shape {number} has the class {excerpt(label)}, which no class file names"
            )
        shapes.append(Shape(ids[label], _pixels(shape), f"shape {number} ({label})"))
    size = int(value["imageHeight"]), int(value["imageWidth"])
    if value["embedded"]:
        picture = posixpath.normpath(posixpath.join(folder, name))
        if picture.startswith(("../", "/")):
            raise DataError(f"{excerpt(name)} leads out of the export, where nothing is read")
        image: Any = lambda: _decoded(tree.json(place)["imageData"])  # noqa: E731
    else:
        picture = tree.find(name, folder)
        image = tree.files[picture]
    draw = drawn(shapes, background_id(contents), contents.passed_over, picture, size)
    return Annotated(picture, image, split_named(folder), draw)


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise DataError("holds base64 that is damaged or cut off") from error


def _pixels(shape: Any) -> Pixels:
    points = shape["points"]
    match shape.get("shape_type", "polygon"):
        case "polygon":
            return polygon([points], "edges and outline")
        case "rectangle" if len(points) == 2:
            return lambda height, width: _pillow("rectangle", points, height, width)
        case "rectangle":
            return polygon([points], "edges and outline")
        case "circle":
            (x, y), (edge_x, edge_y) = points
            radius = math.hypot(x - edge_x, y - edge_y)
            box = [(x - radius, y - radius), (x + radius, y + radius)]
            return lambda height, width: _pillow("ellipse", box, height, width)
        case "mask":
            return _mask(shape)
        case "line" | "linestrip" | "point" | "points":
            return no_area
        case kind:
            raise DataError(f"has a shape of the unknown kind {excerpt(kind)}")


def _pillow(figure: str, points: Any, height: int, width: int) -> Region:
    (left, top), (right, bottom) = checked_points(points, height, width).tolist()
    box = [min(left, right), min(top, bottom), max(left, right), max(top, bottom)]
    picture = Image.new("L", (width, height))
    draw = ImageDraw.Draw(picture)
    (draw.ellipse if figure == "ellipse" else draw.rectangle)(box, outline=1, fill=1)
    return Region(np.asarray(picture).astype(bool))


def _mask(shape: Any) -> Pixels:
    (left, top), (right, bottom) = [
        [round(float(one)) for one in point] for point in shape["points"]
    ]
    text = shape["mask"]

    def decoded(_height: int, _width: int) -> Region:
        part = png_mask(_decoded(text))
        if part.shape != (bottom - top + 1, right - left + 1):
            raise DataError("has a mask of another size than the rectangle that it fills")
        return Region(part, top, left)

    return decoded
