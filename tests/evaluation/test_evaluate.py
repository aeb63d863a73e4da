"""Whole evaluations: what is counted at the raw labels' resolution (also counts.py, measures/confusion.py
and measures/truth_pixels.py), and the files that say so (report.py).
"""

import csv
import json
from collections.abc import Mapping
from dataclasses import replace
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
from segpipe.evaluation.report import EvaluationReport, evaluation_report
from segpipe.inference.predictor import Predictor
from segpipe.inference.views import Views
from segpipe.labels.load import load_scheme
from segpipe.metrics.jackknife import LEAST_UNITS
from segpipe.params.prepare import SplitParams
from segpipe.raw.build import build_reader
from segpipe.raw.input_spec import PICTURES, InputSpec
from segpipe.raw.sample import Sample
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

    views, reader = Views(), build_reader(PICTURES)
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


def reported(raw: Path, split: str = "val") -> EvaluationReport:
    oracle = Oracle(load_scheme("classes.csv", {}, raw))
    samples = list_samples(raw, SplitParams()).samples[split]
    return evaluation_report(evaluate(oracle, samples, raw), oracle, split)


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
        evaluate(broken, samples, raw)


def test_scores_equal_the_reference_on_all_valid_pixels(tmp_path: Path) -> None:
    raw = make_folder(tmp_path / "raw", train=1, val=LEAST_UNITS)
    oracle, truth, guess = Oracle(load_scheme("classes.csv", {}, raw)), [], []
    for sample in list_samples(raw, SplitParams()).samples["val"]:
        with Image.open(raw / str(sample.mask)) as mask, Image.open(raw / sample.image) as image:
            valid = np.asarray(mask) != 9
            truth.append(np.asarray(mask)[valid])
            guess.append(oracle.predict(np.asarray(image)[None])[valid])
    truth, guess = np.concatenate(truth), np.concatenate(guess)
    report = reported(raw)
    found, protocol = report.evaluation, report.evaluation.protocol
    report.write(tmp_path)
    written = [int(row["count"]) for row in table(tmp_path / "confusion.csv")]
    assert written == confusion_matrix(truth, guess, labels=[0, 1, 2]).ravel().tolist()
    assert found.miou == pytest.approx(jaccard_score(truth, guess, average="macro"), abs=1e-6)
    assert found.pixel_accuracy == pytest.approx((truth == guess).mean(), abs=1e-6)
    assert found.miou_interval.low <= found.miou <= found.miou_interval.high
    assert protocol.pixels == len(truth)
    assert protocol.pixels + protocol.void_pixels == LEAST_UNITS * 48 * 64
    assert protocol.image_sizes == {"48x64": LEAST_UNITS}
    assert protocol.ignored_ids == "9"
    assert protocol.images == LEAST_UNITS
    assert protocol.edges == "none"


def test_files_of_instances_are_read_where_objects_have_a_score(tmp_path: Path) -> None:
    class Reader(Oracle):
        def logits(self, frames: NDArray[np.uint8]) -> torch.Tensor:
            return torch.from_numpy(np.eye(19, dtype=np.float32)[frames[-1, ..., 0]]).permute(
                2, 0, 1
            )

    scheme = load_scheme("cityscapes19", {}, tmp_path)
    car, road = scheme.classes.index("car"), scheme.classes.index("road")
    mask = np.where(np.arange(12) < 6, 26, 7)[None].repeat(4, 0)
    guess = np.where(np.arange(12) < 3, car, road)[None].repeat(4, 0)
    save(tmp_path / "image.png", guess[..., None].repeat(3, 2).astype(np.uint8))
    save(tmp_path / "mask.png", mask.astype(np.uint8))
    save(tmp_path / "instances.png", np.where(mask == 26, 26003, mask).astype(np.uint16))
    sample = Sample("a", "g", "image.png", "mask.png", instances="instances.png")
    oracle = Reader(scheme)
    report = evaluation_report(evaluate(oracle, [sample], tmp_path), oracle, "val").evaluation
    assert report.classes["car"].instance_iou == report.instance_iou == 0.5
    assert report.categories["vehicle"].instance_iou == report.categories["vehicle"].iou == 0.5
    assert report.categories["flat"].pixels == 24
    assert str(report.protocol.instances).startswith("files of all 1 images")
    without = [sample, replace(sample, name="b", instances=None)]
    report = evaluation_report(evaluate(oracle, without, tmp_path), oracle, "val").evaluation
    assert report.instance_iou is None and report.category_iou is not None
    assert report.protocol.instances == "none: 1 of 2 images have no file of instances"
    save(tmp_path / "instances.png", np.zeros((4, 11), np.uint16))
    with pytest.raises(DataError, match=r"instances\.png: is 4 x 11, but the mask .* 4 x 12"):
        evaluate(oracle, [sample], tmp_path)


