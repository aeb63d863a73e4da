"""Label Studio: the JSON of tasks, or the PNG files of its brush, one mask for each class.

    export.json        a list of tasks: id, data, annotations with their result
    task-1-annotation-2-by-3-tag-CLASS-0.png        beside it or alone
    images/NAME.jpg                                 which the export itself lacks

Sources: https://labelstud.io/guide/export; https://labelstud.io/tags/brushlabels; label_studio_sdk,
converter/brush.py. Points are in percent of the image; polygons, rectangles and ellipses are drawn by
centres (`polygons`), in the order of the result. Masks of PNG files are what is not 0; later names
lie above. The image of a task is the file that `data` names (Label Studio puts 8 digits and - before an
uploaded name); without the JSON a file task-1.jpg or 1.jpg. Of several annotations of a task the one
marked as ground truth counts, else the last that was not cancelled. Classes count from 1 in the order
in which they are met; pixels in no region are background, 0. Tasks without an annotation are left out.
"""

import posixpath
import re
from typing import Any
from urllib.parse import unquote

from segpipe.importing.contents import (
    Annotated,
    Contents,
    background_id,
    collected,
    in_order,
    split_named,
)
from segpipe.importing.mask_files import numbers
from segpipe.importing.polygons import ellipse, rectangle
from segpipe.importing.run_lengths import label_studio_mask
from segpipe.importing.shapes import Pixels, Region, Shape, drawn, no_area, polygon
from segpipe.importing.tree import ExportTree
from segpipe.runtime.errors import DataError, excerpt

_BRUSH = re.compile(r"task-(\d+)-annotation-\d+-by-[^-]*-[^-]+-(.+)-(\d+)\.png")
_UPLOADED = re.compile(r"[0-9a-f]{8}-(.+)")
_LABELS = (
    "polygonlabels",
    "brushlabels",
    "rectanglelabels",
    "ellipselabels",
    "keypointlabels",
    "labels",
)
_GEOMETRY = {"points", "rle", "radiusX", "x"}


def evidence(tree: ExportTree) -> str:
    """Return which files speak for this form, "" for none."""
    tasks = [place for place, value in tree.sample_of_json.items() if _is_tasks(value)]
    brushes = [
        place for place in tree.ending(".png") if _BRUSH.fullmatch(posixpath.basename(place))
    ]
    seen = [f"{', '.join(tasks[:3])} with tasks"] if tasks else []
    seen += [f"{len(brushes)} files task-N-annotation-M-...png"] if brushes else []
    return " and ".join(seen)


def _is_tasks(value: Any) -> bool:
    return isinstance(value, list) and any(
        isinstance(one, dict) and "data" in one and "annotations" in one for one in value[:1]
    )


def read(tree: ExportTree) -> Contents:
    """Return images, regions and classes."""
    contents = Contents()
    tasks: dict[str, Any] = {}
    for place, value in tree.json_files(_is_tasks, contents.faults):
        with collected(contents.faults, place):
            tasks |= {str(task["id"]): task for task in value}
    brushes: dict[str, list[tuple[str, str]]] = {}
    for place in tree.ending(".png"):
        if found := _BRUSH.fullmatch(posixpath.basename(place)):
            brushes.setdefault(found[1], []).append((found[2], place))
    results: dict[str, list[Any] | None] = {}
    names: list[str] = []
    for number, task in tasks.items():
        with collected(contents.faults, f"task {number}"):
            regions = _result(task)
            names += [name for region in regions or [] for name in _names(region)]
            results[number] = regions
    names += [name for masks in brushes.values() for name, _ in masks]
    contents.classes = in_order((name, None) for name in names)
    for number in sorted({*results, *brushes}, key=int):
        with collected(contents.faults, f"task {number}"):
            # A task that cannot be read does not name the image of its PNG files either.
            place = _image_of(tree, number, tasks[number] if number in results else None)
            regions = results.get(number)
            if regions is None and number not in brushes:
                contents.unannotated.append(place)
                continue
            shapes = _shapes(tree, regions or [], brushes.get(number, []), contents.ids())
            draw = drawn(shapes, background_id(contents), contents.passed_over, place)
            split = split_named(posixpath.dirname(place))
            contents.images.append(Annotated(place, tree.files[place], split, draw))
    return contents


