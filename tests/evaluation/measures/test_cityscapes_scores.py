"""Categories and iIoU against the official evaluator of Cityscapes: measures/categories.py,
measures/instances.py, which is made of segpipe.metrics.instances.
"""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cityscapesscripts.evaluation import evalPixelLevelSemanticLabeling as official
from cityscapesscripts.helpers.labels import labels
from numpy.typing import NDArray
from PIL import Image

from segpipe.evaluation.counts import EvaluationCounts
from segpipe.evaluation.measure import ScoredImage
from segpipe.evaluation.measures.categories import class_categories
from segpipe.labels.load import built_in_scheme, load_scheme
from segpipe.labels.scheme import LabelScheme
from segpipe.metrics.instances import AVERAGE_PIXELS, instance_sets
from segpipe.metrics.jackknife import LEAST_UNITS
from segpipe.raw.sample import Sample
from segpipe.results.evaluation_tables import GroupRow

SCHEME = built_in_scheme("cityscapes19")
EVALUATED = [label for label in labels if not label.ignoreInEval]
Raw = NDArray[np.int64]
# Prediction and truth in label ids, and the file of instances.
Images = list[tuple[Raw, Raw, Raw]]


def generated(seed: int, number: int, absent: tuple[int, ...] = ()) -> Images:
    """Images with stuff, objects, groups of objects and ignored labels, some ignored ones objects too.

    absent: label ids that no truth holds.
    """
    rng, images = np.random.default_rng(seed), []
    ids = [label.id for label in labels if label.id >= 0 and label.id not in absent]
    for _ in range(number):
        truth = rng.choice(ids, (6, 8)).repeat(9, 0).repeat(7, 1)
        instances = truth.copy()
        for count in range(rng.integers(4, 25)):
            label = int(rng.choice([number for number in range(24, 34) if number not in absent]))
            top, left = rng.integers(0, truth.shape[0]), rng.integers(0, truth.shape[1])
            here = slice(top, top + rng.integers(1, 20)), slice(left, left + rng.integers(1, 20))
            truth[here], instances[here] = label, 1000 * label + count
        guess = rng.choice([label.id for label in EVALUATED], truth.shape)
        # 0 and 9 are answers that are never evaluated.
        guess[rng.random(truth.shape) < 0.05] = rng.choice([0, 9])
        near = np.where(rng.random(truth.shape) < 0.7, np.roll(truth, 1, axis=1), guess)
        # 29 and 30, which no model of 19 classes predicts, stand for their category there.
        images.append((np.where(np.isin(near, [29, 30]), guess, near), truth, instances))
    return images


def official_scores(images: Images, folder: Path) -> dict[str, Any]:
    files: dict[str, list[str]] = {"pred": [], "labelIds": [], "instanceIds": []}
    for place, arrays in enumerate(images):
        for (kind, names), array in zip(files.items(), arrays, strict=True):
            names.append(str(folder / f"{place}_gtFine_{kind}.png"))
            depth = np.uint16 if kind == "instanceIds" else np.uint8
            Image.fromarray(array.astype(depth)).save(names[-1])
    args = copy.copy(official.args)
    args.quiet, args.JSONOutput, args.evalInstLevelScore = True, False, True
    with pytest.MonkeyPatch.context() as patch:
        # numpy 2.4 has no in1d any more, which the evaluator calls.
        patch.setattr(np, "in1d", np.isin, raising=False)
        return dict(official.evaluateImgLists(files["pred"], files["labelIds"], args))


def scored(
    images: Images,
    scheme: LabelScheme = SCHEME,
    first: int = 0,
    cities: Sequence[str] | None = None,
) -> EvaluationCounts:
    counts = EvaluationCounts.of(scheme.classes, False, scheme=scheme)
    for place, (prediction, truth, instances) in enumerate(images, first):
        counts.update(
            ScoredImage(
                sample=Sample(
                    f"{place}",
                    cities[place] if cities else f"{place}",
                    f"{place}.png",
                    f"{place}_mask.png",
                ),
                truth_hw=scheme.encode(truth)[0],
                prediction_hw=scheme.encode(prediction)[0],
                scored_mask_hw=np.ones(truth.shape, np.bool_),
                classes=scheme.num_classes,
                instances_hw=instances.astype(np.int32),
            ),
        )
    return counts


