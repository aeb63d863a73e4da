"""YOLO segmentation: a text file of polygons for each image.

    data.yaml                   names: a list, or a mapping of numbers to names
    images/train/NAME.jpg, labels/train/NAME.txt           (Ultralytics, CVAT)
    train/images/NAME.jpg, train/labels/NAME.txt           (Roboflow)

A line is `class x1 y1 x2 y2 ...`, in fractions of the width and height. Source:
https://docs.ultralytics.com/datasets/segment. Later lines lie above. The numbers of the classes are
kept, and background gets the next one. An image without a text file, or with an empty one, is background:
https://docs.ultralytics.com/datasets/detect says that an image without objects needs no text file.
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
from segpipe.importing.shapes import Pixels, Region, Shape, drawn, polygon
from segpipe.importing.tree import ExportTree
from segpipe.raw.sample import SPLITS
from segpipe.runtime.errors import DataError, ParameterError, excerpt
from segpipe.runtime.yaml_file import parse_yaml


def evidence(tree: ExportTree) -> str:
    """Return which files speak for this form, "" for none."""
    labels = [place for place in tree.ending(".txt") if "labels" in place.split("/")[:-1]]
    yamls = [place for place in _yamls(tree) if "names" in _settings(tree, place)]
    return f"{yamls[0]} and {len(labels)} files in labels/" if yamls and labels else ""


def _yamls(tree: ExportTree) -> list[str]:
    return [place for place in tree.ending(".yaml", ".yml") if "/" not in place]


def _settings(tree: ExportTree, place: str) -> dict[str, Any]:
    try:
        found = parse_yaml(tree.read_bytes(place), place)
    except ParameterError:  # another form's, or named by whoever reads this one
        return {}
    return found if isinstance(found, dict) else {}


def read(tree: ExportTree) -> Contents:
    """Return images, shapes and classes."""
    contents = Contents()
    read_yamls = [_settings(tree, place) for place in _yamls(tree)]
    settings = next((found for found in read_yamls if "names" in found), None)
    if settings is None:
        raise DataError("needs a valid data.yaml at its top, with the names of the classes")
    names = settings["names"]
    pairs = enumerate(names) if isinstance(names, list) else names.items()
    values = with_ids([ExportClass(int(number), str(name)) for number, name in pairs], contents)
    splits = _listed_splits(tree, settings)
    bare = []
    for place in tree.inside("images"):
        parts = place.split("/")
        at = len(parts) - 1 - parts[::-1].index("images")
        stem = posixpath.splitext("/".join([*parts[:at], "labels", *parts[at + 1 :]]))[0]
        label = f"{stem}.txt"
        with collected(contents.faults, label):
            lines = tree.read_text(label).splitlines() if label in tree.files else []
            shapes = [
                _shape(number, line, values)
                for number, line in enumerate(lines, start=1)
                if line.strip()
            ]
            if not shapes:
                bare.append(place)
            draw = drawn(shapes, background_id(contents), contents.passed_over, place)
            split = splits.get(place) or split_named("/".join(parts[:-1]))
            contents.images.append(Annotated(place, tree.files[place], split, draw))
    if bare:
        contents.notes.append(f"{len(bare)} images have no polygon; they are background as a whole")
    return contents


def _listed_splits(tree: ExportTree, settings: dict[str, Any]) -> dict[str, str]:
    """Return the split by image, where data.yaml names text files of images for train, val and test."""
    found: dict[str, str] = {}
    for split in SPLITS:
        name = settings.get(split)
        if isinstance(name, str) and name.endswith(".txt"):
            for line in tree.read_text(tree.find(name)).split("\n"):
                if line.strip():
                    found[tree.find(line.strip())] = split
    return found


def _shape(number: int, line: str, values: dict[int, int]) -> Shape:
    first, *rest = line.split()
    if not first.isdecimal() or int(first) not in values:
        raise DataError(f"line {number}: {excerpt(first)} is no class of names")
    if len(rest) == 4:
        raise DataError(f"line {number} is a box, not a polygon; export polygons for segmentation")
    if len(rest) % 2:
        raise DataError(f"line {number} has an odd number of coordinates")
    fractions = [float(one) for one in rest]
    points = list(zip(fractions[::2], fractions[1::2], strict=True))
    return Shape(values[int(first)], _scaled(points), f"line {number}")


def _scaled(points: list[tuple[float, float]]) -> Pixels:
    def pixels(height: int, width: int) -> Region | None:
        return polygon([[(x * width, y * height) for x, y in points]])(height, width)

    return pixels
