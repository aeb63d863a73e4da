"""Tiny exports of each form, made after the tools' own documentation, with their true masks.

Each image of 12 x 16 pixels shows a road in its lower half and a car before it: rows 5 to 8, columns 4
to 9. The car's shape comes after the road's, and lies above.
"""

import base64
import io
import itertools
import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

H, W = 12, 16
ROAD_BOX, CAR_BOX = (0, 6, 16, 12), (4, 5, 10, 9)  # left, top, right, bottom; the last two excluded
ROAD_COLOUR, CAR_COLOUR = (128, 64, 128), (0, 0, 142)
TRAIN_VAL = {"train/a": "train", "train/b": "train", "val/c": "val"}


@dataclass(frozen=True)
class Expected:
    """masks: by path below masks/ without suffix. classes: name by id, void ones left out."""

    masks: dict[str, NDArray[Any]]
    classes: dict[int, str]
    colours: bool = False


def scene(background: int = 0, road: int = 1, car: int = 2) -> NDArray[np.uint8]:
    mask = np.full((H, W), background, np.uint8)
    mask[6:] = road
    mask[5:9, 4:10] = car
    return mask


def put(path: Path, content: Any) -> None:
    """Write a picture from an array, JSON from a dict or list, and else text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, np.ndarray):
        Image.fromarray(content).save(path)
    elif isinstance(content, dict | list):
        path.write_text(json.dumps(content))
    else:
        path.write_text(content)


def photo(path: Path) -> None:
    seed = sum(path.name.encode())
    put(path, np.random.default_rng(seed).integers(0, 255, (H, W, 3)).astype(np.uint8))


def corners(box: tuple[int, ...], last: int = 0) -> list[list[float]]:
    """The corners of a box; last=1: its last pixels instead of its edges."""
    left, top, right, bottom = box[0], box[1], box[2] - last, box[3] - last
    return [[left, top], [right, top], [right, bottom], [left, bottom]]


def expected(names: Any, background: int, road: int, car: int, **more: Any) -> Expected:
    masks = {name: scene(background, road, car) for name in names}
    return Expected(masks, {background: "background", road: "road", car: "car"}, **more)


def painted(background: tuple[int, ...] = (0, 0, 0)) -> NDArray[np.uint8]:
    return np.array([background, ROAD_COLOUR, CAR_COLOUR], np.uint8)[scene()]


def voc(root: Path) -> Expected:
    put(
        root / "labelmap.txt",
        "# label:color_rgb:parts:actions\nbackground:0,0,0::\nroad:128,64,128::\ncar:0,0,142::\n",
    )
    for name in "abc":
        photo(root / f"JPEGImages/{name}.jpg")
        put(root / f"SegmentationClass/{name}.png", painted())
        put(root / f"SegmentationObject/{name}.png", painted())
    palette = Image.fromarray(scene()).convert("L")
    palette.putpalette([0, 0, 0, *ROAD_COLOUR, *CAR_COLOUR])
    palette.save(root / "SegmentationClass/b.png")
    put(root / "ImageSets/Segmentation/train.txt", "a\nb\n")
    put(root / "ImageSets/Segmentation/val.txt", "c\n")
    return expected(TRAIN_VAL, 0, 1, 2, colours=True)


def cvat(root: Path) -> Expected:
    car = "".join(f"{one}, " for one in (0, 24)).rstrip(", ")
    images = ""
    for number, name in enumerate("ab"):
        photo(root / f"images/{name}.jpg")
        road_points = ";".join(f"{x:.2f},{y:.2f}" for x, y in corners(ROAD_BOX))
        images += (
            f'<image id="{number}" name="{name}.jpg" width="{W}" height="{H}">'
            f'<mask label="car" source="manual" occluded="0" rle="{car}" left="4" top="5" width="6" '
            'height="4" z_order="1"></mask>'
            f'<polygon label="road" source="manual" occluded="0" points="{road_points}" z_order="0">'
            '</polygon><tag label="road" source="manual"></tag></image>'
        )
    labels = "".join(
        f"<label><name>{name}</name><color>{colour}</color><type>any</type></label>"
        for name, colour in (("road", "#804080"), ("car", "#00008e"))
    )
    put(
        root / "annotations.xml",
        '<?xml version="1.0" encoding="utf-8"?>\n<annotations><version>1.1</version><meta><task>'
        f"<labels>{labels}</labels></task></meta>{images}</annotations>",
    )
    return expected("ab", 0, 1, 2)


def roboflow(root: Path) -> Expected:
    put(root / "README.roboflow.txt", "exported")
    for name in ("train/a", "train/b", "valid/c"):
        photo(root / f"{name}.jpg")
        put(root / f"{name}_mask.png", scene(0, 3, 7))
        classes = "Pixel Value, Class\n0, background\n3, road\n7, car\n"
        put(root / name.split("/")[0] / "_classes.csv", classes)
    return expected(TRAIN_VAL, 0, 3, 7)


def png_bytes(part: NDArray[Any]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(part.astype(np.uint8) * 255).convert("1").save(file, "PNG")
    return file.getvalue()


def png_base64(part: NDArray[Any]) -> str:
    return base64.b64encode(png_bytes(part)).decode()


def packed_bitmap(part: NDArray[Any]) -> str:
    return base64.b64encode(zlib.compress(png_bytes(part))).decode()


def supervisely(root: Path) -> Expected:
    titles = [
        {"title": "road", "shape": "any", "color": "#804080", "id": 9123456},
        {"title": "car", "shape": "bitmap", "color": "#00008E", "id": 9123455},
    ]
    put(root / "meta.json", {"classes": titles, "tags": []})
    road = {"exterior": corners(ROAD_BOX, last=1), "interior": []}
    car = {"data": packed_bitmap(np.ones((4, 6))), "origin": [4, 5]}
    for name in "ab":
        photo(root / f"ds/img/{name}.jpg")
        objects = [
            {"classTitle": "road", "geometryType": "polygon", "points": road},
            {"classTitle": "car", "geometryType": "bitmap", "bitmap": car},
        ]
        size = {"height": H, "width": W}
        put(root / f"ds/ann/{name}.jpg.json", {"size": size, "tags": [], "objects": objects})
    return expected(("ds/a", "ds/b"), 0, 1, 2)


def supervisely_masks(root: Path) -> Expected:
    """Of "Export as masks"; the objects beside the masks are not what they hold."""
    supervisely(root)
    put(root / "obj_class_to_machine_color.json", {"road": [4, 4, 4], "car": [9, 9, 9]})
    rgb = np.repeat(scene(0, 4, 9)[..., None], 3, axis=2)
    put(root / "ds/masks_machine/a.png", rgb)
    put(root / "ds/masks_machine/b.jpg.png", rgb)
    put(root / "ds/masks_human/a.png", painted())
    return expected(("ds/a", "ds/b"), 0, 4, 9, colours=True)


def brush_bytes(mask: NDArray[Any]) -> list[int]:
    """Label Studio's encoding (label_studio_sdk, converter/brush.py), one repeated value a block."""
    values = np.repeat(mask.astype(np.uint8).ravel() * 255, 4)
    bits = f"{values.size:032b}{7:05b}" + "".join(f"{one:04b}" for one in (2, 3, 7, 15))
    cuts = [0, *(np.flatnonzero(np.diff(values)) + 1).tolist(), values.size]
    for begin, end in itertools.pairwise(cuts):
        if end - begin == 4:  # a block of single values
            bits += f"0{0:02b}{3:03b}" + f"{values[begin]:08b}" * 4
        else:
            bits += f"1{3:02b}{end - begin - 1:016b}{values[begin]:08b}"
    bits += "0" * (-len(bits) % 8)
    return [int(bits[at : at + 8], 2) for at in range(0, len(bits), 8)]


