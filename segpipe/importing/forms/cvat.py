"""CVAT for images 1.1: one XML file of shapes.

    annotations.xml, images/NAME.jpg, images/SUBSET/NAME.jpg

Source: https://docs.cvat.ai/docs/other/xml_format. Shapes of a higher z_order lie above, those of the same
one in the order of the file. Polygons, rectangles and ellipses are drawn by centres (`polygons`), masks
are taken as they are; points, lines and cuboids have no area, tags none either. Classes count from 1 in
the order of the labels; pixels in no shape are background, 0, also where an image has no shape at all:
the file does not say whether anybody has looked at it.
"""

from typing import Any
from xml.etree.ElementTree import Element

from segpipe.importing.class_files import hex_colour
from segpipe.importing.contents import (
    Annotated,
    Contents,
    background_id,
    collected,
    in_order,
    split_named,
    split_word,
)
from segpipe.importing.polygons import ellipse, rectangle
from segpipe.importing.run_lengths import cvat_mask
from segpipe.importing.shapes import Pixels, Region, Shape, drawn, no_area, polygon
from segpipe.importing.tree import ExportTree
from segpipe.runtime.errors import DataError, excerpt

_LINES = ("points", "polyline", "cuboid", "skeleton")


def evidence(tree: ExportTree) -> str:
    """Return which files speak for this form, "" for none."""
    places = [place for place in tree.ending(".xml") if _is_cvat(tree, place)]
    return f"{', '.join(places[:3])} with <annotations>" if places else ""


def _is_cvat(tree: ExportTree, place: str) -> bool:
    head = tree.head(place)
    return b"<annotations>" in head and (b"<meta>" in head or b"<image " in head)


def read(tree: ExportTree) -> Contents:
    """Return images, shapes and classes."""
    contents = Contents()
    roots: dict[str, Element] = {}
    for place in tree.ending(".xml"):
        if _is_cvat(tree, place):
            with collected(contents.faults, place):
                roots[place] = tree.xml(place)
    labels = [label for root in roots.values() for label in root.findall("meta//label")]
    contents.classes = in_order(
        (label.findtext("name", ""), hex_colour(label.findtext("color", "")))
        for label in labels
        if label.find("parent") is None
    )
    empty = []
    for place, root in roots.items():
        if root.find("track") is not None:
            contents.faults.append(f"{place}: is CVAT for video; export as CVAT for images 1.1")
        for image in root.findall("image"):
            with collected(contents.faults, f"{place}: {image.get('name')}"):
                contents.images.append(_image(tree, image, contents))
                if not len(image):
                    empty.append(contents.images[-1].place)
    contents.leave_out_others(tree.pictures)
    if empty:
        contents.notes.append(f"{len(empty)} images have no shape; they are background as a whole")
    return contents


def _image(tree: ExportTree, image: Element, contents: Contents) -> Annotated:
    name, subset = image.attrib["name"], image.get("subset", "")
    inside = next(
        (one for one in (f"images/{subset}/{name}", f"images/{name}") if one in tree.files), name
    )
    place = tree.find(inside)
    ids = contents.ids()
    shapes = []
    for number, element in enumerate(sorted(image, key=lambda one: int(one.get("z_order", 0)))):
        if element.tag == "tag":
            continue
        label = element.attrib["label"]
        if label not in ids:
            raise DataError(
                f"has a shape of the class {excerpt(label)}, which <labels> does not name"
            )
        called = f"{element.tag} {number + 1} ({label})"
        shapes.append(Shape(ids[label], _pixels(element), called))
    size = int(image.attrib["height"]), int(image.attrib["width"])
    draw = drawn(shapes, background_id(contents), contents.passed_over, place, size)
    return Annotated(place, tree.files[place], split_word(subset) or split_named(name), draw)


def _pixels(element: Element) -> Pixels:
    def number(name: str, otherwise: str | None = None) -> float:
        value: Any = element.attrib[name] if otherwise is None else element.get(name, otherwise)
        return float(value)

    match element.tag:
        case "polygon":
            pairs = [pair.split(",") for pair in element.attrib["points"].split(";") if pair]
            return polygon([[(float(x), float(y)) for x, y in pairs]])
        case "box":
            corners = [number(side) for side in ("xtl", "ytl", "xbr", "ybr")]
            left, top, right, bottom = corners
            return polygon([rectangle(left, top, right, bottom, number("rotation", "0"))])
        case "ellipse":
            x, y, radius_x, radius_y = (number(one) for one in ("cx", "cy", "rx", "ry"))
            return polygon([ellipse(x, y, radius_x, radius_y, number("rotation", "0"))])
        case "mask":
            left, top, width, height = (
                int(element.attrib[one]) for one in ("left", "top", "width", "height")
            )
            runs = element.attrib["rle"]

            def decoded(most_rows: int, most_columns: int) -> Region:
                if not (0 < height <= most_rows and 0 < width <= most_columns):
                    raise DataError(
                        f"has a mask of {height} x {width}, which is larger than the image"
                    )
                lengths = [int(length) for length in runs.split(",")]
                return Region(cvat_mask(lengths, height, width), top, left)

            return decoded
        case tag if tag in _LINES:
            return no_area
        case tag:
            raise DataError(f"has a shape of the unknown kind {excerpt(tag)}")