def by_hand() -> Images:
    """2 x 4 pixels: a car of 3, a car of 1 and a group of cars, beside road."""
    truth = np.array([[26, 26, 26, 7], [26, 26, 7, 0]])
    instances = np.array([[26000, 26000, 26000, 7], [26001, 26, 7, 0]])
    prediction = np.array([[26, 26, 28, 26], [7, 26, 7, 26]])
    return [(prediction, truth, instances)]


def test_2x4_pixels_by_hand(tmp_path: Path) -> None:
    found = scored(by_hand()).summary().scores
    size = AVERAGE_PIXELS[26, "car"]
    # The first car: 2 of 3 pixels; the second, of one pixel: none; one false alarm, on the road.
    assert found["classes"]["car"]["instance_iou"] == round(2 / 3 * size / (2 * size + 1), 6)
    assert found["classes"]["bus"]["instance_iou"] == 0, "it is in the prediction alone"
    assert found["classes"]["truck"]["instance_iou"] is None
    assert "instance_iou" not in found["classes"]["road"]
    # As a vehicle the whole first car is right.
    vehicle = {"iou": round(4 / 6, 6), "instance_iou": round(size / (2 * size + 1), 6), "pixels": 5}
    assert found["categories"]["vehicle"] == vehicle
    assert found["categories"]["flat"] == {"iou": round(1 / 3, 6), "pixels": 2}
    assert found["categories"]["human"] == {"iou": None, "instance_iou": None, "pixels": 0}
    assert found["category_iou"] == round((4 / 6 + 1 / 3) / 2, 6)
    agrees(found, official_scores(by_hand(), tmp_path))


def agrees(found: Any, expected: dict[str, Any]) -> None:
    """All class, category and iIoU values, and their means, to six digits; the official prints three."""

    def same(ours: float | None, theirs: float) -> None:
        assert (float("nan") if ours is None else ours) == pytest.approx(
            theirs, abs=6e-7, nan_ok=True
        )

    assert len(found["classes"]) == len(EVALUATED) == 19
    for name, scores in found["classes"].items():
        same(scores["iou"], expected["classScores"][name])
        same(scores.get("instance_iou"), expected["classInstScores"][name])
    assert [*found["categories"], "void"] == sorted(
        expected["categoryScores"], key=[*found["categories"], "void"].index
    )
    for name, scores in found["categories"].items():
        same(scores["iou"], expected["categoryScores"][name])
        same(scores.get("instance_iou"), expected["categoryInstScores"][name])
    same(found["miou"], expected["averageScoreClasses"])
    same(found["category_iou"], expected["averageScoreCategories"])
    same(found["instance_iou"], expected["averageScoreInstClasses"])
    same(found["category_instance_iou"], expected["averageScoreInstCategories"])


@pytest.mark.parametrize(
    ("seed", "absent"), [(0, ()), (1, (31, 27)), (2, (24, 25)), (3, tuple(range(24, 33)))]
)
def test_every_score_is_the_official_one(
    seed: int, absent: tuple[int, ...], tmp_path: Path
) -> None:
    images = generated(seed, 4, absent)
    expected = official_scores(images, tmp_path)
    counted = [one for one in expected["classInstScores"].values() if not np.isnan(one)]
    assert counted and 0 < max(counted) < 1
    agrees(scored(images).summary().scores, expected)