def test_the_tables_agree_with_the_summary(raw: Path, tmp_path: Path) -> None:
    report = reported(raw)
    names = [
        "boundaries.csv",
        "classes.csv",
        "confusion.csv",
        "evaluation.json",
        "groups.csv",
        "image_counts.csv",
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


def test_every_table_says_how_it_was_measured(raw: Path, tmp_path: Path) -> None:
    report = reported(raw)
    paths = [path for path in report.write(tmp_path) if path.suffix == ".csv"]
    summary = report.evaluation.protocol.summary
    for path in paths:
        rows = table(path)
        said = [row["protocol"] for row in rows]
        assert said == [summary, *[""] * (len(rows) - 1)][: len(rows)], path.name
        assert path.read_text().splitlines()[0].endswith(",protocol"), path.name
    assert len(paths) == 8 and "images of split val; " in summary


def test_the_protocol_says_where_the_scored_views_are_not_those_of_the_temperature(
    raw: Path,
) -> None:
    oracle = Oracle(load_scheme("classes.csv", {}, raw))
    samples = list_samples(raw, SplitParams()).samples["val"]
    oracle.bundle.lineage["temperature"] = {"images": [samples[0].image]}
    for views, other in (
        (Views(), False),
        (Views(flip=True), True),
        (Views(scales=(0.5,)), True),
        (Views(windows="slide"), True),
    ):
        oracle.views = views
        counts = evaluate(oracle, samples, raw, probabilities=True)
        said = evaluation_report(counts, oracle, "val").evaluation.protocol.calibration
        assert said is not None and ("other views" in said) == other, views


def test_a_class_in_neither_truth_nor_prediction_has_no_score(tmp_path: Path) -> None:
    raw = make_folder(tmp_path / "raw", train=1, val=2)
    for path in (raw / "masks/val").iterdir():
        save(path, np.zeros((48, 64), np.uint8))
    for path in (raw / "images/val").iterdir():
        save(path, np.full((48, 64, 3), (100, 160, 210), np.uint8))
    found = reported(raw).evaluation
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
    report = reported(raw, "test")
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
        evaluate(Oracle(load_scheme("classes.csv", {}, raw)), [], raw)


def test_windows_of_one_raster_are_one_image_to_the_interval() -> None:
    """Windows of twenty rasters that are all alike are no more certain than the twenty rasters."""
    good, bad = np.diag([90, 10]), np.array([[50, 40], [10, 0]])

    def width(*images: tuple[NDArray[np.int64], str]) -> float:
        found = [scored_image(str(n), counts, file) for n, (counts, file) in enumerate(images)]
        interval = counts_of(["a", "b"], found).summary().scores["miou_interval"]
        return interval.high - interval.low

    rasters = [((good, bad)[n % 2], str(n)) for n in range(LEAST_UNITS)]
    one_a_file = width(*rasters)
    assert width(*rasters * 5) == pytest.approx(one_a_file)
    apart = [((good, bad)[n % 2], str(n)) for n in range(5 * LEAST_UNITS)]
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
        return counts_of(["a", "b"], [*images, void]).summary().scores

    few, enough = summary(LEAST_UNITS - 1), summary(LEAST_UNITS)
    assert few["miou_interval"] is few["pixel_accuracy_interval"] is None
    reason = f"{LEAST_UNITS - 1} image files with truth; at least {LEAST_UNITS} are needed"
    assert few["protocol"]["interval"] == f"none: {reason}"
    assert enough["miou_interval"] is not None is not enough["pixel_accuracy_interval"]
    assert enough["protocol"]["interval"] == f"95% jackknife over {LEAST_UNITS} images"


def test_evaluate_says_why_there_is_no_interval(
    raw: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = reported(raw).evaluation
    assert found.miou_interval is None
    _say_scores(found)
    said = f"(no interval: 4 image files with truth; at least {LEAST_UNITS} are needed)"
    assert said in "".join(capsys.readouterr())


def test_masks_of_another_scheme_are_refused(raw: Path) -> None:
    mask = scene(0)[1]
    mask[0, 0] = 99
    save(raw / "masks/val/drive0_000.png", mask)
    with pytest.raises(DataError, match=r"holds the values \[99\]"):
        reported(raw)
