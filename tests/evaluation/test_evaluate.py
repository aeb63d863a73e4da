"""Whole evaluations: what is counted at the raw labels' resolution (also counts.py, measures/confusion.py
and measures/truth_pixels.py), and the files that say so (report.py).
"""

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from sklearn.metrics import confusion_matrix, jaccard_score

from segpipe.bundle import Bundle
from segpipe.evaluation.evaluate import evaluate
from segpipe.evaluation.measure import Bootstrap
from segpipe.evaluation.report import EvaluationReport, evaluation_report
from segpipe.inference.predictor import Predictor
from segpipe.inference.views import Views
from segpipe.labels.load import load_scheme
from segpipe.metrics.bootstrap import LEAST_IMAGES
from segpipe.params.prepare import SplitParams
from segpipe.raw.input_spec import PICTURES, InputSpec
from segpipe.runtime.errors import DataError
from segpipe.sources.folder.samples import list_samples
from stages.evaluate import _say_scores
from tests.evaluation.images import SAME_SIZE, counts_of, scored_image
from tests.forge import make_folder, save, scene


class Oracle:
    """Stands in for a predictor: it errs in a known way."""

    precision = "fp32"
    input = InputSpec(PICTURES, 8, 8, "stretch", 1, [0.5] * 3, [0.5] * 3)

    def __init__(self, scheme, wrong: NDArray[np.uint8] | None = None) -> None:
        self.scheme = scheme
        self.bundle = Bundle(SAME_SIZE, None, scheme, self.input, "fp32", {"data": "abc"})

    views = Views()
    train_ids = Predictor.train_ids

    def score_strips(self, clips: list[NDArray[np.uint8]]) -> Any:
        """All rows as one strip."""
        return [iter([(slice(None), self.logits(frames_THWC))]) for frames_THWC in clips]

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


def reported(raw: Path, split: str = "val", bootstrap: int = 0) -> EvaluationReport:
    oracle = Oracle(load_scheme("classes.csv", {}, raw))
    samples = list_samples(raw, SplitParams()).samples[split]
    return evaluation_report(evaluate(oracle, samples, raw, Bootstrap(bootstrap, 0)), oracle, split)


