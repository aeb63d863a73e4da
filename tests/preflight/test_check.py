"""`segpipe check` beyond the zoo: what it does not look at, where it writes, real data."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segpipe.cli.check import UNPLANNED
from segpipe.cli.main import main
from segpipe.params.load import load_overlay
from segpipe.params.schema import Params
from tests.forge import CLASSES_CSV, make_folder, save, scene, tiny_parameters, write_parameters
from tests.preflight.zoo import sound
from tests.raw.pictures.made import write_tiff


@pytest.fixture(autouse=True)
def _workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setattr("segpipe.training.forecast.available_bytes", lambda _device: 1 << 40)


def test_of_a_synthetic_source_it_says_that_no_image_was_looked_at(
    capsys: pytest.CaptureFixture[str],
) -> None:
    world = Path(__file__).resolve().parents[2] / "data/synthetic.yaml"
    content = tiny_parameters(world, source__name="synthetic", labels__scheme="cityscapes19")
    write_parameters(Path("params.yaml"), content)
    assert main(["check"]) == 0
    assert "no image was looked at" in capsys.readouterr().out
    assert [path.name for path in Path().iterdir()] == ["params.yaml"]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"labels__scheme": "cityscape19"}, "did you mean cityscapes19?"),
        ({"labels__scheme": "classes.csv"}, "classes.csv: there is no such file"),
        (
            {"labels__map": {7: "raod"}},
            "labels.map: 7 means 'raod', which is not a class; did you mean",
        ),
        ({"labels__exclude_images_with": ["rail"]}, "'rail' is neither a label nor a class"),
    ],
)
def test_labels_are_checked_before_there_are_images(
    labels: dict[str, object], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Else they would be refused after images were made, or gigabytes were downloaded."""
    world = Path(__file__).resolve().parents[2] / "data/synthetic.yaml"
    labels = {"labels__scheme": "cityscapes19", **labels}
    write_parameters(
        Path("params.yaml"), tiny_parameters(world, source__name="synthetic", **labels)
    )
    assert main(["check"]) == 1
    assert message in capsys.readouterr().err


def test_the_data_are_read_only_and_the_report_is_all_that_is_written(tmp_path: Path) -> None:
    data = sound(tmp_path / "data")
    before = {path: path.stat().st_mtime_ns for path in data.rglob("*")}
    write_parameters(Path("params.yaml"), tiny_parameters(data))
    assert main(["check"]) == 0
    assert {path: path.stat().st_mtime_ns for path in data.rglob("*")} == before
    written = {path.as_posix() for path in Path().rglob("*") if path.is_file()}
    assert written == {
        "params.yaml",
        ".segpipe/preflight/report.html",
        ".segpipe/preflight/report.md",
        ".segpipe/preflight/report.json",
    }


