"""Evaluation: counts at the raw labels' resolution, and what is said of them."""

import csv
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from sklearn.metrics import confusion_matrix, jaccard_score

from segpipe.bundle import Bundle
from segpipe.evaluation.evaluate import Counts, count
from segpipe.evaluation.intervals import Interval
from segpipe.evaluation.report import summarise, write_tables
from segpipe.inference.predictor import Predictor
from segpipe.labels.load import load_scheme
from segpipe.metrics.bootstrap import bootstrap_interval
from segpipe.metrics.scores import mean_iou
from segpipe.params.prepare import SplitParams
from segpipe.raw.input_spec import PICTURES, InputSpec
from segpipe.runtime.errors import DataError
from segpipe.sources.folder.samples import list_samples
from tests.forge import make_folder, save, scene


class Oracle:
    """Stands in for a predictor: it errs in a known way."""

    precision = "fp32"
    input = InputSpec(PICTURES, 8, 8, "stretch", 1, [0.5] * 3, [0.5] * 3)

    def __init__(self, scheme, wrong: NDArray[np.uint8] | None = None) -> None:
        self.scheme = scheme
        self.bundle = Bundle(None, None, scheme, self.input, "fp32", {"data": "abc"})

    train_ids = Predictor.train_ids

    def logits(self, frames: NDArray[np.uint8]) -> torch.Tensor:
        """One at the class that it predicts, 0 at the others."""
        return torch.from_numpy(np.eye(3, dtype=np.float32)[self.predict(frames)]).permute(2, 0, 1)

    def predict(self, frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Darker than the middle is road, bright is sky, and red a car."""
        image = frames[-1]
        red = (image[..., 0] > 110) & (image[..., 1] < 80)
        sky = image[..., 2] > 150
        return np.where(red, 2, np.where(sky, 0, 1)).astype(np.uint8)


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    return make_folder(tmp_path / "raw", train=1, val=4)


def counted(raw: Path):
    scheme = load_scheme("classes.csv", {}, raw)
    oracle = Oracle(scheme)
    samples = list_samples(raw, SplitParams()).samples["val"]
    return oracle, samples, count(oracle, samples, raw)


def test_scores_equal_the_reference_on_all_valid_pixels(raw: Path) -> None:
    oracle, samples, counts = counted(raw)
    truth, guess = [], []
    for sample in samples:
        with Image.open(raw / str(sample.mask)) as mask, Image.open(raw / sample.image) as image:
            valid = np.asarray(mask) != 9
            truth.append(np.asarray(mask)[valid])
            guess.append(oracle.predict(np.asarray(image)[None])[valid])
    truth, guess = np.concatenate(truth), np.concatenate(guess)
    assert (counts.confusion_KK == confusion_matrix(truth, guess, labels=[0, 1, 2])).all()
    summary = summarise(counts, oracle, "val", Interval(200, 0))
    assert summary["miou"] == pytest.approx(jaccard_score(truth, guess, average="macro"), abs=1e-6)
    assert summary["pixel_accuracy"] == pytest.approx((truth == guess).mean(), abs=1e-6)
    low, high = summary["miou_interval"].values()
    assert low <= summary["miou"] <= high
    protocol = summary["protocol"]
    assert protocol["pixels"] == len(truth)
    assert protocol["pixels"] + protocol["void_pixels"] == 4 * 48 * 64
    assert protocol["image_sizes"] == {"48x64": 4}
    assert protocol["ignored_ids"] == "9"
    assert protocol["images"] == 4


def test_the_tables_agree_with_the_summary(raw: Path, tmp_path: Path) -> None:
    oracle, _, counts = counted(raw)
    summary = summarise(counts, oracle, "val", Interval(0, 0))
    write_tables(counts, oracle, summary, tmp_path)
    assert json.loads((tmp_path / "evaluation.json").read_text()) == summary
    assert summary["miou_interval"] is None

    def table(name: str) -> list[dict[str, str]]:
        with (tmp_path / name).open() as file:
            return list(csv.DictReader(file))

    assert [row["class"] for row in table("classes.csv")] == ["sky", "road", "car"]
    assert sum(float(row["share"]) for row in table("classes.csv")) == pytest.approx(1, abs=1e-5)
    assert list(table("images.csv")[0]) == ["name", "miou", "pixel_accuracy", "pixels"]
    assert sum(int(row["count"]) for row in table("confusion.csv")) == summary["protocol"]["pixels"]
    scores = [float(row["miou"]) for row in table("images.csv")]
    assert scores == sorted(scores)
    assert len(scores) == 4


def test_a_class_in_neither_truth_nor_prediction_has_no_score(tmp_path: Path) -> None:
    raw = make_folder(tmp_path / "raw", train=1, val=2)
    for path in (raw / "masks/val").iterdir():
        save(path, np.zeros((48, 64), np.uint8))
    for path in (raw / "images/val").iterdir():
        save(path, np.full((48, 64, 3), (100, 160, 210), np.uint8))
    oracle, _, counts = counted(raw)
    summary = summarise(counts, oracle, "val", Interval(10, 0))
    assert summary["classes"]["car"]["iou"] is None
    assert summary["miou"] == 1.0


def test_a_split_without_truth_has_no_scores_and_one_without_valid_pixels_is_refused(
    tmp_path: Path,
) -> None:
    raw = make_folder(tmp_path / "raw", train=1, val=2, test=2)
    for path in (raw / "masks/test").iterdir():
        path.unlink()
    for path in (raw / "masks/val").iterdir():
        save(path, np.full((48, 64), 9, np.uint8))
    scheme = load_scheme("classes.csv", {}, raw)
    samples = list_samples(raw, SplitParams()).samples
    oracle = Oracle(scheme)
    counts = count(oracle, samples["test"], raw)
    summary = summarise(counts, oracle, "test", Interval(100, 0))
    write_tables(counts, oracle, summary, tmp_path)
    assert json.loads((tmp_path / "evaluation.json").read_text())["miou"] is None
    assert summary["pixel_accuracy"] is summary["miou_interval"] is summary["mean_dice"] is None
    assert all(found["iou"] is None for found in summary["classes"].values())
    assert (summary["protocol"]["images"], summary["protocol"]["images_without_truth"]) == (0, 2)
    assert (tmp_path / "images.csv").read_text().splitlines()[1:] == [
        "drive0_000,,,0",
        "drive1_001,,,0",
    ]
    with pytest.raises(DataError, match="every pixel of this split's masks is void"):
        count(oracle, samples["val"], raw)
    with pytest.raises(DataError, match="this split is empty"):
        count(oracle, [], raw)


def test_windows_of_one_raster_are_drawn_together_by_the_bootstrap() -> None:
    """Ten equal windows of two rasters are no more certain than the two rasters."""
    good, bad = np.diag([90, 10]), np.array([[50, 40], [10, 0]])
    one_a_file = counts_of([good, bad], ["a", "b"])
    five_a_file = counts_of([good] * 5 + [bad] * 5, ["a"] * 5 + ["b"] * 5)
    apart = counts_of([good] * 5 + [bad] * 5, list("abcdefghij"))

    def width(counts: Counts) -> float:
        low, high = bootstrap_interval(counts.confusion_by_file, mean_iou, 500, 0)
        return high - low

    assert width(five_a_file) == pytest.approx(width(one_a_file))
    assert width(apart) < 0.9 * width(one_a_file)


def counts_of(matrices: list[NDArray[np.int64]], files: list[str]) -> Counts:
    return Counts(files, files, np.stack(matrices), 0, Counter())


def test_masks_of_another_scheme_are_refused(raw: Path) -> None:
    mask = scene(0)[1]
    mask[0, 0] = 99
    save(raw / "masks/val/drive0_000.png", mask)
    with pytest.raises(DataError, match=r"holds the values \[99\]"):
        counted(raw)
