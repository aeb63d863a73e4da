"""What needs no training: the rarest classes, splits by drive, rows of results."""

from pathlib import Path

import pytest

from bench.board import Entry
from bench.board_data import link_split
from bench.board_rows import rarest_miou, summary
from segpipe.params.schema import Params
from segpipe.results.evaluation import Evaluation


def evaluation(**classes: tuple[float | None, int]) -> Evaluation:
    return Evaluation.model_validate(
        {
            "segpipe_version": "0",
            "miou": 0.5,
            "miou_interval": None,
            "pixel_accuracy": 0.5,
            "pixel_accuracy_interval": None,
            "classes": {name: {"iou": iou, "pixels": n} for name, (iou, n) in classes.items()},
            "protocol": {"split": "val", "images": 1, "resolution": "raw"},
        }
    )


def test_the_rarest_third_is_rounded_up_and_leaves_out_absent_classes() -> None:
    found = evaluation(
        road=(0.9, 100), car=(0.75, 50), pole=(0.25, 2), sign=(0.0, 1), wall=(0.0, 0)
    )
    assert rarest_miou(found) == pytest.approx((0.25 + 0.0) / 2)


def camvid(folder: Path) -> Path:
    for split, names in (("train", ["a_1", "b_1", "b_2"]), ("val", ["b_3"])):
        for kind in ("images", "masks"):
            (folder / kind / split).mkdir(parents=True)
            for name in names:
                (folder / kind / split / f"{name}.png").write_text(f"{kind} {name}")
    (folder / "classes.csv").write_text("id,name\n")
    return folder


def test_a_drive_that_is_left_out_is_what_is_scored(tmp_path: Path) -> None:
    data = link_split(camvid(tmp_path / "camvid"), "b", tmp_path / "own")
    for kind in ("images", "masks"):
        there = {
            split: sorted(p.stem for p in (data / kind / split).iterdir())
            for split in ("train", "val")
        }
        assert there == {"train": ["a_1"], "val": ["b_1", "b_2", "b_3"]}
        assert (data / kind / "val/b_3.png").read_text() == f"{kind} b_3"
    assert (data / "classes.csv").is_file()
    with pytest.raises(ValueError, match="the drive c has 0 images, the others 4"):
        link_split(tmp_path / "camvid", "c", tmp_path / "own")


def test_another_parameter_is_another_row() -> None:
    one = Entry("camvid", Params(), "val")
    changed = Params.model_validate({"train": {"lr": 0.25}})
    rows = {
        one.row(0),
        one.row(1),
        Entry("camvid", changed, "val").row(0),
        Entry("camvid", Params(), "b").row(0),
    }
    assert len(rows) == 4
    assert one.row(0) == Entry("camvid", Params(), "val").row(0)


def test_the_summary_says_spread_and_whether_time_was_kept() -> None:
    test = {"miou": 0.5, "rarest_miou": 0.25}
    rows = [
        {"seconds": 590.0, "miou": 0.60, "rarest_miou": 0.2, "machine": "2 cores", "test": test},
        {"seconds": 601.0, "miou": 0.62, "rarest_miou": 0.4, "machine": "2 cores"},
    ]
    first, tested, machine = summary("camvid, val", rows, limit=10)
    assert "2 seeds, slowest 601 s, OVER 10 minutes; mIoU 61.0 (sd 1.4), rarest third 30.0" in first
    assert "mIoU 50.0, rarest third 25.0" in tested
    assert machine == "  on 2 cores"
    assert "within 11 minutes" in summary("camvid, val", rows, limit=11)[0]