def _result(task: Any) -> list[Any] | None:
    """Return the regions of the annotation that counts; None where there is none."""
    valid = [one for one in task["annotations"] if not one.get("was_cancelled")]
    chosen = [one for one in valid if one.get("ground_truth")] or valid
    return list(chosen[-1]["result"]) if chosen else None


def _names(region: Any) -> list[str]:
    value = region.get("value", {})
    return [str(name) for key in _LABELS for name in value.get(key, [])][:1]


def _image_of(tree: ExportTree, number: str, task: Any) -> str:
    if task is None:
        fits: list[str] = [*tree.by_stem.get(f"task-{number}", ()), *tree.by_stem.get(number, ())]
        if len(fits) != 1:
            raise DataError(
                "its image is not told; put the JSON export of the project beside the masks, or name "
                f"the image task-{number}.jpg"
            )
        return fits[0]
    data = task["data"]
    name = str(data.get("image") or next(iter(data.values())))
    # /data/local-files/?d=folder/name.jpg
    name = unquote(re.sub(r".*[?&]d=", "", name).partition("?")[0])
    try:
        return tree.find(name)
    except DataError:
        uploaded = _UPLOADED.fullmatch(posixpath.basename(name))
        if uploaded is None:
            raise
        return tree.find(uploaded[1])


def _shapes(
    tree: ExportTree, regions: list[Any], masks: list[tuple[str, str]], ids: dict[str, int]
) -> list[Shape]:
    labelled = {region.get("id") for region in regions if _names(region)}
    shapes = []
    for number, region in enumerate(regions, start=1):
        names, value = _names(region), region.get("value", {})
        if not names:
            # A region of <Polygon> has its label in another result of the same id.
            if _GEOMETRY & value.keys() and region.get("id") not in labelled:
                raise DataError(f"region {number} has no label")
        # Where the PNG files of the brush are there, they hold its regions.
        elif not (masks and "rle" in value):
            shapes.append(Shape(ids[names[0]], _pixels(region), f"region {number} ({names[0]})"))
    return shapes + [Shape(ids[name], _brush(tree, place), place) for name, place in masks]


def _brush(tree: ExportTree, place: str) -> Pixels:
    def pixels(height: int, width: int) -> Region:
        values_HW = numbers(tree.files[place])
        if values_HW.shape != (height, width):
            raise DataError(f"is {height} x {width}, but {place} is of another size")
        return Region(values_HW > 0)

    return pixels


def _pixels(region: Any) -> Pixels:
    if region.get("image_rotation"):
        raise DataError("was turned in Label Studio; turn the image itself, and annotate it anew")
    value, turned = region["value"], float(region["value"].get("rotation", 0))
    rows, columns = int(region["original_height"]), int(region["original_width"])

    def scaled(*names: str) -> list[float]:
        return [
            float(value[name]) / 100 * (columns if name in ("x", "width", "radiusX") else rows)
            for name in names
        ]

    match value:
        case {"points": _}:
            made = polygon([[(x / 100 * columns, y / 100 * rows) for x, y in value["points"]]])
        case {"width": _, "height": _, "x": _}:
            x, y, width, height = scaled("x", "y", "width", "height")
            made = polygon([rectangle(x, y, x + width, y + height, turned, about=(x, y))])
        case {"radiusX": _}:
            x, y, radius_x, radius_y = scaled("x", "y", "radiusX", "radiusY")
            made = polygon([ellipse(x, y, radius_x, radius_y, turned)])
        case {"keypointlabels": _}:
            return no_area
        case {"rle": _}:
            made = lambda height, width: Region(label_studio_mask(value["rle"], height, width))  # noqa: E731
        case _:
            raise DataError(f"has a region of the unknown kind {excerpt(region.get('type'))}")

    def pixels(height: int, width: int) -> Region | None:
        if (height, width) != (rows, columns):
            raise DataError(f"is {height} x {width}, but was annotated as {rows} x {columns}")
        return made(height, width)

    return pixels