def test_images_and_groups_have_the_official_means_of_their_own(tmp_path: Path) -> None:
    images = generated(4, 5)
    cities = ["ulm", "bonn", "ulm", "ulm", "bonn"]
    found = scored(images, cities=cities).summary()
    parts = {f"{place}": [image] for place, image in enumerate(images)}
    for city in ("ulm", "bonn"):
        parts[city] = [image for image, of in zip(images, cities, strict=True) if of == city]
    for name, part in parts.items():
        expected = official_scores(part, tmp_path)
        for column, mean in (
            ("category_iou", "averageScoreCategories"),
            ("instance_iou", "averageScoreInstClasses"),
            ("category_instance_iou", "averageScoreInstCategories"),
        ):
            columns = found.group_columns if name in cities else found.image_columns
            assert columns[column][name] == pytest.approx(expected[mean], abs=6e-7)
    rows = {row.group: row for row in found.tables[GroupRow] if isinstance(row, GroupRow)}
    for city in ("ulm", "bonn"):
        expected = official_scores(parts[city], tmp_path)["classScores"]
        ious = [expected[name] for name in SCHEME.classes]
        ours = [float("nan") if iou is None else iou for iou in rows[city].class_iou or ()]
        assert ours == pytest.approx(ious, abs=6e-7, nan_ok=True)


@pytest.mark.parametrize("name", ["cityscapes19", "cityscapes34", "cityscapes24"])
def test_categories_of_the_labels_are_the_official_ones(name: str) -> None:
    category = {label.name: label.category for label in labels}
    raw = built_in_scheme(name).raw
    assert len(raw) == 34
    for label in raw:
        assert (label.category or "void") == category[label.name]


def test_counts_of_parts_add_up_and_have_intervals() -> None:
    images = generated(7, LEAST_UNITS)
    whole, first = scored(images).summary(), scored(images[:9])
    first.merge(scored(images[9:], first=9))
    found = first.summary()
    assert found == whole
    for score in ("category_iou", "instance_iou", "category_instance_iou"):
        interval = found.scores[f"{score}_interval"]
        assert interval.low < found.scores[score] < interval.high


def test_an_image_without_instances_leaves_no_score_of_them() -> None:
    counts = scored(generated(0, 2))
    image = scored_without_instances()
    counts.update(image)
    found = counts.summary().scores
    assert "instance_iou" not in found
    assert found["protocol"]["instances"] == "none: 1 of 3 images have no file of instances"
    assert found["categories"]["vehicle"]["iou"] is not None


def scored_without_instances() -> ScoredImage:
    ids = np.zeros((2, 2), np.uint8)
    return ScoredImage(Sample("x", "g", "x.png", "m.png"), ids, ids, ids == 0, 19)


def test_joined_classes_have_objects_where_all_their_labels_have() -> None:
    scheme = built_in_scheme("cityscapes8")
    sets = instance_sets(scheme, class_categories(scheme))
    assert sets is not None and sets.names == ("human", "vehicle")
    found = scored(by_hand(), scheme=scheme).summary().scores
    size = AVERAGE_PIXELS[26, "car"]
    assert found["classes"]["vehicle"]["instance_iou"] == round(size / (2 * size + 1), 6)


def test_own_categories_of_a_csv_and_a_yaml_file(tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text(
        "id,name,class,category\n1,car,,vehicle\n2,bus,,vehicle\n3,oak,,plant\n4,gap,,\n5,x,void,void\n"
    )
    (tmp_path / "own.yaml").write_text(
        "classes:\n  car: {ids: 1, category: vehicle}\n  bus: {ids: 2, category: vehicle}\n"
        "  oak: {ids: [3], category: plant}\n  gap: 4\nvoid: [5]\n"
    )
    truth = np.array([[1, 1, 2, 3], [3, 4, 4, 5]])
    prediction = np.array([[1, 2, 3, 3], [3, 4, 1, 1]])
    for name in ("own.csv", "own.yaml"):
        scheme = load_scheme(name, {6: "bus"}, tmp_path)
        assert class_categories(scheme) == ["vehicle", "vehicle", "plant", None]
        found = scored([(prediction, truth, truth)], scheme=scheme).summary().scores
        # The gap taken for a car is a false alarm of vehicle; the void one is none.
        assert found["categories"] == {
            "vehicle": {"iou": round(2 / 4, 6), "pixels": 3},
            "plant": {"iou": round(2 / 3, 6), "pixels": 2},
        }
        assert found["category_iou"] == round((2 / 4 + 2 / 3) / 2, 6)
        assert "protocol" in found and "instances" not in found["protocol"]
