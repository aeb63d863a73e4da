"""What single tools write beside plain polygons, against their own drawing where it can be called."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cityscapesscripts.helpers.annotation import Annotation
from cityscapesscripts.preparation.json2labelImg import createLabelImage
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from pycocotools import mask as coco_masks

from segpipe.importing.import_export import Imported, import_export
from segpipe.runtime.errors import DataError
from tests.importing import exports
from tests.importing.exports import H, W, photo, put, scene


def masks(root: Path, form: str | None = None) -> tuple[dict[str, NDArray[Any]], Imported]:
    made = import_export(root / "export", root / "out", form=form, copy=False)
    folder = root / "out/masks"
    found = {
        path.relative_to(folder).with_suffix("").as_posix(): np.asarray(Image.open(path))
        for path in folder.rglob("*.png")
    }
    return found, made


def test_cityscapes_polygons_are_drawn_as_the_official_tool_draws_them(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    labels = [
        "road",
        "cargroup",
        "sky",
        "license plate",
        "out of roi",
        "person",
        "unlabeled",
        "pole",
    ]
    objects = [
        {
            "label": labels[number % len(labels)],
            "polygon": [[int(x), int(y)] for x, y in random.uniform(-3, 90, (5, 2))],
            "deleted": int(number == 9),
        }
        for number in range(40)
    ]
    size = {"imgHeight": 70, "imgWidth": 80}
    file = tmp_path / "export/gtFine/val/bonn/bonn_000000_000001_gtFine_polygons.json"
    put(file, size | {"objects": objects})
    image = tmp_path / "export/leftImg8bit/val/bonn/bonn_000000_000001_leftImg8bit.png"
    put(image, np.zeros((70, 80, 3), np.uint8))
    found, made = masks(tmp_path)
    assert not made.images_left_out
    official = Annotation()
    official.fromJsonText(file.read_text())
    truth = np.asarray(createLabelImage(official, "ids"))
    np.testing.assert_array_equal(found["bonn/bonn_000000_000001_leftImg8bit"], truth)


def test_polygons_of_other_classes_count_as_they_are_met(tmp_path: Path) -> None:
    exports.own_polygons(tmp_path / "export")
    (tmp_path / "export/classes.csv").unlink()
    path = tmp_path / "export/truth/a_polygons.json"
    path.write_text(path.read_text().replace('"road"', '"lawn"'))
    found, made = masks(tmp_path)
    assert made.classes == ("lawn", "car", "road")
    np.testing.assert_array_equal(found["shots/a"], scene(0, 1, 2))
    np.testing.assert_array_equal(found["shots/b"], scene(0, 3, 2))


def test_shapes_of_cvat(tmp_path: Path) -> None:
    for subset in ("Train", "Validation"):
        photo(tmp_path / f"export/images/{subset}/a.jpg")
    shapes = (
        '<box label="car" xtl="4" ytl="5" xbr="10" ybr="9" z_order="2"/>'
        '<polygon label="road" points="0,6;16,6;16,12;0,12" z_order="0"/>'
        '<ellipse label="road" cx="12.0" cy="3.0" rx="3" ry="2" z_order="0" rotation="90.0"/>'
        '<polyline label="road" points="1,1;3,3" z_order="1"/>'
    )
    images = "".join(
        f'<image id="{number}" name="a.jpg" subset="{subset}" width="{W}" height="{H}">{shapes}</image>'
        for number, subset in enumerate(("Train", "Validation"))
    )
    labels = "".join(f"<label><name>{name}</name></label>" for name in ("road", "car"))
    text = f"<annotations><meta><project><labels>{labels}</labels></project></meta>{images}</annotations>"
    put(tmp_path / "export/annotations.xml", text)
    put(
        tmp_path / "export/video.xml",
        "<annotations><meta></meta><track id='0' label='car'></track></annotations>",
    )
    found, made = masks(tmp_path)
    truth = scene()
    for row, column in np.ndindex(6, W):
        if ((column + 0.5 - 12) / 2) ** 2 + ((row + 0.5 - 3) / 3) ** 2 < 0.97:
            truth[row, column] = 1
    assert sorted(found) == ["train/a", "val/a"]
    np.testing.assert_array_equal(found["val/a"], truth)
    items = [item for one in made.findings for item in one.items]
    assert items[0] == "video.xml: is CVAT for video; export as CVAT for images 1.1"
    assert "images/Train/a.jpg: polyline 3 (road) covers no area" in items


def test_shapes_of_labelme(tmp_path: Path) -> None:
    photo(tmp_path / "export/pictures/a.jpg")
    part = np.eye(4, 5)
    coded = exports.png_base64(part)
    shapes = [
        {"label": "a", "shape_type": "circle", "points": [[5.5, 6.0], [8.5, 6.0]]},
        {"label": "b", "shape_type": "mask", "points": [[10.0, 1.0], [14.0, 4.0]], "mask": coded},
        {"label": "__ignore__", "shape_type": "rectangle", "points": [[0, 10], [3, 11]]},
    ]
    about = {
        "imagePath": "..\\pictures\\a.jpg",
        "imageData": None,
        "imageHeight": H,
        "imageWidth": W,
    }
    put(tmp_path / "export/json/a.json", about | {"shapes": shapes})
    found, made = masks(tmp_path)
    picture = Image.new("L", (W, H))
    ImageDraw.Draw(picture).ellipse([2.5, 3, 8.5, 9], outline=1, fill=1)
    truth = np.array(picture)
    truth[1:5, 10:15][part > 0] = 2
    truth[10:12, 0:4] = 255
    np.testing.assert_array_equal(found["pictures/a"], truth)
    assert made.classes == ("background", "a", "b")


def test_labelmes_list_of_labels_tells_the_ids(tmp_path: Path) -> None:
    exports.labelme(tmp_path / "export")
    put(tmp_path / "export/labels.txt", "__ignore__\n_background_\nbus\ncar\nroad\n")
    found, made = masks(tmp_path)
    assert made.classes == ("_background_", "bus", "car", "road")
    np.testing.assert_array_equal(found["a"], scene(0, 3, 2))


def test_objects_of_supervisely(tmp_path: Path) -> None:
    exports.supervisely(tmp_path / "export")
    road = {
        "exterior": [[0, 6], [15, 6], [15, 11], [0, 11]],
        "interior": [[[12, 8], [14, 8], [14, 10], [12, 10]]],
    }
    box = {"exterior": [[4, 5], [9, 8]], "interior": []}
    objects = [
        {"classTitle": "road", "geometryType": "polygon", "points": road},
        {"classTitle": "car", "geometryType": "rectangle", "points": box},
    ]
    put(
        tmp_path / "export/ds/ann/a.jpg.json",
        {"size": {"height": H, "width": W}, "objects": objects},
    )
    truth = scene()
    truth[8:11, 12:15] = 0
    np.testing.assert_array_equal(masks(tmp_path)[0]["ds/a"], truth)


def studio_region(kind: str, **value: Any) -> dict[str, Any]:
    return {"type": kind, "original_width": W, "original_height": H, "value": value}


def test_regions_of_label_studio(tmp_path: Path) -> None:
    exports.label_studio(tmp_path / "export")
    path = tmp_path / "export/project-3-at-2026.json"
    tasks = json.loads(path.read_text())
    box = {"x": 100 * 4 / W, "y": 100 * 5 / H, "width": 100 * 6 / W, "height": 100 * 4 / H}
    points = [[0, 50], [100, 50], [100, 100], [0, 100]]
    half = {"x": 100 * 12 / W, "y": 100 * 3 / H, "radiusX": 100 * 2 / W, "radiusY": 100 * 2 / H}
    result = [
        {"id": "r1", **studio_region("polygon", points=points)},
        {"id": "r1", **studio_region("labels", points=points, labels=["road"])},
        studio_region("ellipselabels", **half, ellipselabels=["sun"]),
        studio_region("rectanglelabels", **box, rotation=0, rectanglelabels=["car"]),
        studio_region("keypointlabels", x=5, y=5, width=1, keypointlabels=["car"]),
        {"type": "choices", "value": {"choices": ["day"]}},
    ]
    tasks[0]["annotations"] = [
        {"id": 1, "result": []},
        {"id": 2, "result": result, "ground_truth": True},
        {"id": 3, "result": [], "was_cancelled": True},
        {"id": 4, "result": []},
    ]
    tasks.append({**tasks[0], "id": 9, "annotations": []})
    tasks.append({"id": 10, "data": {}})
    path.write_text(json.dumps(tasks))
    found, made = masks(tmp_path)
    truth = scene(0, 1, 3)
    for row, column in np.ndindex(6, W):
        if math.hypot(column + 0.5 - 12, row + 0.5 - 3) < 1.95:
            truth[row, column] = 2
    assert made.classes == ("background", "road", "sun", "car")
    np.testing.assert_array_equal(found["a"], truth)
    kinds = {one.kind: one.items for one in made.findings}
    assert kinds == {
        "not_imported": ("task 10: the entry 'annotations' is missing",),
        "no_area": ("images/a.jpg: region 5 (car) covers no area",),
        "not_annotated": ("images/a.jpg",),
    }


def test_uploaded_names_of_label_studio_are_found_and_turned_images_refused(tmp_path: Path) -> None:
    exports.label_studio(tmp_path / "export")
    (tmp_path / "export/images/a.jpg").rename(tmp_path / "export/images/Stra\u0308nde.jpg")
    path = tmp_path / "export/project-3-at-2026.json"
    tasks = json.loads(path.read_text())
    tasks[0]["data"]["image"] = "/data/upload/3/1f2e3d4c-Str%C3%A4nde.jpg"
    tasks[1]["annotations"][0]["result"][0]["image_rotation"] = 90
    path.write_text(json.dumps(tasks))
    found, made = masks(tmp_path)
    assert list(found) == ["Stra\u0308nde"]
    assert "task 2: was turned in Label Studio" in made.findings[0].items[0]


def test_label_studios_brush_files_take_the_place_of_its_run_lengths(tmp_path: Path) -> None:
    exports.label_studio(tmp_path / "export")
    put(
        tmp_path / "export/task-1-annotation-5-by-1-tag-car-0.png",
        (scene(0, 0, 1)[:, ::-1] * 255).astype(np.uint8),
    )
    truth = np.where(scene(0, 0, 1)[:, ::-1] > 0, 2, scene(0, 1, 1) * (np.arange(H) > 5)[:, None])
    np.testing.assert_array_equal(masks(tmp_path)[0]["a"], truth)


def test_coco_as_roboflow_lays_it_out_and_run_lengths_as_text(tmp_path: Path) -> None:
    runs = coco_masks.encode(np.asfortranarray(scene() == 2, np.uint8))
    road = [float(one) for point in exports.corners(exports.ROAD_BOX) for one in point]
    segmentations: list[Any] = [[road], {"size": [H, W], "counts": runs["counts"].decode()}]
    for split in ("train", "valid"):
        photo(tmp_path / f"export/{split}/a.jpg")
        annotations = [
            {
                "id": one,
                "image_id": 0,
                "category_id": one,
                "segmentation": segmentations[one - 1],
                "iscrowd": 1,
            }
            for one in (1, 2)
        ]
        categories = [
            {"id": 0, "name": "none"},
            {"id": 1, "name": "road"},
            {"id": 2, "name": "car"},
        ]
        image = {"id": 0, "file_name": "a.jpg", "height": H, "width": W}
        content = {"images": [image], "annotations": annotations, "categories": categories}
        put(tmp_path / f"export/{split}/_annotations.coco.json", content)
    found, made = masks(tmp_path)
    assert made.splits == {"train": 1, "val": 1} and not made.images_left_out
    np.testing.assert_array_equal(found["val/a"], scene(3, 1, 2))


def test_keypoints_beside_instances_are_not_read(tmp_path: Path) -> None:
    exports.coco(tmp_path / "export")
    content = json.loads((tmp_path / "export/annotations/instances_val2017.json").read_text())
    put(tmp_path / "export/annotations/person_keypoints_val2017.json", content)
    assert not masks(tmp_path)[1].findings


@pytest.mark.parametrize("layout", ["roboflow", "lists"])
def test_yolo_in_other_layouts(layout: str, tmp_path: Path) -> None:
    exports.yolo(tmp_path / "made")
    root = tmp_path / "export"
    for split, names in (("train", "ab"), ("val", "c")):
        for name in names:
            for part, suffix in (("images", ".jpg"), ("labels", ".txt")):
                own = split.replace("val", "valid")
                place = f"{own}/{part}/{name}" if layout == "roboflow" else f"{part}/{name}"
                (root / place).parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / f"made/{part}/{split}/{name}{suffix}").rename(root / f"{place}{suffix}")
        put(root / f"{split}.txt", "".join(f"/data/images/{name}.jpg\n" for name in names))
    if layout == "roboflow":
        (root / "train.txt").unlink()
        (root / "val.txt").unlink()
        put(
            root / "data.yaml",
            "train: ../train/images\nval: ../valid/images\nnc: 2\nnames: ['road', 'car']\n",
        )
    else:
        put(root / "data.yaml", "train: train.txt\nval: val.txt\nnames: [road, car]\n")
    (root / ("valid/labels/c.txt" if layout == "roboflow" else "labels/c.txt")).unlink()
    found, made = masks(tmp_path)
    assert made.splits == {"train": 2, "val": 1}
    np.testing.assert_array_equal(found["train/b"], scene(2, 0, 1))
    assert (found["val/c"] == 2).all()
    assert "1 images have no polygon" in made.findings[0].text


def test_pascal_voc_without_a_labelmap_has_its_21_classes_and_a_void_border(tmp_path: Path) -> None:
    exports.voc(tmp_path / "export")
    (tmp_path / "export/labelmap.txt").unlink()
    mask = scene(0, 7, 255)
    for name in "abc":
        picture = Image.fromarray(mask)
        palette = np.zeros((256, 3), np.uint8)
        palette[7], palette[255] = (128, 128, 128), (224, 224, 192)
        picture.putpalette(palette.ravel().tolist())
        picture.save(tmp_path / f"export/SegmentationClass/{name}.png")
    photo(tmp_path / "export/JPEGImages/unlisted.jpg")
    found, made = masks(tmp_path)
    np.testing.assert_array_equal(found["val/c"], mask)
    assert len(made.classes) == 21 and made.classes[7] == "car" and not made.images_left_out


def test_images_beside_masks_that_cvat_exports_without_them(tmp_path: Path) -> None:
    exports.voc(tmp_path / "export")
    (tmp_path / "export/JPEGImages").rename(tmp_path / "images")
    with pytest.raises(
        DataError, match=r"export it with them(.|\n)*a.png: is a mask without an image"
    ):
        masks(tmp_path)
    (tmp_path / "images").rename(tmp_path / "export/my pictures")
    found, made = masks(tmp_path)
    assert sorted(found) == ["train/my pictures/a", "train/my pictures/b", "val/my pictures/c"]
    assert not made.images_left_out


def test_ade20k_without_its_table_and_roboflow_without_agreement(tmp_path: Path) -> None:
    exports.ade20k(tmp_path / "export")
    (tmp_path / "export/objectInfo150.txt").unlink()
    assert masks(tmp_path)[1].classes == ("class 1", "class 2")
    exports.roboflow(tmp_path / "two/export")
    put(tmp_path / "two/export/valid/_classes.csv", "Pixel Value, Class\n3, car\n")
    made = masks(tmp_path / "two")[1]
    assert "3 is 'car', but 'road' in another split" in "".join(made.findings[0].items)
