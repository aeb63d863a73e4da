"""The import as a whole: what is refused, what is kept apart, and what a cut-off one leaves."""

import json
import os
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segpipe.importing import write
from segpipe.importing.import_export import Imported, import_export
from segpipe.importing.known import FORMS
from segpipe.labels.load import scheme_at
from segpipe.runtime.errors import DataError, SegpipeError
from tests.forge import ROOT, child_environment, wait_until
from tests.importing import exports
from tests.importing.exports import H, W, photo, put, scene


def imported(root: Path, form: str | None = None, copy: bool = False) -> Imported:
    return import_export(root / "export", root / "out", form=form, copy=copy)


def said(made: Imported, kind: str = "not_imported") -> str:
    return "\n".join(item for one in made.findings if one.kind == kind for item in one.items)


TRAIN = "annotations/instances_train2017.json"


def change(path: Path, edit: Callable[[Any], Any]) -> None:
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


def test_all_faults_are_named_at_once(tmp_path: Path) -> None:
    exports.labelme(tmp_path / "export")
    exports.coco(tmp_path / "other")
    photo(tmp_path / "export/c.jpg")
    put(tmp_path / "export/d.json", "{")
    put(
        tmp_path / "export/e.json",
        {"shapes": [], "imagePath": "e.jpg", "imageHeight": 1, "imageWidth": 1},
    )
    made = imported(tmp_path)
    assert said(made).splitlines()[0].startswith("d.json") and "e.json" in said(made)
    assert said(made, "not_annotated") == "c.jpg"


def test_a_polygon_of_two_points_is_named_and_its_image_kept(tmp_path: Path) -> None:
    exports.labelme(tmp_path / "export")
    line = {"label": "car", "points": [[1, 1], [5, 5]], "shape_type": "polygon"}
    point = {"label": "car", "points": [[1, 1]], "shape_type": "point"}
    change(tmp_path / "export/a.json", lambda one: one["shapes"].extend([line, point]))
    made = imported(tmp_path)
    assert not made.images_left_out
    assert (
        said(made, "no_area")
        == "a.jpg: shape 3 (car) covers no area\na.jpg: shape 4 (car) covers no area"
    )
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "out/masks/a.png")), scene())


def test_an_image_that_is_annotated_twice_counts_once(tmp_path: Path) -> None:
    exports.coco(tmp_path / "export")
    change(
        tmp_path / "export" / TRAIN,
        lambda one: one["images"].append({**one["images"][0], "id": 77}),
    )
    assert "a.jpg: is annotated more than once" in said(imported(tmp_path))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda root: root.mkdir(), "no file"),
        (lambda root: put(root / "notes.pdf", "x"), "found there"),
        (
            lambda root: (photo(root / "images/a.jpg"), put(root / "masks/a.png", scene())),
            "need no import",
        ),
        (lambda root: (exports.coco(root), exports.voc(root)), "may be of 2 forms"),
        (lambda root: put(root, "no folder"), "neither a folder nor"),
        (lambda root: None, "there is no such folder"),
    ],
)
def test_what_is_of_no_form_or_of_several_is_refused(
    make: Callable[[Path], Any], message: str, tmp_path: Path
) -> None:
    make(tmp_path / "export")
    with pytest.raises(DataError, match=message) as caught:
        imported(tmp_path)
    if "form" in message or "found" in message:
        assert "coco: " in str(caught.value) and "--form" in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_form_can_be_chosen_and_must_exist(tmp_path: Path) -> None:
    exports.coco(tmp_path / "export")
    exports.voc(tmp_path / "export")
    assert imported(tmp_path, "voc").form == "voc"
    with pytest.raises(DataError, match="did you mean coco"):
        import_export(tmp_path / "export", tmp_path / "new", form="cocoo", copy=False)


