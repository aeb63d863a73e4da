"""What is wrong with one image of an export: named, that image left out, and the others imported."""

import base64
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segpipe.importing.import_export import import_export
from tests.importing import exports
from tests.importing.exports import H, W, put, scene

Damage = Callable[[Path], object]


def edited(place: str, edit: Callable[[Any], object]) -> Damage:
    """What changes the content of a JSON file."""

    def damage(root: Path) -> None:
        content = json.loads((root / place).read_text())
        edit(content)
        (root / place).write_text(json.dumps(content))

    return damage


def replaced(place: str, content: Any) -> Damage:
    return lambda root: put(root / place, content)


def without(place: str) -> Damage:
    return lambda root: (root / place).unlink()


def cut(place: str) -> Damage:
    def damage(root: Path) -> None:
        content = (root / place).read_bytes()
        (root / place).write_bytes(content[: len(content) // 2])

    return damage


def shape(**changes: Any) -> Damage:
    return edited("a.json", lambda one: one["shapes"][0].update(changes))


def labelme(**changes: Any) -> Damage:
    return edited("a.json", lambda one: one.update(changes))


def coco(**changes: Any) -> Damage:
    place = "annotations/instances_train2017.json"
    return edited(place, lambda one: one["annotations"][0].update(changes))


def bitmap(data: str) -> Damage:
    return edited(SUPERVISELY, lambda one: one["objects"][1]["bitmap"].update(data=data))


BOMB = base64.b64encode(zlib.compress(bytes(200 << 20))).decode()
SUPERVISELY = "ds/ann/a.jpg.json"
PANOPTIC = "annotations/panoptic_train2017.json"
# The form, what is done to its export, and what is said.
FAULTS: list[tuple[str, Damage, str]] = [
    ("labelme", cut("a.json"), "a.json: is not valid JSON, or cut off"),
    (
        "voc",
        cut("SegmentationClass/a.png"),
        "a.jpg: its mask SegmentationClass/a.png cannot be read",
    ),
    ("voc", cut("JPEGImages/a.jpg"), "a.jpg: cannot be read as a picture"),
    ("cvat", without("images/a.jpg"), "'a.jpg' is not in the export"),
    ("coco", without("train2017/a.jpg"), "'a.jpg' is not in the export"),
    ("mmsegmentation", without("img_dir/train/a.jpg"), "a.png: is a mask without an image"),
    (
        "roboflow",
        replaced("train/a_mask.png", scene()[:5]),
        "12 x 16, but its mask train/a_mask.png is 5",
    ),
    ("roboflow", replaced("train/a_mask.png", scene(0, 9, 8)), "no class of the export: 8, 9"),
    (
        "voc",
        replaced("SegmentationClass/a.png", exports.painted((1, 2, 3))),
        "not those of one class: 1,2,3",
    ),
    ("yolo", replaced("labels/train/a.txt", "7 0 0 1 0 1 1"), "line 1: '7' is no class"),
    ("yolo", replaced("labels/train/a.txt", "0 0.5 0.5 1 1"), "line 1 is a box"),
    ("coco", coco(category_id=99), "unknown category 99"),
    ("coco", coco(segmentation=[]), "annotation 1 is a box without a segmentation"),
    ("coco", coco(segmentation=[[1, 2, 3]]), "odd number"),
    (
        "coco",
        coco(segmentation={"size": [H, W], "counts": [5, 6]}),
        "covers 11 pixels, but its area has 192",
    ),
    (
        "coco_panoptic",
        edited(PANOPTIC, lambda one: one["annotations"][0]["segments_info"].pop()),
        "[70000]",
    ),
    ("labelme", labelme(imageWidth=99), "was annotated as 12 x 99"),
    ("labelme", labelme(shapes=3), "a.json: is not as its form documents it"),
    ("labelme", labelme(imagePath="../../../secret.jpg"), "leads out of the export"),
    (
        "labelme",
        edited("b.json", lambda one: one.update(imagePath="../../b.jpg")),
        "leads out of the export",
    ),
    ("labelme", edited("b.json", lambda one: one.update(imageData="@@@")), "base64"),
    ("labelme", shape(points=[["x", 1], [2, 2], [3, 3]]), "not as its form documents it"),
    ("labelme", shape(shape_type="star"), "unknown kind 'star'"),
    ("labelme", shape(points=[[0, 0], [1e12, 0], [0, 5]]), "farther outside"),
    (
        "supervisely",
        edited("ds/ann/a.jpg.json", lambda one: one["objects"][0].update(classTitle="bus")),
        "'bus'",
    ),
    ("supervisely", bitmap(BOMB), "larger than"),
    ("supervisely", bitmap("aGFsbG8="), "damaged or cut off"),
]


@pytest.mark.parametrize(("form", "damage", "message"), FAULTS)
def test_what_cannot_be_read_is_named_and_the_rest_goes_on(
    form: str, damage: Damage, message: str, tmp_path: Path
) -> None:
    truth = exports.MAKERS[form](tmp_path / "export")
    damage(tmp_path / "export")
    made = import_export(tmp_path / "export", tmp_path / "out", form=None, copy=False)
    assert made.form == form and made.images_left_out
    said = "\n".join(item for one in made.findings for item in one.items)
    assert message in said
    assert str(tmp_path) not in said
    assert sum(made.splits.values()) == len(truth.masks) - 1
    masks = sorted((tmp_path / "out/masks").rglob("*.png"))
    images = [path for path in (tmp_path / "out/images").rglob("*") if path.is_file()]
    assert len(masks) == len(images) == len(truth.masks) - 1
    for path in masks:
        name = path.relative_to(tmp_path / "out/masks").with_suffix("").as_posix()
        np.testing.assert_array_equal(np.asarray(Image.open(path)), truth.masks[name])
