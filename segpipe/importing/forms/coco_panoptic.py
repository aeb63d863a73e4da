"""COCO panoptic: JSON with segments_info, and PNG files whose colours are the numbers of segments.

    annotations/panoptic_val2017.json, annotations/panoptic_val2017/NAME.png, val2017/NAME.jpg

Source: https://cocodataset.org/#format-data, "4. Panoptic Segmentation": a segment's id is
R + 256 G + 65536 B; 0 is unlabelled, and void here. The ids of the categories are kept.
"""

import posixpath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segpipe.importing.contents import (
    Annotated,
    Contents,
    Draw,
    ExportClass,
    collected,
    split_named,
)
from segpipe.importing.forms.coco import categories, find_image
from segpipe.importing.tree import ExportTree
from segpipe.labels.scheme import VOID, pack_colours
from segpipe.raw.pictures.opener import open_picture
from segpipe.runtime.errors import DataError, excerpt


def evidence(tree: ExportTree) -> str:
    """Return which files speak for this form, "" for none."""
    places = [place for place, value in tree.sample_of_json.items() if _is_panoptic(value)]
    return f"{', '.join(places[:3])} with segments_info" if places else ""


def _is_panoptic(value: Any) -> bool:
    annotations = value.get("annotations") if isinstance(value, dict) else None
    return isinstance(annotations, list) and any("segments_info" in one for one in annotations[:1])


def read(tree: ExportTree) -> Contents:
    """Return images, masks and classes of all files together."""
    contents = Contents()
    files = dict(tree.json_files(_is_panoptic, contents.faults))
    contents.classes = categories(files)
    known = {each.id for each in contents.classes}
    void = VOID if VOID not in known else max(known) + 1
    contents.classes.append(ExportClass(void, "void", None, counts=False))
    for place, value in files.items():
        images = {image["id"]: image for image in value["images"]}
        for annotation in value["annotations"]:
            with collected(contents.faults, f"{place}: {annotation.get('file_name')}"):
                image = str(images[annotation["image_id"]]["file_name"])
                picture = find_image(tree, place, image)
                draw = _drawn(tree, place, annotation, void, known)
                split = split_named(posixpath.basename(place)) or split_named(picture)
                contents.images.append(Annotated(picture, tree.files[picture], split, draw))
    return contents


def _drawn(tree: ExportTree, file: str, annotation: Any, void: int, known: set[int]) -> Draw:
    stem = posixpath.splitext(file)[0]
    guess = f"{stem}/{annotation['file_name']}"
    mask = guess if guess in tree.files else tree.find(str(annotation["file_name"]))
    classes = {int(one["id"]): int(one["category_id"]) for one in annotation["segments_info"]}
    if strange := set(classes.values()) - known:
        raise DataError(f"has the unknown category {excerpt(min(strange))}")
    classes[0] = void

    def draw(height: int, width: int) -> NDArray[Any]:
        rgb_HW3 = np.asarray(open_picture(tree.files[mask]).picture.convert("RGB"))
        if rgb_HW3.shape[:2] != (height, width):
            raise DataError(f"is {height} x {width}, but {mask} is of another size")
        segments, places = np.unique(pack_colours(rgb_HW3[..., ::-1]), return_inverse=True)
        if strange := [one for one in segments.tolist() if one not in classes]:
            raise DataError(f"{mask} holds segments that segments_info lacks: {strange[:5]}")
        ids = np.array([classes[one] for one in segments.tolist()])
        return np.asarray(ids[places].reshape(height, width))

    return draw
