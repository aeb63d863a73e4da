"""COCO's instances: JSON of images, annotations and categories.

    annotations/instances_train2017.json, train2017/NAME.jpg     (COCO, CVAT)
    train/_annotations.coco.json, train/NAME.jpg                 (Roboflow)

Source: https://cocodataset.org/#format-data. Polygons are drawn by pycocotools' rule, run lengths taken
as they are, in the order of the annotations: later ones lie above. Crowds have the class of their
category. The ids of the categories are kept; pixels in no annotation are background, and so is a listed
image without any, since COCO lists what has been looked at; others are left out.
"""

import posixpath
from typing import Any

from segpipe.importing.contents import (
    Annotated,
    Contents,
    ExportClass,
    background_id,
    collected,
    split_named,
    with_ids,
)
from segpipe.importing.run_lengths import coco_mask
from segpipe.importing.shapes import Pixels, Region, Shape, drawn, polygon
from segpipe.importing.tree import ExportTree
from segpipe.runtime.errors import DataError, excerpt

_KEYS = ("images", "annotations", "categories")


def evidence(tree: ExportTree) -> str:
    """Return which files speak for this form, "" for none."""
    places = [place for place, value in tree.sample_of_json.items() if _is_coco(value)]
    return f"{', '.join(places[:3])} with {', '.join(_KEYS)}" if places else ""


def _is_coco(value: Any) -> bool:
    if not isinstance(value, dict) or not all(isinstance(value.get(key), list) for key in _KEYS):
        return False
    return not any("segments_info" in one for one in value["annotations"][:1])  # panoptic


def read(tree: ExportTree) -> Contents:
    """Return images, shapes and classes of all files of instances together."""
    contents = Contents()
    files = dict(tree.json_files(_is_coco, contents.faults))
    named = {place: files[place] for place in files if "/instances" in f"/{place}"}
    files = named or files  # beside them COCO has files of keypoints, of the same images
    values = with_ids(categories(files), contents)
    for place, value in files.items():
        annotations: dict[Any, list[Any]] = {}
        for annotation in value["annotations"]:
            annotations.setdefault(annotation.get("image_id"), []).append(annotation)
        for image in value["images"]:
            with collected(contents.faults, f"{place}: {image.get('file_name')}"):
                own = annotations.get(image["id"], [])
                contents.images.append(_image(tree, place, image, own, values, contents))
    contents.leave_out_others(tree.pictures)
    return contents


def categories(files: dict[str, Any]) -> list[ExportClass]:
    """Return the classes of all files; DataError where an id has two names."""
    found: dict[int, ExportClass] = {}
    for place, value in files.items():
        for category in value["categories"]:
            number, name = int(category["id"]), str(category["name"])
            if found.setdefault(number, ExportClass(number, name, _colour(category))).name != name:
                raise DataError(
                    f"{place}: category {number} is {excerpt(name)} here, and {found[number].name!r} "
                    "in another file"
                )
    return list(found.values())


def _colour(category: Any) -> Any:
    colour = category.get("color")
    if not isinstance(colour, list) or len(colour) != 3:
        return None
    return tuple(min(255, max(0, int(channel))) for channel in colour)


def find_image(tree: ExportTree, place: str, name: str) -> str:
    """Return the path of an image that the JSON file at `place` names.

    It lies beside the file, or in a folder that is called as the file's split (train2017).
    """
    folder = posixpath.dirname(place)
    split = posixpath.splitext(posixpath.basename(place))[0].rpartition("_")[2]
    for guess in (f"{folder}/{name}", f"images/{split}/{name}", f"{split}/{name}"):
        if posixpath.normpath(guess) in tree.files:
            return posixpath.normpath(guess)
    return tree.find(name, folder)


def _image(
    tree: ExportTree,
    file: str,
    image: Any,
    annotations: list[Any],
    values: dict[int, int],
    contents: Contents,
) -> Annotated:
    place = find_image(tree, file, str(image["file_name"]))
    shapes = []
    for annotation in annotations:
        category = annotation["category_id"]
        if category not in values:
            raise DataError(
                f"annotation {annotation.get('id')} has the unknown category {excerpt(category)}"
            )
        called = f"annotation {annotation.get('id')}"
        shapes.append(
            Shape(values[category], _pixels(annotation.get("segmentation"), called), called)
        )
    size = int(image["height"]), int(image["width"])
    draw = drawn(shapes, background_id(contents), contents.passed_over, place, size)
    split = split_named(posixpath.basename(file)) or split_named(posixpath.dirname(file))
    return Annotated(place, tree.files[place], split or split_named(posixpath.dirname(place)), draw)


def _pixels(segmentation: Any, called: str) -> Pixels:
    if not segmentation:
        raise DataError(f"{called} is a box without a segmentation")
    if isinstance(segmentation, dict):
        return lambda height, width: Region(coco_mask(segmentation, height, width))
    if any(len(flat) % 2 for flat in segmentation):
        raise DataError(f"{called} has a polygon of an odd number of coordinates")
    return polygon([list(zip(flat[::2], flat[1::2], strict=True)) for flat in segmentation])