def label_studio(root: Path) -> Expected:
    car = np.zeros((H, W), bool)
    car[5:9, 4:10] = True
    tasks = []
    for number, name in enumerate("ab", start=1):
        photo(root / f"images/{name}.jpg")
        about = {"original_width": W, "original_height": H, "image_rotation": 0}
        points = [[100 * x / W, 100 * y / H] for x, y in corners(ROAD_BOX)]
        polygon = {"points": points, "closed": True, "polygonlabels": ["road"]}
        brush = {"format": "rle", "rle": brush_bytes(car), "brushlabels": ["car"]}
        result = [
            {**about, "type": "polygonlabels", "value": polygon},
            {**about, "type": "brushlabels", "value": brush},
        ]
        done = {"id": number, "was_cancelled": False, "result": result}
        data = {"image": f"/data/upload/3/1f2e3d4c-{name}.jpg"}
        tasks.append({"id": number, "data": data, "annotations": [done], "predictions": []})
    put(root / "project-3-at-2026.json", tasks)
    return expected("ab", 0, 1, 2)


def label_studio_png(root: Path) -> Expected:
    for number in (1, 2):
        photo(root / f"task-{number}.jpg")
        stem = f"task-{number}-annotation-{number + 4}-by-1-tag"
        put(root / f"{stem}-a road-0.png", (scene(0, 1, 0) * 255).astype(np.uint8))
        put(root / f"{stem}-car-0.png", (scene(0, 0, 1) * 255).astype(np.uint8))
    return Expected(
        {f"task-{number}": scene(0, 1, 2) for number in (1, 2)},
        {0: "background", 1: "a road", 2: "car"},
    )


