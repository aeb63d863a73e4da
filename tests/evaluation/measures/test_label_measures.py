"""Measures of labels alone: measures/image_means.py, measures/groups.py and measures/boundaries.py."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segpipe.evaluation.measure import ScoredImage
from segpipe.evaluation.measures.boundaries import Boundaries
from segpipe.evaluation.measures.groups import Groups
from segpipe.evaluation.measures.image_means import ImageMeans
from segpipe.metrics.boundaries import boundary_counts, boundary_f
from segpipe.raw.sample import Sample
from segpipe.results.evaluation_tables import BoundaryRow, GroupRow
from tests.evaluation.images import scored_image

CLASSES = ("road", "sky")


def of(measure: Any, images: list[ScoredImage]) -> Any:
    for image in images:
        measure.update(image)
    return measure.summary()


def test_image_means_by_hand() -> None:
    images = [
        scored_image("a", [[3, 1], [0, 0]]),  # sky is predicted, but not in the truth
        scored_image("b", [[1, 1], [0, 2]]),
        scored_image("c", [[0, 0], [4, 0]]),
        scored_image("void", [[0, 0], [0, 0]]),
    ]
    found = of(ImageMeans(CLASSES), images).scores
    road, sky = [3 / 4, 1 / 2], [2 / 3, 0]
    mean_of_image = [3 / 4, (1 / 2 + 2 / 3) / 2, 0]
    by_image = found["by_image"]
    assert by_image["images"] == 3, "an image of void alone has no score"
    assert by_image["miou"] == pytest.approx(np.mean(mean_of_image), abs=1e-6)
    assert by_image["class_miou"] == pytest.approx((np.mean(road) + np.mean(sky)) / 2, abs=1e-6)
    assert by_image["miou_worst_5"] == by_image["miou_worst_25"] == 0, "at least one image"
    assert by_image["class_miou_worst_5"] == pytest.approx((1 / 2 + 0) / 2)
    assert found["classes"]["road"]["iou_by_image"] == pytest.approx(np.mean(road))
    assert by_image["miou_interval"] is None


def test_image_means_have_intervals_over_images() -> None:
    rng = np.random.default_rng(0)
    images = [scored_image(f"{n}", rng.integers(1, 30, (2, 2))) for n in range(60)]
    by_image = of(ImageMeans(CLASSES), images).scores["by_image"]
    for name in ("miou", "class_miou"):
        interval = by_image[f"{name}_interval"]
        assert interval.low < by_image[name] < interval.high < interval.low + 0.2


def test_a_group_is_scored_as_one_image_of_all_its_pixels() -> None:
    def image(name: str, group: str, counts: list[list[int]]) -> ScoredImage:
        made = scored_image(name, counts)
        return replace(made, sample=replace(made.sample, group=group))

    images = [
        image("a", "ulm", [[3, 1], [0, 0]]),
        image("b", "bonn", [[1, 1], [0, 2]]),
        image("c", "ulm", [[0, 0], [2, 2]]),
    ]
    found = of(Groups(CLASSES), images)
    ulm = (3 / 6 + 2 / 5) / 2
    bonn = (1 / 2 + 2 / 3) / 2
    assert found.tables[GroupRow] == [
        GroupRow(
            group="ulm",
            images=2,
            miou=ulm,
            pixel_accuracy=5 / 8,
            mean_accuracy=(3 / 4 + 2 / 4) / 2,
            mean_dice=round((6 / 9 + 4 / 7) / 2, 6),
            pixels=8,
            class_iou=[3 / 6, 2 / 5],
        ),
        GroupRow(
            group="bonn",
            images=1,
            miou=round(bonn, 6),
            pixel_accuracy=3 / 4,
            mean_accuracy=(1 / 2 + 2 / 2) / 2,
            mean_dice=round((2 / 3 + 4 / 5) / 2, 6),
            pixels=4,
            class_iou=[1 / 2, round(2 / 3, 6)],
        ),
    ]
    assert found.scores == {"protocol": {"groups": 2}}


def noisy(seed: int) -> ScoredImage:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 2, (6, 8)).astype(np.uint8).repeat(5, 0).repeat(5, 1)
    guess = np.roll(truth, seed % 3, axis=1)
    truth[:3, :3] = 255
    sample = Sample(f"{seed}", f"{seed}", f"{seed}.png", f"{seed}_mask.png")
    return ScoredImage(sample, truth, guess, np.ones(truth.shape, bool), 2)


def test_boundary_scores_add_up_over_images_and_widths() -> None:
    images = [noisy(seed) for seed in range(40)]
    # The diagonal is 50 pixels long: 2 % of it is one pixel, 6 % are three.
    found = of(Boundaries(CLASSES, [2.0, 6.0]), images)
    rows = {(row.percent, row.class_name): row for row in found.tables[BoundaryRow]}
    for scores, (percent, distance) in zip(
        found.scores["boundaries"], ((2.0, 1), (6.0, 3)), strict=True
    ):
        assert scores["percent"] == percent
        counts = [boundary_counts(i.prediction_hw, i.truth_hw, 2, distance) for i in images]
        both, truth, predicted = (
            np.sum([getattr(one, name) for one in counts], 0)
            for name in ("both_K", "truth_K", "predicted_K")
        )
        iou = both / (truth + predicted - both)
        f = np.mean([boundary_f(i.prediction_hw, i.truth_hw, 2, distance) for i in images], 0)
        assert scores["iou"] == pytest.approx(iou.mean(), abs=1e-6)
        assert scores["f"] == pytest.approx(f.mean(), abs=1e-6)
        for name in ("iou", "f"):
            interval = scores[f"{name}_interval"]
            assert interval.low < scores[name] < interval.high
        for k, name in enumerate(CLASSES):
            assert rows[percent, name].boundary_iou == pytest.approx(iou[k], abs=1e-6)
            assert rows[percent, name].boundary_f == pytest.approx(f[k], abs=1e-6)
    assert found.scores["boundaries"][0]["f"] < found.scores["boundaries"][1]["f"]


def test_images_and_groups_have_the_boundary_scores_of_their_own_at_the_smallest_width() -> None:
    def image(seed: int) -> ScoredImage:
        made = noisy(seed)
        return replace(made, sample=replace(made.sample, group=f"drive{seed % 2}"))

    images = [image(seed) for seed in range(5)]
    found = of(Boundaries(CLASSES, [6.0, 2.0]), images)
    parts: list[tuple[Any, str, list[ScoredImage]]] = [
        (found.image_columns, one.sample.name, [one]) for one in images
    ]
    parts += [(found.group_columns, f"drive{k}", images[k::2]) for k in (0, 1)]
    for columns, name, part in parts:
        (alone,) = of(Boundaries(CLASSES, [2.0]), part).scores["boundaries"]
        assert columns["boundary_iou"][name] == alone["iou"]
        assert columns["boundary_f"][name] == alone["f"]


def test_parts_add_up_to_the_whole() -> None:
    images = [noisy(seed) for seed in range(6)]
    for make in (
        lambda: Boundaries(CLASSES, [2.0]),
        lambda: ImageMeans(CLASSES),
        lambda: Groups(CLASSES),
    ):
        first, second = make(), make()
        of(first, images[:2]), of(second, images[2:])
        first.merge(second)
        assert first.summary() == of(make(), images)


def test_nothing_to_score(tmp_path: Path) -> None:
    for measure in (
        Boundaries(CLASSES, [2.0]),
        ImageMeans(CLASSES),
        Groups(CLASSES),
    ):
        found = of(measure, [])
        flat = str(found.scores)
        assert "nan" not in flat
