"""The report: a page to read, numbers for programmes, pictures that never stand in the way."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segpipe.labels.class_weights import class_weights
from segpipe.labels.load import load_scheme
from segpipe.labels.scheme import LabelScheme
from segpipe.params.prepare import PrepareParams, SplitParams
from segpipe.preflight.judge import judge
from segpipe.preflight.report import write_report
from segpipe.preparation.prepare import survey_data
from segpipe.preparation.sample_job import PrepareContext
from segpipe.preparation.sample_stats import Survey
from segpipe.raw.input_spec import PICTURES
from segpipe.results.data_report import DataReport
from segpipe.results.records import read_record
from segpipe.runtime.errors import ParameterError
from segpipe.runtime.findings import Finding
from segpipe.sources.folder.samples import list_samples
from tests.forge import make_folder, save, scene

CANVAS = PrepareParams(height=32, width=48)
FORECAST = {"model": "unet", "height": 32, "total_mb": 512.5, "available_mb": 400, "device": "cpu"}


def judged(raw: Path) -> tuple[list[Finding], Survey, LabelScheme]:
    listing = list_samples(raw, SplitParams())
    scheme = load_scheme("classes.csv", {}, raw)
    survey = survey_data(listing.samples, PrepareContext(raw, scheme, PICTURES, CANVAS))
    return judge(survey, listing.findings, scheme, CANVAS, forecast=FORECAST), survey, scheme


def reported(raw: Path, folder: Path) -> tuple[dict[str, Any], str]:
    findings, survey, scheme = judged(raw)
    assert write_report(folder, findings, survey, scheme, raw, FORECAST) == folder / "report.html"
    return json.loads((folder / "report.json").read_text()), (folder / "report.md").read_text()


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    return make_folder(tmp_path / "raw", train=8, val=5)


def test_the_numbers_are_those_of_the_masks(raw: Path, tmp_path: Path) -> None:
    report, page = reported(raw, tmp_path / "report")
    masks = [np.asarray(Image.open(path)) for path in sorted((raw / "masks/train").iterdir())]
    counted = [sum(int((mask == value).sum()) for mask in masks) for value in (0, 1, 2)]
    assert [each["splits"]["train"]["pixels"] for each in report["classes"]] == counted
    assert [each["splits"]["train"]["images"] for each in report["classes"]] == [8, 8, 8]
    assert report["classes"][1]["splits"]["train"]["share"] == pytest.approx(
        counted[1] / sum(counted), abs=1e-8
    )
    void = sum(int((mask == 9).sum()) for mask in masks)
    assert report["splits"]["train"]["void_pixels"] == void
    assert report["splits"]["train"]["pixels"] == 8 * 48 * 64
    present = np.full(3, sum(counted))
    for kind in ("inverse", "median", "enet", "effective"):
        expected = class_weights(kind, np.array(counted), present)
        shown = [each["weights"][kind] for each in report["classes"]]
        np.testing.assert_allclose(shown, expected, atol=1e-6)
    assert report["image_sizes"] == {"48x64": 13}
    read = read_record(DataReport, tmp_path / "report" / DataReport.file)
    assert read.model_dump(exclude={"findings", "splits", "classes"}).items() <= report.items()
    assert read.splits["train"].masks == 8
    assert [one.text for one in read.findings] == [one["text"] for one in report["findings"]]
    # What is free at the moment is no part of it: the same data gives the same report.
    assert report["forecast"] | {"available_mb": FORECAST["available_mb"]} == FORECAST
    assert "| total mb | 512.5 |" in page


def test_the_page_begins_with_the_verdict(raw: Path, tmp_path: Path) -> None:
    report, page = reported(raw, tmp_path / "report")
    assert report["verdict"] == "warnings"
    assert page.splitlines()[2].startswith("**Fit for training**, with 1 warning to look at.")
    (raw / "masks/train/drive0_000.png").write_text("no picture")
    report, page = reported(raw, tmp_path / "report")
    assert (report["verdict"], report["errors"], report["warnings"]) == ("errors", 1, 1)
    assert page.splitlines()[2].startswith("**Not fit for training**: 1 error, 1 warning.")
    assert page.index("## Errors") < page.index("## Warnings") < page.index("## Splits")


def test_offenders_are_marked_in_the_picture_even_one_pixel_of_a_large_mask(
    raw: Path, tmp_path: Path
) -> None:
    image, mask = scene(3, 1100, 1500)
    mask[701, 1003] = 77
    save(raw / "images/train/drive0_000.png", image)
    save(raw / "masks/train/drive0_000.png", mask)
    report, page = reported(raw, tmp_path / "report")
    (finding,) = [each for each in report["findings"] if each["kind"] == "unknown_value"]
    (name,) = finding["pictures"]
    assert f"![unknown_value]({name})" in page
    with Image.open(tmp_path / "report" / name) as picture:
        assert max(picture.size) <= 1100
        pink = (np.asarray(picture) == (255, 0, 90)).all(axis=-1)
    assert 4 < pink.sum() < 200
    # At the offender's place, in the right half of the sheet.
    rows, columns = np.nonzero(pink)
    assert columns.min() > pink.shape[1] / 2
    assert rows.mean() / (375 * 701 / 1100) == pytest.approx(1, abs=0.3)


def test_pictures_are_bounded_in_number(raw: Path, tmp_path: Path) -> None:
    _, survey, scheme = judged(raw)
    names = tuple(f"train/drive{n % 2}_{n:03d}" for n in range(8))
    many = [Finding(f"kind{n}", "warning", "text", "repair", (), names) for n in range(5)]
    write_report(tmp_path / "report", many, survey, scheme, raw)
    report = json.loads((tmp_path / "report/report.json").read_text())
    assert [len(each["pictures"]) for each in report["findings"]] == [3, 3, 2, 2, 2]
    assert len(list((tmp_path / "report/pictures").iterdir())) == 12


def test_files_that_cannot_be_drawn_do_not_stop_the_report(
    raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(raw / "masks/train/drive0_000.png", np.full((48, 64), 9, np.uint8))
    findings, survey, scheme = judged(raw)
    assert any(finding.pictures for finding in findings)
    (raw / "images/train/drive0_000.png").unlink()
    page = write_report(tmp_path / "report", findings, survey, scheme, raw)
    assert "void_mask" in page.read_text()
    assert list((tmp_path / "report/pictures").iterdir()) == []
    assert "no picture of train/drive0_000" in capsys.readouterr().out


def test_names_with_marks_of_markdown_stay_whole(raw: Path, tmp_path: Path) -> None:
    text = (raw / "classes.csv").read_text().replace("road", "r|o_a*d")
    (raw / "classes.csv").write_text(text)
    for part in ("images", "masks"):
        (raw / part / "train/drive0_000.png").rename(raw / part / "train/a`b|c.png")
    save(raw / "masks/train/a`b|c.png", np.full((48, 64), 9, np.uint8))
    _, page = reported(raw, tmp_path / "report")
    row = next(line for line in page.splitlines() if "r\\|o" in line)
    assert row.startswith("| r\\|o\\_a\\*d |")
    assert "- ``masks/train/a`b|c.png``" in page


def test_the_html_page_has_the_same_numbers_and_pictures(raw: Path, tmp_path: Path) -> None:
    text = (raw / "classes.csv").read_text().replace("road", "<b>&r")
    (raw / "classes.csv").write_text(text)
    save(raw / "masks/train/drive0_000.png", np.full((48, 64), 77, np.uint8))
    report, _ = reported(raw, tmp_path / "report")
    html = (tmp_path / "report/report.html").read_text()
    assert "<b>" not in html
    assert "not fit for training" in html
    (finding,) = [each for each in report["findings"] if each["kind"] == "unknown_value"]
    assert re.findall(r'src="([^"]+)"', html) == [
        name for each in report["findings"] for name in each["pictures"]
    ]
    for item in finding["items"]:
        assert f"<li><code>{item}</code></li>" in html
    cells = [re.findall(r"<td>(.*?)</td>", line) for line in html.splitlines()]
    (row,) = [row for row in cells if row[:1] == ["&lt;b&gt;&amp;r"]]
    about = report["classes"][1]
    splits = about["splits"].values()
    shares = ["-" if one["share"] is None else f"{100 * one['share']:.3f}" for one in splits]
    images, weights = [f"{one['images']}" for one in splits], about["weights"].values()
    assert row[1:] == [*shares, *images, *(f"{weight:.3f}" for weight in weights)]
    assert "http" not in html
    assert not re.search(r"\b(None|nan)\b", html)


def test_without_one_readable_file_there_is_still_a_report(raw: Path, tmp_path: Path) -> None:
    for path in [*(raw / "images").rglob("*.png"), *(raw / "masks").rglob("*.png")]:
        path.write_bytes(b"")
    report, page = reported(raw, tmp_path / "report")
    assert report["verdict"] == "errors"
    assert report["classes"][0]["weights"] == {}
    assert "No image could be read." in page
    assert "... and 0 more" not in page


def test_an_earlier_report_is_replaced_and_anything_else_is_kept(raw: Path, tmp_path: Path) -> None:
    findings, survey, scheme = judged(raw)
    folder = tmp_path / "report"
    write_report(folder, findings, survey, scheme, raw)
    write_report(folder, [], survey, scheme, raw)
    assert json.loads((folder / "report.json").read_text())["verdict"] == "sound"
    (folder / "pictures/holiday.jpg").write_bytes(b"x")
    with pytest.raises(ParameterError, match=r"would be lost(.|\n)*holiday\.jpg"):
        write_report(folder, [], survey, scheme, raw)
    assert (folder / "pictures/holiday.jpg").exists()
    with pytest.raises(ParameterError, match="images"):
        write_report(raw, [], survey, scheme, raw)
    (tmp_path / "file").write_text("")
    with pytest.raises(ParameterError, match="is a file"):
        write_report(tmp_path / "file", [], survey, scheme, raw)