def labelme(root: Path) -> Expected:
    for name in "ab":
        photo(root / f"{name}.jpg")
        shapes = [
            {"label": "road", "points": corners(ROAD_BOX, last=1), "shape_type": "polygon"},
            {"label": "car", "points": [[9, 8], [4, 5]], "shape_type": "rectangle"},
        ]
        about = {"version": "5.5.0", "flags": {}, "imageHeight": H, "imageWidth": W}
        embedded = name == "b"
        content = (root / f"{name}.jpg").read_bytes() if embedded else b""
        data = {"imagePath": f"{name}.jpg", "imageData": base64.b64encode(content).decode() or None}
        put(root / f"{name}.json", {**about, "shapes": shapes, **data})
    (root / "b.jpg").unlink()
    return expected("ab", 0, 1, 2)


def coco(root: Path) -> Expected:
    categories = [{"id": 3, "name": "road"}, {"id": 7, "name": "car", "supercategory": "vehicle"}]
    for split, names in (("train", "ab"), ("val", "c")):
        images, annotations = [], []
        for number, name in enumerate(names, start=10):
            photo(root / f"{split}2017/{name}.jpg")
            images.append({"id": number, "file_name": f"{name}.jpg", "height": H, "width": W})
            road = [float(one) for point in corners(ROAD_BOX) for one in point]
            columns = [5, 4, 8, 4, 8, 4, 8, 4, 8, 4, 8, 4]
            counts = [4 * H + columns[0], *columns[1:], 3 + 6 * H]
            segmentations: list[Any] = [[road], {"size": [H, W], "counts": counts}]
            for category, segmentation in zip((3, 7), segmentations, strict=True):
                own = {"id": len(annotations) + 1, "image_id": number, "category_id": category}
                annotations.append({**own, "segmentation": segmentation, "iscrowd": 0})
        content = {"images": images, "annotations": annotations, "categories": categories}
        put(root / f"annotations/instances_{split}2017.json", content)
    return expected(TRAIN_VAL, 0, 3, 7)


def coco_panoptic(root: Path) -> Expected:
    categories = [
        {"id": 3, "name": "road", "color": [128, 64, 128], "isthing": 0},
        {"id": 7, "name": "car", "color": [0, 0, 142], "isthing": 1},
    ]
    segments = np.array([0, 300, 70000])[scene()]
    rgb = np.stack([segments >> shift & 255 for shift in (0, 8, 16)], axis=-1).astype(np.uint8)
    for split, names in (("train", "ab"), ("val", "c")):
        images, annotations = [], []
        for number, name in enumerate(names, start=10):
            photo(root / f"{split}2017/{name}.jpg")
            put(root / f"annotations/panoptic_{split}2017/{name}.png", rgb)
            images.append({"id": number, "file_name": f"{name}.jpg", "height": H, "width": W})
            info = [{"id": 300, "category_id": 3}, {"id": 70000, "category_id": 7}]
            annotations.append(
                {"image_id": number, "file_name": f"{name}.png", "segments_info": info}
            )
        content = {"images": images, "annotations": annotations, "categories": categories}
        put(root / f"annotations/panoptic_{split}2017.json", content)
    return Expected({name: scene(255, 3, 7) for name in TRAIN_VAL}, {3: "road", 7: "car"}, True)


def yolo(root: Path) -> Expected:
    put(
        root / "data.yaml",
        "path: .\ntrain: images/train\nval: images/val\nnames: {0: road, 1: car}\n",
    )
    for name in TRAIN_VAL:
        photo(root / f"images/{name}.jpg")
        lines = [
            " ".join([str(number), *(f"{x / W:.6f} {y / H:.6f}" for x, y in corners(box))])
            for number, box in enumerate((ROAD_BOX, CAR_BOX))
        ]
        put(root / f"labels/{name}.txt", "\n".join(lines))
    return expected(TRAIN_VAL, 2, 0, 1)


