"""segpipe suggest: ranking, exclusion, and pre-labels that are imported again (suggest.py)."""

import csv
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segpipe.bundle_format import SHIPPED
from segpipe.cli.main import main
from segpipe.inference.predictor import load_model
from segpipe.inference.suggest import TABLE
from tests.cli.test_predict import brightness  # noqa: F401
from tests.forge import save, scene
from tests.importing.test_prelabels import accepted, imported


def suggest(*arguments: Path | str) -> int:
    return main(["suggest", *map(str, arguments)])


def table(out: Path) -> list[dict[str, str]]:
    with (out / TABLE).open() as file:
        return [*csv.DictReader(file)]


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    for name, seed in {"a.png": 1, "b/a.png": 2, "b/c.JPG": 3, "d.bmp": 4, "d.png": 5}.items():
        save(tmp_path / "in" / name, scene(seed, 60, 80)[0])
    return tmp_path / "in"


def test_uncertain_images_come_first_and_copies_last(
    brightness: Any,  # noqa: F811
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The model is the less certain the nearer a picture is to middle grey, by its temperature."""
    brightness(temperature=0.05)
    values = {"certain.png": 0, "half.png": 128, "copy.png": 128, "light.png": 150}
    for name, value in values.items():
        save(tmp_path / "in" / name, np.full((8, 12, 3), value, np.uint8))
    (tmp_path / "in/notes.txt").write_text("")
    out = tmp_path / "out"
    assert suggest(tmp_path / "in", "--out", out, "--model", SHIPPED) == 0
    rows = table(out)
    assert [Path(row["image"]).name for row in rows] == [
        "copy.png",
        "light.png",
        "certain.png",
        "half.png",
    ]
    assert [row["rank"] for row in rows] == ["1", "2", "3", "4"]
    chance = 1 / (1 + np.exp(-2 * (150 / 255 - 0.5) / 0.05))
    light = -chance * np.log2(chance) - (1 - chance) * np.log2(1 - chance)
    found = [float(row["uncertainty"]) for row in rows]
    assert found == pytest.approx([1, light, 0, 1], abs=0.01)
    assert rows[-1]["distance"] == "0.000000"
    said = capsys.readouterr().out
    assert "1 .txt were not read" in said
    assert said.splitlines()[-1].startswith(f"the list is {out}/suggestions.csv; next, annotate")


def test_pre_labels_come_back_through_import(photographs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert suggest(photographs, "--out", out, "--model", SHIPPED, "--number", "4") == 0
    rows, model = table(out), load_model(SHIPPED)
    assert len(rows) == len([*(out / "images").iterdir()]) == 4
    expected = {}
    for row in rows:
        assert (out / row["file"]).read_bytes() == Path(row["image"]).read_bytes()
        picture = np.asarray(Image.open(row["image"]).convert("RGB"))
        labels = model.predict(picture[None])
        expected[Path(row["file"]).stem] = np.array(model.scheme.classes)[labels]
    cvat, studio = tmp_path / "cvat", tmp_path / "studio"
    for folder in (cvat, studio):
        shutil.copytree(out / "images", folder / "images")
    with zipfile.ZipFile(out / "cvat_masks.zip") as archive:
        archive.extractall(cvat)
        listed = archive.read("ImageSets/Segmentation/default.txt").decode().split()
    assert sorted(listed) == sorted(expected)
    accepted(out / "label_studio.json", studio)
    for export, form in ((cvat, "voc"), (studio, "label_studio")):
        found = imported(export, tmp_path / f"from_{form}", form)
        assert found.keys() == expected.keys()
        assert all((found[name] == expected[name]).all() for name in found)


def test_what_is_annotated_already_is_left_out(
    photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same file under another name, and one that was stored anew in another size."""
    known = tmp_path / "known"
    known.mkdir()
    shutil.copyfile(photographs / "a.png", known / "x.png")
    larger = Image.open(photographs / "d.bmp").resize((160, 120))
    larger.save(known / "y.jpg", quality=90)
    (known / "none.png").write_bytes(b"none")
    out = tmp_path / "out"
    assert suggest(photographs, "--out", out, "--model", SHIPPED, "--exclude", known) == 0
    left = {Path(row["image"]).relative_to(photographs).as_posix() for row in table(out)}
    assert left == {"b/a.png", "b/c.JPG", "d.png"}
    said = capsys.readouterr().out
    assert "2 images are among the excluded ones and left out" in said
    assert "1 of the 3 files to exclude cannot be read as images" in said
    assert suggest(known, "--out", tmp_path / "o", "--exclude", known) == 1
    assert "holds no image that could be read and is not excluded" in capsys.readouterr().err


def test_unreadable_images_are_named_and_the_others_ranked(
    photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (photographs / "bad.png").write_bytes(b"none")
    assert suggest(photographs, "--out", tmp_path / "out", "--model", SHIPPED) == 1
    assert "bad.png: cannot be read as a picture" in capsys.readouterr().err
    assert len(table(tmp_path / "out")) == 5


def test_what_cannot_be_is_refused(
    photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    for words, reason in (
        ([tmp_path / "empty"], "holds no image"),
        ([tmp_path / "none"], "there is no such file or folder"),
        ([photographs, "--number", "0"], "must be 1 or more"),
        ([photographs, "--out", photographs], "is there and not an empty folder"),
        ([photographs, "--exclude", tmp_path / "none"], "there is no such file or folder"),
    ):
        assert suggest("--out", tmp_path / "out", "--model", SHIPPED, *words) == 1
        assert reason in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_model_of_clips_is_shown_the_frames_before(brightness: Any, tmp_path: Path) -> None:  # noqa: F811
    brightness(frames=3, stride=2)
    for number in range(7):
        save(tmp_path / f"in/{number}.png", np.full((8, 12, 3), 30 * number, np.uint8))
    assert suggest(tmp_path / "in", "--out", tmp_path / "out", "--model", SHIPPED) == 0
    assert {Path(row["image"]).name for row in table(tmp_path / "out")} == {
        "4.png",
        "5.png",
        "6.png",
    }