@pytest.mark.parametrize("form", FORMS)
def test_a_chosen_form_that_the_export_does_not_have_is_explained(
    form: str, tmp_path: Path
) -> None:
    photo(tmp_path / "export/a.jpg")
    put(tmp_path / "export/b.txt", "x")
    with pytest.raises(DataError):
        imported(tmp_path, form)
    assert not (tmp_path / "out").exists()


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    exports.voc(tmp_path / "export")
    put(tmp_path / "out/mine.txt", "mine")
    with pytest.raises(DataError, match="is not empty"):
        imported(tmp_path)
    assert (tmp_path / "out/mine.txt").read_text() == "mine"
    with pytest.raises(DataError, match="lies in the export"):
        import_export(tmp_path / "export", tmp_path / "export/out", form=None, copy=False)
    (tmp_path / "empty").mkdir()
    import_export(tmp_path / "export", tmp_path / "empty", form=None, copy=False)
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(DataError, match="is a link"):
        import_export(tmp_path / "export", tmp_path / "link", form=None, copy=False)


def zipped(folder: Path, archive: Path) -> None:
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(folder.rglob("*")):
            file.write(path, f"project/{path.relative_to(folder)}")


def test_a_zip_archive_is_read_and_left_alone(tmp_path: Path) -> None:
    truth = exports.roboflow(tmp_path / "folder")
    zipped(tmp_path / "folder", tmp_path / "export")
    made = imported(tmp_path)
    assert made.form == "roboflow" and not made.images_left_out
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert len(files) == 2 * len(truth.masks) + 1 and not any(path.is_symlink() for path in files)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["export", "folder", "out"]