def table(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def test_scores_that_are_not_finite_name_the_image(raw: Path) -> None:
    class Broken(Oracle):
        def logits(self, frames: NDArray[np.uint8]) -> torch.Tensor:
            raise DataError("the network's scores of it are not finite")

    samples = list_samples(raw, SplitParams()).samples["val"]
    broken = Broken(load_scheme("classes.csv", {}, raw))
    with pytest.raises(DataError, match=f"^{raw / samples[0].image}: the network's scores"):
        evaluate(broken, samples, raw, Bootstrap(0, 0))


def test_scores_equal_the_reference_on_all_valid_pixels(tmp_path: Path) -> None:
    raw = make_folder(tmp_path / "raw", train=1, val=LEAST_IMAGES)
    oracle, truth, guess = Oracle(load_scheme("classes.csv", {}, raw)), [], []
    for sample in list_samples(raw, SplitParams()).samples["val"]:
        with Image.open(raw / str(sample.mask)) as mask, Image.open(raw / sample.image) as image:
            valid = np.asarray(mask) != 9
            truth.append(np.asarray(mask)[valid])
            guess.append(oracle.predict(np.asarray(image)[None])[valid])
    truth, guess = np.concatenate(truth), np.concatenate(guess)
    report = reported(raw, bootstrap=200)
    found, protocol = report.evaluation, report.evaluation.protocol
    report.write(tmp_path)
    written = [int(row["count"]) for row in table(tmp_path / "confusion.csv")]
    assert written == confusion_matrix(truth, guess, labels=[0, 1, 2]).ravel().tolist()
    assert found.miou == pytest.approx(jaccard_score(truth, guess, average="macro"), abs=1e-6)
    assert found.pixel_accuracy == pytest.approx((truth == guess).mean(), abs=1e-6)
    assert found.miou_interval.low <= found.miou <= found.miou_interval.high
    assert protocol.pixels == len(truth)
    assert protocol.pixels + protocol.void_pixels == LEAST_IMAGES * 48 * 64
    assert protocol.image_sizes == {"48x64": LEAST_IMAGES}
    assert protocol.ignored_ids == "9"
    assert protocol.images == LEAST_IMAGES
    assert protocol.edges == "none"


def test_the_tables_agree_with_the_summary(raw: Path, tmp_path: Path) -> None:
    report = reported(raw)
    names = [
        "boundaries.csv",
        "classes.csv",
        "confusion.csv",
        "evaluation.json",
        "groups.csv",
        "images.csv",
        "precision_recall.csv",
        "reliability.csv",
    ]
    assert sorted(report.write(tmp_path)) == [tmp_path / name for name in names]
    summary = json.loads((tmp_path / "evaluation.json").read_text())
    assert summary["miou"] == report.evaluation.miou
    assert summary["miou_interval"] is None
    assert "foreground" not in summary
    classes, images = table(tmp_path / "classes.csv"), table(tmp_path / "images.csv")
    columns = ["class", "iou", "dice", "accuracy", "precision", "pixels", "share"]
    assert [name for name in classes[0] if name in columns] == columns
    assert [row["class"] for row in classes] == ["sky", "road", "car"]
    assert sum(float(row["share"]) for row in classes) == pytest.approx(1, abs=1e-5)
    assert list(images[0])[:4] == ["name", "miou", "pixel_accuracy", "pixels"]
    counts = [int(row["count"]) for row in table(tmp_path / "confusion.csv")]
    assert sum(counts) == summary["protocol"]["pixels"]
    scores = [float(row["miou"]) for row in images]
    assert scores == sorted(scores)
    assert len(scores) == 4


def test_a_class_in_neither_truth_nor_prediction_has_no_score(tmp_path: Path) -> None:
    raw = make_folder(tmp_path / "raw", train=1, val=2)
    for path in (raw / "masks/val").iterdir():
        save(path, np.zeros((48, 64), np.uint8))
    for path in (raw / "images/val").iterdir():
        save(path, np.full((48, 64, 3), (100, 160, 210), np.uint8))
    found = reported(raw, bootstrap=10).evaluation
    assert found.classes["car"].iou is None
    assert found.miou == 1.0


def test_a_split_without_truth_has_no_scores_and_one_without_valid_pixels_is_refused(
    tmp_path: Path,
) -> None:
    raw = make_folder(tmp_path / "raw", train=1, val=2, test=2)
    for path in (raw / "masks/test").iterdir():
        path.unlink()
    for path in (raw / "masks/val").iterdir():
        save(path, np.full((48, 64), 9, np.uint8))
    report = reported(raw, "test", bootstrap=100)
    report.write(tmp_path)
    found, protocol = report.evaluation, report.evaluation.protocol
    assert json.loads((tmp_path / "evaluation.json").read_text())["miou"] is None
    assert found.pixel_accuracy is found.miou_interval is found.mean_dice is None
    assert [scores.iou for scores in found.classes.values()] == [None] * 3
    assert (protocol.images, protocol.images_without_truth) == (0, 2)
    rows = [list(row.values())[:4] for row in table(tmp_path / "images.csv")]
    assert rows == [["drive0_000", "", "", "0"], ["drive1_001", "", "", "0"]]
    with pytest.raises(DataError, match="every pixel of this split's masks is void"):
        reported(raw)
    with pytest.raises(DataError, match="this split is empty"):
        evaluate(Oracle(load_scheme("classes.csv", {}, raw)), [], raw, Bootstrap(0, 0))


def test_windows_of_one_raster_are_drawn_together_by_the_bootstrap() -> None:
    """Windows of twenty rasters that are all alike are no more certain than the twenty rasters."""
    good, bad = np.diag([90, 10]), np.array([[50, 40], [10, 0]])

    def width(*images: tuple[NDArray[np.int64], str]) -> float:
        found = [scored_image(str(n), counts, file) for n, (counts, file) in enumerate(images)]
        interval = counts_of(["a", "b"], found, samples=500).summary().scores["miou_interval"]
        return interval.high - interval.low

    rasters = [((good, bad)[n % 2], str(n)) for n in range(LEAST_IMAGES)]
    one_a_file = width(*rasters)
    assert width(*rasters * 5) == pytest.approx(one_a_file)
    apart = [((good, bad)[n % 2], str(n)) for n in range(5 * LEAST_IMAGES)]
    assert width(*apart) < 0.9 * one_a_file


@pytest.mark.parametrize("windows", [1, 10])
def test_a_few_images_give_no_interval_and_the_protocol_says_why(windows: int) -> None:
    """What counts is image files with truth: neither windows of them nor void images."""
    counts = np.array([[50, 40], [10, 0]])

    def summary(files: int) -> Mapping[str, Any]:
        images = [
            scored_image(f"{file}_{n}", counts, str(file))
            for file in range(files)
            for n in range(windows)
        ]
        void = scored_image("void", np.zeros((2, 2), np.int64))
        return counts_of(["a", "b"], [*images, void], samples=50).summary().scores

    few, enough = summary(LEAST_IMAGES - 1), summary(LEAST_IMAGES)
    assert few["miou_interval"] is few["pixel_accuracy_interval"] is None
    reason = f"{LEAST_IMAGES - 1} image files with truth; at least {LEAST_IMAGES} are needed"
    assert few["protocol"]["interval"] == f"none: {reason}"
    assert enough["miou_interval"] is not None is not enough["pixel_accuracy_interval"]
    assert enough["protocol"]["interval"].startswith(
        "95% percentile bootstrap over images, 50 samples"
    )


def test_evaluate_says_why_there_is_no_interval(
    raw: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = reported(raw, bootstrap=50).evaluation
    assert found.miou_interval is None
    _say_scores(found)
    said = f"(no interval: 4 image files with truth; at least {LEAST_IMAGES} are needed)"
    assert said in "".join(capsys.readouterr())
    assert reported(raw).evaluation.protocol.no_interval == "evaluate.bootstrap is 0"


def test_masks_of_another_scheme_are_refused(raw: Path) -> None:
    mask = scene(0)[1]
    mask[0, 0] = 99
    save(raw / "masks/val/drive0_000.png", mask)
    with pytest.raises(DataError, match=r"holds the values \[99\]"):
        reported(raw)