def cityscapes(root: Path) -> Expected:
    names = (
        "train/ulm/ulm_000000_000001",
        "train/ulm/ulm_000000_000002",
        "val/bonn/bonn_000000_000003",
    )
    for name in names:
        photo(root / f"leftImg8bit/{name}_leftImg8bit.png")
        objects = [
            {"label": "road", "polygon": corners(ROAD_BOX, last=1)},
            {"label": "cargroup", "polygon": corners(CAR_BOX, last=1)},
        ]
        content = {"imgHeight": H, "imgWidth": W, "objects": objects}
        put(root / f"gtFine/{name}_gtFine_polygons.json", content)
    return Expected(
        {f"{name}_leftImg8bit": scene(0, 7, 26) for name in names}, {7: "road", 26: "car"}, True
    )


def own_polygons(root: Path) -> Expected:
    put(root / "classes.csv", "id,name,red,green,blue\n5,road,128,64,128\n6,car,0,0,142\n")
    for name in "ab":
        photo(root / f"shots/{name}.jpg")
        objects = [
            {"label": "road", "polygon": corners(ROAD_BOX, last=1)},
            {"label": "car", "polygon": corners(CAR_BOX, last=1)},
        ]
        put(
            root / f"truth/{name}_polygons.json",
            {"imgHeight": H, "imgWidth": W, "objects": objects},
        )
    return Expected(
        {f"shots/{name}": scene(255, 5, 6) for name in "ab"}, {5: "road", 6: "car"}, True
    )


def ade20k(root: Path) -> Expected:
    table = (
        "Idx\tRatio\tTrain\tVal\tStuff\tName\n1\t0.5\t9\t2\t1\troad, route\n2\t0.1\t9\t2\t0\tcar\n"
    )
    put(root / "objectInfo150.txt", table)
    for name in ("training/a", "training/b", "validation/c"):
        photo(root / f"images/{name}.jpg")
        put(root / f"annotations/{name}.png", scene())
    return Expected({name: scene() for name in TRAIN_VAL}, {1: "road", 2: "car"})


def mapillary(root: Path) -> Expected:
    labels = [
        {"name": "void--other", "readable": "Other", "color": [0, 0, 0], "evaluate": False},
        {"name": "flat--road", "readable": "Road", "color": [128, 64, 128], "evaluate": True},
        {"name": "object--car", "readable": "Car", "color": [0, 0, 142], "evaluate": True},
    ]
    put(root / "config_v2.0.json", {"version": 2.0, "labels": labels})
    put(root / "config_v1.2.json", {"version": 1.2, "labels": labels[:1]})
    for name in ("training/{}/a", "training/{}/b", "validation/{}/c"):
        photo(root / f"{name.format('images')}.jpg")
        put(root / f"{name.format('v2.0/labels')}.png", scene())
        put(root / f"{name.format('v1.2/labels')}.png", scene(0, 0, 0))
    photo(root / "testing/images/d.jpg")
    return Expected({name: scene() for name in TRAIN_VAL}, {1: "Road", 2: "Car"}, True)


def mmsegmentation(root: Path) -> Expected:
    put(root / "classes.txt", "road\ncar\n")
    for name in TRAIN_VAL:
        photo(root / f"img_dir/{name}.jpg")
        put(root / f"ann_dir/{name}.png", scene(255, 0, 1))
    return Expected({name: scene(255, 0, 1) for name in TRAIN_VAL}, {0: "road", 1: "car"})


def lists(root: Path) -> Expected:
    put(
        root / "classes.csv",
        "id,name,red,green,blue\n1,road,128,64,128\n2,car,0,0,142\n0,void,0,0,0\n",
    )
    for split, names in (("train", ("a", "b b")), ("val", ("c",))):
        lines = []
        for name in names:
            photo(root / f"{split}/{name}.png")
            put(root / f"{split}annot/{name}.png", painted())
            lines.append(
                f"/SegNet/CamVid/{split}/{name}.png /SegNet/CamVid/{split}annot/{name}.png"
            )
        put(root / f"{split}.txt", "\n".join(lines))
    masks = {name: scene() for name in ("train/a", "train/b b", "val/c")}
    return Expected(masks, {1: "road", 2: "car"}, True)


# By form, and a second export of some forms.
MAKERS: dict[str, Callable[[Path], Expected]] = {
    "voc": voc,
    "cvat": cvat,
    "roboflow": roboflow,
    "supervisely": supervisely,
    "supervisely masks": supervisely_masks,
    "label_studio": label_studio,
    "label_studio png": label_studio_png,
    "labelme": labelme,
    "coco": coco,
    "coco_panoptic": coco_panoptic,
    "yolo": yolo,
    "cityscapes": cityscapes,
    "cityscapes own": own_polygons,
    "ade20k": ade20k,
    "mapillary": mapillary,
    "mmsegmentation": mmsegmentation,
    "lists": lists,
}
