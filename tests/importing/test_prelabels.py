"""Pre-labels for annotation tools, read back by `segpipe import` (prelabels.py)."""

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segpipe.importing.import_export import import_export
from segpipe.importing.prelabels import PreLabel, class_colours, write_prelabels
from segpipe.labels.load import load_scheme
from segpipe.labels.scheme import LabelScheme, RawLabel
from tests.forge import save


def imported(export: Path, folder: Path, form: str) -> dict[str, NDArray[Any]]:
    """Names of classes, pixel by pixel, by image."""
    import_export(export, folder, form=form, copy=False)
    scheme = load_scheme("classes.csv", {}, folder)
    names = {label.id: label.name for label in scheme.raw}
    found = {}
    for path in (folder / "masks").rglob("*.png"):
        ids = np.asarray(Image.open(path))
        found[path.stem] = np.vectorize(lambda value: names[int(value)])(ids)
    return found


def accepted(tasks: Path, folder: Path) -> None:
    """What Label Studio exports when a person has accepted all predictions as they are."""
    content = json.loads(tasks.read_text())
    for task in content:
        task["annotations"] = [{"result": one["result"]} for one in task.pop("predictions")]
    (folder / "export.json").write_text(json.dumps(content))


def test_classes_keep_apart_whatever_their_colours(tmp_path: Path) -> None:
    """A colour of two classes, black that is no background, and background itself."""
    colours = {"road": (9, 9, 9), "dark": (0, 0, 0), "car": (9, 9, 9), "Background": (0, 0, 0)}
    raw = [RawLabel(5 * k, name, colours[name], k) for k, name in enumerate(colours)]
    scheme = LabelScheme("odd", tuple(colours), tuple(raw))
    assert len({*class_colours(scheme)}) == 4
    labels = np.random.default_rng(0).integers(0, 4, (7, 11)).astype(np.uint8)
    export = tmp_path / "export"
    save(export / "images/a b.png", np.zeros((7, 11, 3), np.uint8))
    write_prelabels(export, [PreLabel("a b.png", labels, 0.5)], scheme)
    interface = ElementTree.parse(export / "label_studio.xml").getroot()
    shown = [label.attrib["value"] for label in interface.iter("Label")]
    assert shown == ["road", "dark", "car"]
    with zipfile.ZipFile(export / "cvat_masks.zip") as archive:
        archive.extractall(tmp_path / "cvat")
    shutil.copytree(export / "images", tmp_path / "cvat/images")
    accepted(export / "label_studio.json", export)
    (export / "label_studio.json").unlink()
    (export / "cvat_masks.zip").unlink()
    expected = np.array([*colours])[labels]
    found = imported(tmp_path / "cvat", tmp_path / "from_voc", "voc")
    assert (found["a b"] == expected).all()
    found = imported(export, tmp_path / "from_studio", "label_studio")
    assert (np.char.lower(found["a b"]) == np.char.lower(expected)).all()
