"""One logit: scores of its class over the split and by image, and the curve of its thresholds
(also of measures/probabilities.py).
"""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from sklearn.metrics import average_precision_score, f1_score, jaccard_score

from segpipe.bundle import Bundle
from segpipe.evaluation.counts import EvaluationCounts
from segpipe.evaluation.evaluate import evaluate
from segpipe.evaluation.measures.foreground import Foreground
from segpipe.evaluation.report import EvaluationReport, evaluation_report
from segpipe.inference.predictor import Predictor
from segpipe.inference.views import Views
from segpipe.labels.load import load_scheme
from segpipe.metrics.jackknife import LEAST_UNITS
from segpipe.params.prepare import SplitParams
from segpipe.raw.build import build_reader
from segpipe.raw.input_spec import PICTURES, InputSpec
from segpipe.sources.folder.samples import list_samples
from tests.evaluation.images import SAME_SIZE, scored_image
from tests.forge import make_folder, save
from tests.training.conftest import SKY

GREY = (60, 60, 60)


class Blueness:
    """Stands in for a predictor with one logit: the bluer, the likelier sky."""

    precision = "fp32"
    device = torch.device("cpu")
    input = InputSpec(PICTURES, 8, 8, "stretch", 1, [0.5] * 3, [0.5] * 3)
    views, reader = Views(), build_reader(PICTURES)
    train_ids = Predictor.train_ids

    def score_strips(self, clips: list[NDArray[np.uint8]]) -> Any:
        """All rows as one strip."""
        return [iter([(slice(None), self.logits(frames_THWC))]) for frames_THWC in clips]

    def __init__(self, raw: Path, threshold: float = 0.5, asked: float | str = 0.5) -> None:
        self.scheme = load_scheme("classes.csv", {}, raw)
        lineage = {"data": "abc", "parameters": {"train": {"threshold": asked}}}
        self.bundle = Bundle(SAME_SIZE, None, self.scheme, self.input, "fp32", lineage, threshold)  # type: ignore[arg-type]

    def logits(self, frames_THWC: NDArray[np.uint8]) -> torch.Tensor:
        blue_HW = frames_THWC[-1, ..., 2].astype(np.float32) - frames_THWC[-1, ..., 0]
        return torch.from_numpy((blue_HW - 80) / 20)[None]


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Five validation images, one of which neither holds sky nor looks like it, one only looks so."""
    root = make_folder(tmp_path / "raw", train=1, val=5)
    (root / "classes.csv").write_text(SKY)
    for place, colour in ((3, GREY), (4, (40, 90, 220))):
        image, mask = (np.full((48, 64, 3), colour, np.uint8), np.ones((48, 64), np.uint8))
        name = f"val/drive{place % 2}_{place:03d}.png"
        if colour != GREY:
            image[10:] = GREY
        save(root / "images" / name, image)
        save(root / "masks" / name, mask)
    return root


def evaluated(raw: Path, **options: Any) -> tuple[EvaluationReport, list[tuple[Any, Any]]]:
    """The report, and for each image truth and probability of the valid pixels."""
    predictor: Any = Blueness(raw, **options)
    samples = list_samples(raw, SplitParams()).samples["val"]
    pixels = []
    for sample in samples:
        with Image.open(raw / str(sample.mask)) as mask, Image.open(raw / sample.image) as image:
            valid = np.asarray(mask) != 9
            logit = predictor.logits(np.asarray(image)[None])[0]
            pixels.append((np.asarray(mask)[valid] == 0, logit.sigmoid().numpy()[valid]))
    counts = evaluate(predictor, samples, raw)
    return evaluation_report(counts, predictor, "val"), pixels


@pytest.mark.parametrize("threshold", [0.5, 0.3])
def test_scores_over_the_split_and_by_image_are_those_of_scikit_learn(
    raw: Path, threshold: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("segpipe.metrics.jackknife.LEAST_UNITS", 2)
    report, pixels = evaluated(raw, threshold=threshold)
    found = report.evaluation.foreground
    truth, probability = (np.concatenate(part) for part in zip(*pixels, strict=True))
    guess = probability > np.float32(threshold)
    assert 0 < (truth != guess).sum() < len(truth)
    assert found.class_name == "sky"
    assert found.iou == pytest.approx(jaccard_score(truth, guess), abs=1e-6)
    assert found.dice == pytest.approx(f1_score(truth, guess), abs=1e-6)
    scored = [
        (one, chance > np.float32(threshold))
        for one, chance in pixels
        if one.any() or (chance > np.float32(threshold)).any()
    ]
    by_image = found.by_image
    assert (by_image.images, by_image.images_without_the_class) == (4, 1) == (len(scored), 1)
    ious = [jaccard_score(*one, zero_division=0) for one in scored]
    assert by_image.iou == pytest.approx(np.mean(ious), abs=1e-6)
    assert min(ious) == 0, "what is nowhere true but predicted counts as 0"
    dices = [f1_score(*one, zero_division=0) for one in scored]
    assert by_image.dice == pytest.approx(np.mean(dices), abs=1e-6)
    for group in (found, by_image):
        for score in ("iou", "dice"):
            interval = getattr(group, f"{score}_interval")
            assert interval.low < getattr(group, score) < interval.high
    assert found.average_precision == pytest.approx(
        average_precision_score(truth, probability), abs=0.01
    )


def test_the_best_threshold_of_the_split_is_told_with_its_scores(raw: Path) -> None:
    report, pixels = evaluated(raw)
    found = report.evaluation.foreground
    truth, probability = (np.concatenate(part) for part in zip(*pixels, strict=True))
    best = probability > np.float32(found.best_threshold)
    assert found.best_iou == pytest.approx(jaccard_score(truth, best), abs=1e-6)
    assert found.best_dice == pytest.approx(f1_score(truth, best), abs=1e-6)
    assert found.best_iou > found.iou
    assert found.iou_interval is found.by_image.iou_interval is None


def test_the_protocol_says_where_the_threshold_is_from(raw: Path) -> None:
    for asked, words in ((0.3, "train.threshold"), ("auto", "largest IoU on the prepared valid")):
        protocol = evaluated(raw, threshold=0.3, asked=asked)[0].evaluation.protocol
        assert protocol.threshold == 0.3
        assert protocol.threshold_choice.startswith(words)


def table(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def test_the_tables(raw: Path, tmp_path: Path) -> None:
    report, pixels = evaluated(raw)
    report.write(tmp_path)
    sky = json.loads((tmp_path / "evaluation.json").read_text())["classes"]["sky"]
    images = {row["name"]: row for row in table(tmp_path / "images.csv")}
    assert images["drive1_003"]["foreground_iou"] == images["drive1_003"]["foreground_dice"] == ""
    assert images["drive0_004"]["foreground_iou"] == "0"
    truth, probability = pixels[0]
    wanted = jaccard_score(truth, probability > 0.5)
    assert float(images["drive0_000"]["foreground_iou"]) == pytest.approx(wanted, abs=1e-6)
    rows = table(tmp_path / "precision_recall.csv")
    assert {row["class"] for row in rows} == {"sky"}
    assert [float(row["threshold"]) for row in rows] == [t / 1000 for t in range(1000)]
    truth = np.concatenate([one for one, _ in pixels])
    assert float(rows[0]["precision"]) == pytest.approx(truth.mean(), rel=1e-5)
    at = rows[500]
    assert float(at["recall"]) == pytest.approx(sky["accuracy"], rel=1e-5)
    assert float(at["precision"]) == pytest.approx(sky["precision"], rel=1e-5)


def test_of_several_logits_each_class_is_a_point_of_the_table(raw: Path, tmp_path: Path) -> None:
    predictor: Any = Blueness(raw)
    predictor.bundle = Bundle(SAME_SIZE, None, predictor.scheme, predictor.input, "fp32", {})  # type: ignore[arg-type]
    predictor.train_ids = lambda logits_Khw: (logits_Khw[0] > 0).numpy().astype(np.uint8)
    samples = list_samples(raw, SplitParams()).samples["val"]
    counts = evaluate(predictor, samples, raw)
    report = evaluation_report(counts, predictor, "val")
    assert report.evaluation.foreground is None
    assert report.evaluation.protocol.threshold_choice is None
    report.write(tmp_path)
    rows = table(tmp_path / "precision_recall.csv")
    assert [(row["class"], row["threshold"]) for row in rows] == [("rest", ""), ("sky", "")]
    for row in rows:
        found = report.evaluation.classes[row["class"]]
        assert float(row["precision"]) == pytest.approx(found.precision, rel=1e-5)
        assert float(row["recall"]) == pytest.approx(found.accuracy, rel=1e-5)


def test_a_split_without_truth_or_without_the_class_has_no_scores(
    raw: Path, tmp_path: Path
) -> None:
    predictor: Any = Blueness(raw)
    for image in ([], [scored_image("void", np.zeros((2, 2), np.int64))]):
        counts = EvaluationCounts.of(predictor.scheme.classes, True)
        counts.withheld = ["a"]
        for one in image:
            counts.update(one)
            counts.update_logits(one, torch.zeros(1, 1, 1))
        report = evaluation_report(counts, predictor, "val")
        found = report.evaluation.foreground
        assert (
            found.iou is found.average_precision is found.best_threshold is found.best_iou is None
        )
        assert found.by_image.model_dump() == {
            "iou": None,
            "iou_interval": None,
            "dice": None,
            "dice_interval": None,
            "images": 0,
            "images_without_the_class": 0,
        }
        report.write(tmp_path)
        rows = table(tmp_path / "images.csv")
        assert [row["name"] for row in rows] == ["a", "void"][: 1 + len(image)]
        for row in rows:
            assert (row["pixels"], row["foreground_iou"], row["foreground_dice"]) == ("0", "", "")


def test_windows_of_one_raster_are_drawn_together_for_the_mean_by_image() -> None:
    good, bad = [[50, 0], [5, 45]], [[50, 30], [10, 10]]

    def width(*images: tuple[Any, str]) -> float:
        measure = Foreground(["rest", "sky"])
        for number, (counts, file) in enumerate(images):
            measure.update(scored_image(str(number), counts, file))
        found = measure.summary().scores["foreground"]["by_image"]["iou_interval"]
        return float(found.high - found.low)

    rasters = [((good, bad)[n % 2], str(n)) for n in range(LEAST_UNITS)]
    together = width(*rasters * 5)
    assert together == pytest.approx(width(*rasters))
    apart = [((good, bad)[n % 2], str(n)) for n in range(5 * LEAST_UNITS)]
    assert width(*apart) < 0.9 * together


def test_a_class_that_few_images_hold_has_no_interval_by_image() -> None:
    measure = Foreground(["rest", "sky"])
    for number in range(LEAST_UNITS + 5):
        with_sky = number < LEAST_UNITS - 1
        counts = [[50, 0], [5, 45]] if with_sky else [[100, 0], [0, 0]]
        measure.update(scored_image(str(number), counts))
    found = measure.summary().scores["foreground"]
    assert found["iou_interval"] is not None
    assert found["by_image"]["images"] == LEAST_UNITS - 1
    assert found["by_image"]["iou_interval"] is found["by_image"]["dice_interval"] is None
