"""Pre-labels: predicted masks in the forms that CVAT and Label Studio import, and that `voc` and
`label_studio` of `segpipe.importing.forms` read.

    cvat_masks.zip       labelmap.txt, SegmentationClass/NAME.png, ImageSets/Segmentation/default.txt
    label_studio.json    tasks with a prediction each: a brush for each class that occurs
    label_studio.xml     the labelling interface of these classes

Sources: https://docs.cvat.ai/docs/dataset_management/formats/format-smask;
https://labelstud.io/guide/predictions; https://labelstud.io/guide/storage (local files).
"""

import json
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

import numpy as np
from numpy.typing import NDArray

from segpipe.importing.contents import BACKGROUND, is_background
from segpipe.importing.run_lengths import label_studio_runs
from segpipe.labels.colours import BLACK, distinct_colours
from segpipe.labels.scheme import Colour, LabelScheme
from segpipe.rendering.png import png_bytes

CVAT, TASKS, INTERFACE = "cvat_masks.zip", "label_studio.json", "label_studio.xml"
IMAGES = "images"
_MASKS = "SegmentationClass"


@dataclass(frozen=True)
class PreLabel:
    """file: the image's name in the folder images/. labels_HW: train ids, uint8. score: 0..1."""

    file: str
    labels_HW: NDArray[np.uint8]
    score: float


def write_prelabels(folder: Path, prelabels: Iterable[PreLabel], scheme: LabelScheme) -> None:
    """Write the three files above into an existing folder; the images lie in images/ below it."""
    colours = class_colours(scheme)
    table_256x3 = np.zeros((256, 3), np.uint8)
    table_256x3[: scheme.num_classes] = colours
    names, tasks = [], []
    with zipfile.ZipFile(folder / CVAT, "w") as archive:
        for number, each in enumerate(prelabels, start=1):
            name = str(Path(each.file).with_suffix(""))
            content = png_bytes(table_256x3[each.labels_HW], name)
            archive.writestr(f"{_MASKS}/{name}.png", content)
            names.append(name)
            tasks.append(_task(number, each, scheme))
        archive.writestr("labelmap.txt", _labelmap(scheme, colours))
        listed = "".join(f"{name}\n" for name in names)
        archive.writestr("ImageSets/Segmentation/default.txt", listed)
    (folder / TASKS).write_text(json.dumps(tasks), encoding="utf-8")
    (folder / INTERFACE).write_text(_interface(scheme, colours), encoding="utf-8")


def class_colours(scheme: LabelScheme) -> list[Colour]:
    """Return a colour for each class by which a painted mask tells it from the others.

    They are those of the scheme, but for a colour that an earlier class has, and for black where the
    class is not background, which it is for CVAT.
    """
    own = [(int(red), int(green), int(blue)) for red, green, blue in scheme.palette_K3]
    found: list[Colour] = []
    for name, colour in zip(scheme.classes, own, strict=True):
        if colour in found or (colour == BLACK and not is_background(name)):
            [colour] = distinct_colours(1, [*own, *found])
        found.append(colour)
    return found


def _labelmap(scheme: LabelScheme, colours: Sequence[Colour]) -> str:
    lines = ["# label:color_rgb:parts:actions"]
    if not any(map(is_background, scheme.classes)):
        lines.append(f"{BACKGROUND}:0,0,0::")
    for name, (red, green, blue) in zip(scheme.classes, colours, strict=True):
        lines.append(f"{name}:{red},{green},{blue}::")
    return "\n".join([*lines, ""])


def _task(number: int, each: PreLabel, scheme: LabelScheme) -> dict[str, Any]:
    height, width = each.labels_HW.shape
    result = [
        {
            "id": f"region{train_id}",
            "type": "brushlabels",
            "from_name": "tag",
            "to_name": "image",
            "original_width": width,
            "original_height": height,
            "image_rotation": 0,
            "value": {
                "format": "rle",
                "rle": label_studio_runs(each.labels_HW == train_id),
                "brushlabels": [scheme.classes[train_id]],
            },
        }
        for train_id in np.unique(each.labels_HW).tolist()
        if train_id < scheme.num_classes and not is_background(scheme.classes[train_id])
    ]
    # Label Studio serves what lies below LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT under this address.
    address = f"/data/local-files/?d={IMAGES}/{quote(each.file)}"
    prediction = {"model_version": "segpipe", "score": each.score, "result": result}
    return {"id": number, "data": {"image": address}, "predictions": [prediction]}


def _interface(scheme: LabelScheme, colours: Sequence[Colour]) -> str:
    labels = [
        f'    <Label value={quoteattr(name)} background="#{bytes(colour).hex()}"/>'
        for name, colour in zip(scheme.classes, colours, strict=True)
        if not is_background(name)
    ]
    return "\n".join(
        [
            "<View>",
            '  <Image name="image" value="$image" zoom="true"/>',
            '  <BrushLabels name="tag" toName="image">',
            *labels,
            "  </BrushLabels>",
            "</View>",
            "",
        ]
    )