def test_an_archive_that_leads_out_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "export", "w") as file:
        file.writestr("../evil.txt", "x")
    with pytest.raises(DataError, match="would be written outside"):
        imported(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["export"]


def test_xml_that_declares_entities_is_refused(tmp_path: Path) -> None:
    exports.cvat(tmp_path / "export")
    path = tmp_path / "export/annotations.xml"
    declared = '<!DOCTYPE a [<!ENTITY b "bb">]>\n<annotations>'
    path.write_text(path.read_text().replace("<annotations>", declared, 1))
    with pytest.raises(DataError, match="declares a document type or entities"):
        imported(tmp_path)


def test_images_are_links_or_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exports.voc(tmp_path / "export")
    original = tmp_path / "export/JPEGImages/a.jpg"
    for name, copy in (("linked", False), ("copied", True)):
        import_export(tmp_path / "export", tmp_path / name, form=None, copy=copy)
        made = tmp_path / name / "images/train/a.jpg"
        assert made.samefile(original) == (not copy)
        assert made.read_bytes() == original.read_bytes()

    def no_hard_link(_self: Path, _target: Path) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(Path, "hardlink_to", no_hard_link)
    import_export(tmp_path / "export", tmp_path / "symbolic", form=None, copy=False)
    assert (tmp_path / "symbolic/images/train/a.jpg").readlink() == original.resolve()
    zipped(tmp_path / "export", tmp_path / "zip")
    import_export(tmp_path / "zip", tmp_path / "unpacked", form=None, copy=False)
    made = tmp_path / "unpacked/images/train/a.jpg"
    assert not made.is_symlink() and made.read_bytes() == original.read_bytes()


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    exports.voc(tmp_path / "export")
    monkeypatch.setattr(write, "_save_mask", full)
    with pytest.raises(SegpipeError, match="the disk is full"):
        imported(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["export"]


KILLED = """
import sys, time
from pathlib import Path
from segpipe.importing import import_export, write
save = write._save_mask
def slow(mask, path):
    save(mask, path)
    print(path, flush=True)
    time.sleep(600)
write._save_mask = slow
import_export.import_export(Path("export"), Path("out"), form=None, copy=False)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_killed_import_leaves_nothing_half_made(number: int, tmp_path: Path) -> None:
    exports.voc(tmp_path / "export")
    environment = child_environment(PYTHONPATH=str(ROOT))
    with subprocess.Popen(
        [sys.executable, "-c", KILLED], cwd=tmp_path, env=environment, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        wait_until(lambda: any(tmp_path.rglob(".segpipe-*/masks/train/*.png")))
        process.send_signal(number)
        process.wait(60)
    assert not (tmp_path / "out").exists()
    imported(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["export", "out"]


def test_names_that_clash_are_kept_apart(tmp_path: Path) -> None:
    for place in ("a.jpg", "a.png", "A_png.png", "sub/a.jpg"):
        photo(tmp_path / f"export/JPEGImages/{place}")
    lines = ""
    for image, mask in (
        ("a.jpg", "a"),
        ("a.png", "A_png"),
        ("A_png.png", "a"),
        ("sub/a.jpg", "sub/a"),
    ):
        put(tmp_path / f"export/SegmentationClass/{mask}.png", scene())
        lines += f"JPEGImages/{image} SegmentationClass/{mask}.png\n"
    put(tmp_path / "export/list.txt", lines)
    made = imported(tmp_path, "lists")
    assert not made.images_left_out, made.findings
    images = tmp_path / "out/images"
    names = sorted(path.relative_to(images).as_posix() for path in images.rglob("*.*"))
    assert names == ["A_png.png", "a_jpg.jpg", "a_png_2.png", "sub/a.jpg"]
    assert len(list((tmp_path / "out/masks").rglob("*.png"))) == 4


def test_an_image_in_two_lists_is_named(tmp_path: Path) -> None:
    exports.lists(tmp_path / "export")
    put(tmp_path / "export/val.txt", "val/c.png valannot/c.png\ntrain/a.png trainannot/a.png\n")
    assert "val.txt: line 2: train/a.png is in train.txt too" in said(imported(tmp_path))


def test_values_without_names_become_classes_to_be_named(tmp_path: Path) -> None:
    exports.mmsegmentation(tmp_path / "export")
    (tmp_path / "export/classes.txt").unlink()
    made = imported(tmp_path)
    assert made.classes == ("class 0", "class 1")
    assert any(one.kind == "names_missing" for one in made.findings)
    assert scheme_at(str(tmp_path / "out/classes.csv")).classes == ("class 0", "class 1")


def test_splits_without_val_are_put_together(tmp_path: Path) -> None:
    exports.roboflow(tmp_path / "export")
    (tmp_path / "export/valid").rename(tmp_path / "export/test")
    made = imported(tmp_path)
    assert made.splits == {"": 3} and made.needs_ratio_split
    assert "2 train, 1 test alone" in next(one.text for one in made.findings)


def test_ids_that_no_mask_holds_are_numbered_and_names_that_no_scheme_takes_are_said(
    tmp_path: Path,
) -> None:
    exports.coco(tmp_path / "export")
    for split in ("train", "val"):
        path = tmp_path / f"export/annotations/instances_{split}2017.json"
        text = (
            path.read_text()
            .replace('"id": 7,', '"id": 700000,')
            .replace('_id": 7,', '_id": 700000,')
        )
        path.write_text(text.replace('"car"', '"Road"'))
    made = imported(tmp_path)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "out/masks/val/c.png")), scene())
    kinds = {one.kind: str(one) for one in made.findings}
    assert "3..700000" in kinds["import_note"]
    assert "classes.csv needs an edit" in kinds["classes"]


def test_an_upright_image_is_annotated(tmp_path: Path) -> None:
    exports.labelme(tmp_path / "export")
    pixels = np.random.default_rng(0).integers(0, 255, (W, H, 3)).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6  # turned to the left: viewers turn it back
    Image.fromarray(pixels).save(tmp_path / "export/a.jpg", exif=exif)
    made = imported(tmp_path)
    assert not made.images_left_out, said(made)


def test_pipes_in_an_export_are_refused(tmp_path: Path) -> None:
    exports.voc(tmp_path / "export")
    os.mkfifo(tmp_path / "export/JPEGImages/pipe.jpg")
    with pytest.raises(DataError, match="pipes"):
        imported(tmp_path)
