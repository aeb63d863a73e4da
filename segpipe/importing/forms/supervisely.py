"""Supervisely: a JSON file of objects for each image, or the masks of "Export as masks".

    meta.json                           classes: title, shape, color
    DATASET/img/NAME.jpg, DATASET/ann/NAME.jpg.json
    obj_class_to_machine_color.json, DATASET/masks_machine/NAME.png or NAME.jpg.png

Sources: https://developer.supervisely.com/getting-started/supervisely-annotation-format/objects;
supervisely/geometry, bitmap.py (`base64_2_data`) and polygon.py;
https://github.com/supervisely-ecosystem/export-as-masks. Where the masks are there they count, with the
values of their JSON file. Polygons are drawn by Pillow with edges; Supervisely uses OpenCV's fillPoly,
which paints the edges as well, and may differ by a pixel along slanted ones. Later objects lie above. A
bitmap is a PNG file, packed by zlib and base64, at an origin. Classes count from 1 in the order of
meta.json, whose ids are those of a server's data base. Pixels in no object are background, 0, and so is
an image without objects. Images without a JSON file are left out.
"""

import base64
import binascii
import zlib
from typing import Any

from segpipe.importing.class_files import hex_colour
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
from segpipe.importing.mask_files import add_pairs, png_mask
from segpipe.importing.polygons import rectangle
from segpipe.importing.run_lengths import Mask
from segpipe.importing.shapes import Pixels, Region, Shape, drawn, no_area, polygon
from segpipe.importing.tree import ExportTree
from segpipe.runtime.errors import DataError, excerpt

_META = "meta.json"
_VALUES, _MASKS = "obj_class_to_machine_color.json", "masks_machine"
_MOST_BITMAP = 64 << 20  # bytes of a PNG file of one bit a pixel; no object has a larger one


def evidence(tree: ExportTree) -> str:
    """Return which files speak for this form, "" for none."""
    if _VALUES in tree.files and (masks := tree.inside(_MASKS)):
        return f"{_VALUES} and {len(masks)} files in {_MASKS}/"
    files = _annotations(tree)
    return f"{_META} and {len(files)} files ann/*.json" if files and _META in tree.files else ""


def _annotations(tree: ExportTree) -> list[str]:
    return [place for place in tree.ending(".json") if place.split("/")[-2:-1] == ["ann"]]


def read(tree: ExportTree) -> Contents:
    """Return images, objects and classes."""
    contents = Contents()
    listed = tree.json(_META)["classes"] if _META in tree.files else []
    colours = {str(each["title"]): hex_colour(str(each.get("color", ""))) for each in listed}
    if _VALUES in tree.files:
        values = [(str(title), int(grey[0])) for title, grey in tree.json(_VALUES).items()]
        classes = [ExportClass(number, title, colours.get(title)) for title, number in values]
        with_ids(classes, contents)
        _add_masks(tree, contents)
        return contents
    contents.classes = in_order(colours.items())
    for file in _annotations(tree):
        with collected(contents.faults, file):
            dataset, name = file.rsplit("/ann/", 1) if "/ann/" in file else ("", file[4:])
            wanted = f"{dataset}/img/{name.removesuffix('.json')}".removeprefix("/")
            if wanted not in tree.files:
                raise DataError(f"its image {wanted} is not in the export")
            contents.images.append(_image(tree, wanted, tree.json(file), contents))
    contents.leave_out_others(tree.inside("img"))
    return contents


def _add_masks(tree: ExportTree, contents: Contents) -> None:
    masks = {}
    for place in tree.inside(_MASKS):
        name = place.replace(f"{_MASKS}/", "img/").removesuffix(".png")
        # Without the suffix of the image (older) or with it.
        masks[name if name in tree.files else f"{name}."] = place
    images = {
        place if place in masks else f"{place.rpartition('.')[0]}.": (split_named(place), place)
        for place in tree.inside("img")
    }
    add_pairs(tree, contents, images, masks)


def _image(tree: ExportTree, place: str, value: Any, contents: Contents) -> Annotated:
    ids, shapes = contents.ids(), []
    for number, each in enumerate(value["objects"], start=1):
        title = str(each["classTitle"])
        if title not in ids:
            raise DataError(
                f"object {number} has the class {excerpt(title)}, which {_META} does not name"
            )
        shapes.append(Shape(ids[title], _pixels(each), f"object {number} ({title})"))
    size = int(value["size"]["height"]), int(value["size"]["width"])
    draw = drawn(shapes, background_id(contents), contents.passed_over, place, size)
    return Annotated(place, tree.files[place], split_named(place.split("/img/")[0]), draw)


def _pixels(each: Any) -> Pixels:
    match each["geometryType"]:
        case "polygon":
            points = each["points"]
            return polygon([points["exterior"]], "edges", holes=points.get("interior", []))
        case "rectangle":
            (left, top), (right, bottom) = each["points"]["exterior"]
            return polygon([rectangle(left, top, right, bottom)], "edges")
        case "bitmap":
            data = each["bitmap"]["data"]
            left, top = (int(one) for one in each["bitmap"]["origin"])
            return lambda _height, _width: Region(_bitmap(data), top, left)
        case "point" | "line" | "graph" | "cuboid" | "polyline":
            return no_area
        case kind:
            raise DataError(f"has an object of the unknown kind {excerpt(kind)}")


def _bitmap(text: str) -> Mask:
    try:
        packed = zlib.decompressobj()
        content = packed.decompress(base64.b64decode(text, validate=True), _MOST_BITMAP)
    except (binascii.Error, ValueError, zlib.error) as error:
        raise DataError(f"has a bitmap that is damaged or cut off ({error})") from error
    if packed.unconsumed_tail or not packed.eof:
        raise DataError(f"has a bitmap that is cut off, or larger than {_MOST_BITMAP:,} bytes")
    return png_mask(content)
