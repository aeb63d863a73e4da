"""The report of segpipe score: its numbers are those of the files beside it, its pictures those of pairs."""

import base64
import hashlib
import io
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import segpipe
from segpipe.cli.main import main
from segpipe.rendering.html.page import percent
from segpipe.rendering.overlay import WRONG
from segpipe.results.evaluation import Evaluation
from segpipe.results.evaluation_tables import ConfusionCell, GroupRow, ImageRow, class_rows
from segpipe.results.records import read_record, read_table
from segpipe.runtime.errors import DataError
from tests.rendering.html_page import Page

CLASSES = "id,name,red,green,blue,class\n0,none,0,0,0,void\n1,sky,0,0,255,sky\n5,<b>,0,255,0,<b>\n"


def write(path: Path, values: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(values, np.uint8)).save(path)


@pytest.fixture
def pairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Twelve pairs of two groups; a prediction is wrong in as many rows as its number, above all."""
    monkeypatch.chdir(tmp_path)
    Path("classes.csv").write_text(CLASSES)
    for number in range(12):
        truth = np.ones((24, 40), np.uint8)
        truth[:, 20:] = 5
        truth[23] = 0
        prediction = truth.copy()
        prediction[:number, :20] = 5
        prediction[22] = 255
        name = f"{'ab'[number % 2]}/{number:02d}"
        write(Path(f"truth/{name}_gt.png"), truth)
        write(Path(f"predicted/{name}.png"), prediction)
        write(Path(f"photos/{name}_image.png"), np.full((48, 80, 3), 10 * number, np.uint8))
    return tmp_path


def page_of(folder: str) -> tuple[str, Page]:
    text = Path(folder, "report.html").read_text(encoding="utf-8")
    return text, Page(text)


def pictures(page: Page) -> list[tuple[str, NDArray[np.uint8]]]:
    """The pictures of the page by what they show."""
    return [
        (
            str(about["alt"]),
            np.asarray(
                Image.open(io.BytesIO(base64.b64decode(str(about["src"]).partition(",")[2])))
            ),
        )
        for tag, about in page.elements
        if tag == "img"
    ]


def test_its_numbers_are_those_of_the_files_beside_it(pairs: Path) -> None:
    found = segpipe.score("predicted", "truth", "classes.csv", out="out", processes=1)
    text, page = page_of("out")
    assert found == read_record(Evaluation, Path("out/evaluation.json"))
    assert f"mIoU {percent(found.miou)} %" in page.texts[""]
    assert "no interval: 12 image files with truth; at least 20 are needed" in page.texts[""]
    assert "Report on label images, classes of classes" in page.texts[""]
    rows = sorted(class_rows(found), key=lambda row: row.iou or 0)
    assert [row[:3] for row in page.tables["classes"][1:]] == [
        [row.class_name, percent(row.iou), percent(row.share)] for row in rows
    ]
    assert ["pixel accuracy", percent(found.pixel_accuracy)] in page.tables["scores"]
    assert [row[:3] for row in page.tables["groups"][1:]] == [
        [row.group, percent(row.miou), percent(row.pixel_accuracy)]
        for row in read_table(GroupRow, Path("out/groups.csv"))
    ]
    cells = read_table(ConfusionCell, Path("out/confusion.csv"))
    table = page.tables["confusion"]
    assert table[0] == ["true class", "sky", "<b>", "void"]
    assert [row[1:] for row in table[1:]] == [
        [percent(cell.share, 1) for cell in cells if cell.actual == actual]
        for actual in ("sky", "<b>")
    ]
    scores = {row.name: row for row in read_table(ImageRow, Path("out/images.csv"))}
    heads = [one.split(": ") for one in page.texts["examples"] if ": " in one]
    assert [kind for kind, _ in heads] == ["worst"] * 3 + ["median"] * 3 + ["best"] * 3
    assert {"b/11", "a/10"} <= {name for _, name in heads[:3]}
    for _, name in heads:
        told = f"mIoU {percent(scores[name].miou)} %, pixel accuracy"
        assert f"{told} {percent(scores[name].pixel_accuracy)} %" in page.texts["examples"]
    assert "<b>" not in text.replace("<b>truth</b>", "")


def test_it_is_one_file_and_shows_the_masks_alone(pairs: Path) -> None:
    segpipe.score("predicted", "truth", "classes.csv", out="out", processes=1)
    text, page = page_of("out")
    assert len(text) < 5_000_000
    assert "http" not in text
    assert not {tag for tag, _ in page.elements} & {"link", "script", "iframe", "object", "base"}
    assert not [about for _, about in page.elements if "href" in about]
    assert not {"cost", "curves", "reliability", "data"} & set(page.texts)
    shown = pictures(page)
    assert [name.split()[0] for name, _ in shown] == ["truth", "prediction", "errors"] * 9
    truth, prediction, errors = (picture for _, picture in shown[:3])
    assert truth.shape == prediction.shape == errors.shape
    high, wide = truth.shape[:2]
    middle = slice(wide // 8, wide // 3)
    top = slice(high // 16, high // 8)
    assert np.abs(truth[top, middle] - np.array([0, 0, 255.0])).mean() < 20
    assert np.abs(prediction[top, middle] - np.array([0, 255.0, 0])).mean() < 20
    assert np.abs(errors[top, middle] - np.array(WRONG, float)).mean() < 20
    grey = errors[high * 3 // 4, middle].astype(float)
    assert np.ptp(grey, axis=-1).max() < 20


def test_photographs_are_shown_where_they_are_there(
    pairs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("photos/b/11_image.png").unlink()
    write(Path("photos/a/10_image.png"), np.zeros((30, 30, 3)))
    Path("photos/b/09_image.png").write_bytes(b"no picture")
    segpipe.score("predicted", "truth", "classes.csv", out="out", images="photos", processes=1)
    said = capsys.readouterr().out
    assert "warning: 1 label images have no photograph below photos" in said
    assert "b/11" in said
    assert "photos/a/10_image.png: has 30 x 30 pixels, its masks 24 x 40" in said
    assert "warning: photos/b/09_image.png: cannot be read as a picture" in said
    shown = dict(pictures(page_of("out")[1]))
    assert sum(name.startswith("truth") for name in shown) == 9
    photographs = {name.removeprefix("image of ") for name in shown if name.startswith("image of ")}
    assert len(photographs) >= 6
    assert not photographs & {"b/11", "a/10", "b/09"}
    for name in photographs:
        assert np.abs(shown[f"image of {name}"] - 10.0 * int(name[2:])).max() < 3
        # The class colours lie over the photograph.
        assert np.ptp(shown[f"truth of {name}"].astype(float), axis=-1).min() < 200
    with pytest.raises(DataError, match="12 label images have no photograph below empty"):
        Path("empty").mkdir()
        segpipe.score("predicted", "truth", "classes.csv", images="empty", processes=1)
    with pytest.raises(DataError, match="nowhere: there is no such folder"):
        segpipe.score("predicted", "truth", "classes.csv", images="nowhere", processes=1)


def test_the_command_in_it_scores_again_and_its_digests_are_those_of_sha256sum(
    pairs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("predicted").rename("their labels")
    words = ["score", "their labels", "truth", "--scheme", "classes.csv", "--out", "out"]
    words += ["--predictions", "ids", "--group", "^(.)", "--boundaries", "2.0", "5.0"]
    assert main([*words, "--images", "photos"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "the report: out/report.html"
    first, page = page_of("out")
    (command,) = (text for text in page.texts["reproduction"] if text.startswith("segpipe"))
    assert shlex.split(command)[1:] == [*words, "--images", "photos"]
    assert main(shlex.split(command)[1:]) == 0
    assert page_of("out")[0] == first
    facts = dict(page.tables["reproduction"])
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to('truth')}\n"
        for path in sorted(Path("truth").rglob("*.png"))
    ]
    assert facts["digest of the truth"] == hashlib.sha256("".join(lines).encode()).hexdigest()
    truth = Path("truth/a/00_gt.png")
    write(truth, np.full((24, 40), 5))
    assert main([*words, "--images", "photos"]) == 0
    changed = dict(page_of("out")[1].tables["reproduction"])
    assert [name for name in facts if facts[name] != changed[name]] == ["digest of the truth"]
