import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import jaccard_score

from segpipe.evaluation.counts import EvaluationCounts
from segpipe.evaluation.measure import ScoredImage
from segpipe.evaluation.measures.temporal import Temporal
from segpipe.metrics.jackknife import LEAST_UNITS
from segpipe.raw.sample import Sample

CLASSES = ("road", "car", "sky")


def sample(number: int, stride: int = 1, group: str = "a") -> Sample:
    stem = f"leftImg8bit/val/{group}/{group}_000000_"
    frames = (f"{stem}{50 + number - stride:06d}_leftImg8bit.png",)
    image = f"{stem}{50 + number:06d}_leftImg8bit.png"
    return Sample(f"{group}{number}", group, image, "m.png", frames)


def image(
    labels: NDArray[np.uint8], moved: NDArray[np.uint8] | None, one: Sample | None = None
) -> ScoredImage:
    truth = np.full_like(labels, 255)  # it plays no part
    mask = np.ones(labels.shape, np.bool_)
    return ScoredImage(one or sample(0), truth, labels, mask, 3, moved_hw=moved)


def counted(*images: ScoredImage) -> Temporal:
    measure = Temporal(CLASSES)
    for one in images:
        measure.update(one)
    return measure


def test_2x4_pixels_by_hand() -> None:
    labels = np.array([[0, 0, 1, 1], [0, 0, 0, 1]], np.uint8)
    moved = np.array([[255, 0, 1, 0], [255, 0, 0, 1]], np.uint8)
    found = counted(image(labels, moved)).summary()
    # Road: 3 of 4 pixels agree; car: 2 of 3; sky is nowhere.
    ious = {"road": 3 / 4, "car": 2 / 3, "sky": None}
    assert found.scores["classes"] == {
        name: {"temporal_iou": iou if iou is None else round(iou, 6)} for name, iou in ious.items()
    }
    scores = found.scores["temporal"]
    assert scores == {
        "consistency": round((3 / 4 + 2 / 3) / 2, 6),
        "consistency_interval": None,
        "compared": 6 / 8,
    }
    assert found.image_columns["temporal_miou"] == {"a0": scores["consistency"]}
    assert found.group_columns["temporal_miou"] == {"a": scores["consistency"]}
    assert found.count_columns == {
        "temporal_earlier": {"a0": [4, 2, 0]},
        "temporal_predicted": {"a0": [3, 3, 0]},
        "temporal_hits": {"a0": [3, 2, 0]},
    }


def random_images(number: int, seed: int, flicker: float) -> list[ScoredImage]:
    """Images of whose labels a share differs from the frame before."""
    rng, found = np.random.default_rng(seed), []
    for place in range(number):
        labels = rng.integers(0, 2, (8, 12)).astype(np.uint8)
        moved = np.where(rng.random(labels.shape) < flicker, 1 - labels, labels).astype(np.uint8)
        moved[:, : 1 + place % 3] = 255
        found.append(image(labels, moved, sample(place, group=f"drive{place // 2}")))
    return found


def test_the_scores_of_images_groups_and_all_are_those_of_scikit_learn() -> None:
    images = random_images(2 * LEAST_UNITS, 0, 0.2)

    def reference(part: list[ScoredImage]) -> float:
        labels = np.concatenate([one.prediction_hw.ravel() for one in part])
        moved = np.concatenate([one.moved_hw.ravel() for one in part if one.moved_hw is not None])
        kept = moved != 255
        return float(jaccard_score(moved[kept], labels[kept], average="macro"))

    found = counted(*images).summary()
    assert found.scores["temporal"]["consistency"] == pytest.approx(reference(images), abs=1e-6)
    for one in images:
        wanted = pytest.approx(reference([one]), abs=1e-6)
        assert found.image_columns["temporal_miou"][one.sample.name] == wanted
    for group in {one.sample.group for one in images}:
        part = [one for one in images if one.sample.group == group]
        assert found.group_columns["temporal_miou"][group] == pytest.approx(
            reference(part), abs=1e-6
        )
    bounds = found.scores["temporal"]["consistency_interval"]
    assert bounds.low < found.scores["temporal"]["consistency"] < bounds.high


def test_flicker_lowers_it_and_a_still_prediction_has_1() -> None:
    scores = [
        counted(*random_images(6, 1, flicker)).summary().scores["temporal"]["consistency"]
        for flicker in (0.0, 0.05, 0.3)
    ]
    assert scores[0] == 1 > scores[1] > scores[2]


def test_parts_add_up_and_images_without_an_earlier_frame_are_told() -> None:
    images = random_images(5, 2, 0.1)
    alone = image(np.zeros((8, 12), np.uint8), None)
    whole = counted(*images, alone).summary()
    first = counted(*images[:2])
    first.merge(counted(*images[2:], alone))
    assert first.summary() == whole
    said = whole.scores["protocol"]["temporal"]
    assert said.startswith(
        "labels of 5 images and of the frame 1 before each, predicted in the same way"
    )
    assert "DIS optical flow (OpenCV " in said and "; 1 further images left out" in said
    compared = 100 * (1 - np.mean([1, 2, 3, 1, 2]) / 12)
    assert f"{compared:.2f} % of the pixels compared" in said
    two = counted(image(np.zeros((8, 12), np.uint8), np.zeros((8, 12), np.uint8), sample(9, 3)))
    assert "the frame 3 before each" in two.summary().scores["protocol"]["temporal"]


def test_nothing_has_no_score() -> None:
    found = Temporal(CLASSES).summary().scores
    assert found["temporal"] == {
        "consistency": None,
        "consistency_interval": None,
        "compared": None,
    }
    assert found["protocol"]["temporal"].startswith("none: ")


def test_it_is_counted_only_where_it_is_asked_for() -> None:
    labels = np.zeros((4, 4), np.uint8)
    for asked in (True, False):
        counts = EvaluationCounts.of(CLASSES, one_logit=False, temporal=asked)
        counts.update(image(labels, labels))
        found = counts.summary()
        assert ("temporal" in found.scores) == asked
        assert ("temporal_iou" in found.scores["classes"]["road"]) == asked
        assert ("temporal_miou" in found.image_columns) == asked
        assert ("temporal_miou" in found.group_columns) == asked