def last_line(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    code = main(["check", *arguments])
    said = capsys.readouterr()
    return (said.err if code else said.out).strip().splitlines()[-1]


def test_the_last_line_says_what_to_do_next(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = sound(tmp_path / "data")
    write_parameters(Path("params.yaml"), tiny_parameters(data))
    assert last_line(capsys) == "next: segpipe train"
    Path("own.yaml").write_text(Path("params.yaml").read_text())
    assert (
        last_line(capsys, "--params", "own.yaml")
        == "next: segpipe use own.yaml, then segpipe train"
    )
    (data / "masks/train/drive0_000.png").unlink()
    assert last_line(capsys) == (
        "next: add the masks, or move the images away; then `segpipe check` again"
    )


def test_pictures_of_four_channels_are_checked_with_the_line_to_change(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = sound(tmp_path / "data")
    for path in sorted((data / "images").rglob("*.png")):
        rgb_HW3 = np.asarray(Image.open(path))
        write_tiff(path.with_suffix(".tif"), np.dstack([rgb_HW3, rgb_HW3[..., :1]]))
        path.unlink()
    write_parameters(Path("params.yaml"), tiny_parameters(data))
    assert last_line(capsys) == (
        "next: set `saturation: [1.0, 1.0]` under train.augment in params.yaml; then `segpipe check` again"
    )
    changes = {"train__augment__saturation": [1.0, 1.0]}
    write_parameters(Path("params.yaml"), tiny_parameters(data, **changes))
    assert last_line(capsys) == "next: segpipe train"
    report = json.loads(Path(".segpipe/preflight/report.json").read_text())
    assert report["image_modes"] == {"4 channels of 8 bits": 14}


def test_alpha_of_tiff_images_is_doubted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = sound(tmp_path / "data")
    for path in sorted((data / "images").rglob("*.png")):
        Image.open(path).convert("RGBA").save(path.with_suffix(".tif"))
        path.unlink()
    write_parameters(Path("params.yaml"), tiny_parameters(data))
    assert main(["check"]) == 0
    assert (
        "14 TIFF images have a fourth channel that the file calls alpha" in capsys.readouterr().out
    )


def test_settings_of_a_new_project_are_no_settings_for_own_data(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    demo = load_overlay(Path(__file__).resolve().parents[2] / "recipes/demo.yaml")
    shipped = [(each.prepare, each.train) for each in (demo, Params())]
    data, seen = sound(tmp_path / "data"), []
    for prepare, train in shipped:
        seen.append((prepare.height, prepare.width, str(train.length)))
        height, width, length = seen[-1]
        changes = {"prepare__height": height, "prepare__width": width, "train__length": length}
        write_parameters(Path("params.yaml"), tiny_parameters(data, **changes))
        assert last_line(capsys).startswith("next: segpipe plan --minutes 30 (size and length are")
    assert tuple(seen) == UNPLANNED


def test_the_folders_are_named_where_they_are_not_the_usual_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = sound(tmp_path / "data")
    (data / "masks").rename(data / "labels")
    write_parameters(Path("params.yaml"), tiny_parameters(data))
    assert main(["check"]) == 0
    assert f"{data}: images in images; masks in labels" in capsys.readouterr().out


def test_a_folder_with_files_of_ones_own_is_no_place_for_the_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = sound(tmp_path / "data")
    write_parameters(Path("params.yaml"), tiny_parameters(data))
    assert main(["check", "--report", str(data)]) == 1
    assert main(["check", "--report", "."]) == 1
    said = capsys.readouterr().err
    assert "no part of a report and would be lost" in said
    assert (data / "classes.csv").exists()
    assert Path("params.yaml").exists()


def test_the_forecast_stands_in_the_report_and_warns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("segpipe.training.forecast.available_bytes", lambda _device: 1 << 20)
    write_parameters(Path("params.yaml"), tiny_parameters(sound(tmp_path / "data")))
    assert main(["check"]) == 0
    report = json.loads(Path(".segpipe/preflight/report.json").read_text())
    assert report["forecast"]["total_mb"] > 100
    assert "available_mb" not in report["forecast"]  # the same data gives the same report
    assert [finding["kind"] for finding in report["findings"]] == ["memory"]
    assert "warning: training will need about" in capsys.readouterr().out


def test_images_left_out_for_their_labels_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = sound(tmp_path / "data")
    (data / "classes.csv").write_text(CLASSES_CSV + "4,tram,0,80,100,car\n")
    text = (data / "classes.csv").read_text().replace("blue\n", "blue,class\n", 1)
    (data / "classes.csv").write_text(text)
    mask = scene(6)[1]
    mask[20:30, 5:15] = 4
    save(data / "masks/train/drive0_006.png", mask)  # a name that val has not
    content = tiny_parameters(data, labels__exclude_images_with=["tram"])
    write_parameters(Path("params.yaml"), content)
    assert main(["check"]) == 0
    report = json.loads(Path(".segpipe/preflight/report.json").read_text())
    assert report["excluded"] == {"tram": 1}
    assert report["splits"]["train"]["samples"] == 7
    assert report["left_out"] == 1
    page = Path(".segpipe/preflight/report.md").read_text()
    assert "| tram | 1 |" in page
    assert "14 samples were read, of which 1 are left out" in page
    said = capsys.readouterr().out
    assert "7 train, 6 val, 0 test samples, every file read and in order" in said
    assert "; 1 train samples are left out by labels.exclude_images_with (tram in 1)" in said


def test_names_that_no_page_can_show_end_the_check_in_words(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The report is written as UTF-8, and neither it nor the terminal gets a control character."""
    data = sound(tmp_path / "data")
    for name in (b"stra\xdfe.png", b"red\x1b[31m.png"):
        (data / "images/train" / os.fsdecode(name)).write_bytes(b"")
    write_parameters(Path("params.yaml"), tiny_parameters(data))
    assert main(["check"]) == 1
    said = capfd.readouterr()
    assert r"images/train/stra\xdfe.png" in said.err
    assert r"images/train/red\x1b[31m.png" in said.err
    assert "\x1b" not in said.err + said.out
    page = Path(".segpipe/preflight/report.md").read_text(encoding="utf-8")
    assert r"- `images/train/red\x1b[31m.png`" in page
    assert "\x1b" not in page


def test_what_lists_say_reaches_neither_page_nor_terminal_raw(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = sound(tmp_path / "data")
    names = sorted(path.stem for path in (data / "images/train").iterdir())
    (data / "train.txt").write_text("".join(f"train/{name}\n" for name in names) + "\x1b[2Jgone\n")
    (data / "val.txt").write_text("")
    write_parameters(Path("params.yaml"), tiny_parameters(data, prepare__split__by="lists"))
    assert main(["check"]) == 1
    page = Path(".segpipe/preflight/report.md").read_text()
    for text in (page, capsys.readouterr().err):
        assert r"\x1b[2Jgone is not among the images" in text
        assert "\x1b" not in text


def test_without_a_whole_training_sample_all_faults_are_named_still(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = make_folder(tmp_path / "data", train=3, val=2)
    for path in (data / "masks/train").iterdir():
        path.unlink()
    write_parameters(Path("params.yaml"), tiny_parameters(data))
    assert main(["check"]) == 1
    said = capsys.readouterr().err
    assert "3 images have no mask of the same base name" in said
    assert "the split train is empty (train 0, val 2, test 0 samples)" in said


@pytest.mark.slow
def test_camvid_is_sound(capsys: pytest.CaptureFixture[str]) -> None:
    data = os.environ.get("SEGPIPE_CAMVID")
    if data is None:
        pytest.skip("SEGPIPE_CAMVID names no folder with CamVid")
    content = tiny_parameters(Path(data), prepare__height=240, prepare__width=320)
    write_parameters(Path("params.yaml"), content)
    assert main(["check"]) == 0
    report = json.loads(Path(".segpipe/preflight/report.json").read_text())
    assert report["findings"] == []
    assert report["splits"]["train"]["samples"] == 367
