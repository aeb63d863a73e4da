"""Differences of two runs on the same images, as `segpipe compare` shows them."""

import csv
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from segpipe.cli.main import main
from segpipe.evaluation.counts import EvaluationCounts
from segpipe.evaluation.measure import ScoredImage
from segpipe.evaluation.paired import paired_differences
from segpipe.evaluation.report import evaluation_report
from segpipe.labels.load import load_scheme
from segpipe.metrics.jackknife import LEAST_UNITS
from segpipe.metrics.scores import class_counts, class_iou
from segpipe.results.evaluation_tables import ImageCountsRow
from segpipe.results.experiments import read_run
from segpipe.results.records import read_table
from tests.evaluation.images import scored_image, stand_in
from tests.forge import CLASSES_CSV

IMAGES = 40
Moved = Callable[[ScoredImage], NDArray[np.uint8] | None]


def confusions(gain: float, images: int = IMAGES, noise: float = 0.0) -> NDArray[np.int64]:
    """Confusion matrices, (N, 3, 3), of images of different difficulty; gain: in the rate of hits."""
    shared, own = np.random.default_rng(0), np.random.default_rng(round(1000 * gain) + 1)
    truth_NK = shared.integers(200, 400, (images, 3))
    rates_N = 0.6 + 0.1 * shared.normal(size=images).clip(-2, 2)
    rates_N += gain + noise * own.normal(size=images).clip(-2, 2)
    confusion_NKK = np.zeros((images, 3, 3), np.int64)
    hits_NK = np.rint(truth_NK * rates_N[:, None]).astype(int)
    for k in range(3):
        confusion_NKK[:, k, k] = hits_NK[:, k]
        confusion_NKK[:, k, (k + 1) % 3] = truth_NK[:, k] - hits_NK[:, k]
    return confusion_NKK


def evaluated(
    folder: Path,
    confusion_NKK: NDArray[np.int64],
    first: int = 0,
    moved: Moved = lambda image: None,
) -> str:
    """Write an evaluation of images with these counts; moved: the labels of the frame before each."""
    folder.mkdir(parents=True)
    (folder / "classes.csv").write_text(CLASSES_CSV)
    predictor = stand_in(load_scheme("classes.csv", {}, folder))
    counts = EvaluationCounts.of(predictor.scheme.classes, False, temporal=True)
    for n, one in enumerate(confusion_NKK, first):
        image = scored_image(f"i{n:03}", one)
        stem = f"val/a/a_000000_{n:06d}_leftImg8bit.png"
        image = replace(image, sample=replace(image.sample, image=stem, frames=(stem,)))
        counts.update(replace(image, moved_hw=moved(image)))
    evaluation_report(counts, predictor, "val").write(folder)
    return str(folder)


def flickering(rate: float, seed: int, without: Collection[str] = ()) -> Moved:
    """Labels of the frame before, of which about a share `rate` is another class; a part has none."""
    rng = np.random.default_rng(seed)

    def moved(image: ScoredImage) -> NDArray[np.uint8] | None:
        other = rng.random(image.prediction_hw.shape) < rate * rng.uniform(0.5, 1.5)
        moved_hw = ((image.prediction_hw + other) % 3).astype(np.uint8)
        moved_hw[:, :20] = 255
        return None if image.sample.name in without else moved_hw

    return moved


def test_the_counts_of_each_image_are_read_as_they_were_written(tmp_path: Path) -> None:
    confusion_NKK = confusions(0.0)
    evaluated(tmp_path / "a", confusion_NKK)
    rows = read_table(ImageCountsRow, tmp_path / "a/image_counts.csv")
    assert [row.name for row in rows] == [f"i{n:03}" for n in range(IMAGES)]
    assert [row.truth for row in rows] == confusion_NKK.sum(2).tolist()
    assert [row.predicted for row in rows] == confusion_NKK.sum(1).tolist()
    assert [row.hits for row in rows] == np.diagonal(confusion_NKK, axis1=1, axis2=2).tolist()
    assert rows[3].group == rows[3].name
    assert rows[3].image == "val/a/a_000000_000003_leftImg8bit.png"


def test_a_small_gain_on_every_image_is_shown_though_the_intervals_overlap(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = (evaluated(tmp_path / str(gain), confusions(gain, noise=0.01)) for gain in (0.0, 0.02))
    assert main(["compare", a, b, "--csv", str(tmp_path / "out.csv")]) == 0
    said = capsys.readouterr().out
    assert "mIoU, B against A: shown: B is better than A by " in said
    assert "points (95% interval " in said
    assert f", jackknife over {IMAGES} images)" in said
    with (tmp_path / "out.csv").open() as file:
        rows = {(row["kind"], row["name"]): row for row in csv.DictReader(file)}
    first, *others = (row["protocol"] for row in rows.values())
    assert first.startswith(f"measured on {IMAGES} images of split val; ") and not any(others)
    miou = rows["score", "mIoU"]
    low, difference, high = (float(miou[f"{b} - {a}{end}"]) for end in (" low", "", " high"))
    assert 0 < low < difference < high
    assert difference == pytest.approx(float(miou[b]) - float(miou[a]), abs=2e-6)
    assert float(miou[f"{a} high"]) > float(miou[f"{b} low"]), "the scores' own intervals overlap"
    others = ("rare mIoU", "pixel accuracy", "mean Dice", "weighted IoU", "mIoU by image")
    for key in [*(("score", name) for name in others), ("class", "road")]:
        ends = [float(rows[key][f"{b} - {a}{end}"]) for end in (" low", "", " high")]
        assert ends == sorted(ends), key
    assert main(["compare", b, a, "--markdown"]) == 0
    said = capsys.readouterr().out
    assert f"mIoU, {a} against {b}: shown: {b} is better than {a} by" in said


def test_leaving_images_out_by_hand_gives_the_same(tmp_path: Path) -> None:
    both = [confusions(gain, noise=0.05) for gain in (0.0, 0.02)]
    a, b = (read_run(evaluated(tmp_path / str(n), one)) for n, one in enumerate(both))
    found = paired_differences(a, b, [], "iou").of_row["score", "mIoU"]

    def difference(kept: NDArray[np.bool_]) -> float:
        return float(
            np.subtract(*(class_iou(class_counts(one[kept].sum(0))).mean() for one in both[::-1]))
        )

    without = [difference(np.arange(IMAGES) != n) for n in range(IMAGES)]
    error = np.sqrt((IMAGES - 1) / IMAGES * np.square(without - np.mean(without)).sum())
    middle = (found.low + found.high) / 2
    assert middle == pytest.approx(difference(np.ones(IMAGES, bool)))
    assert 2.02 * error < found.high - middle < 2.2 * error


def compared_over_time(folder: Path) -> list[list[NDArray[np.int64]]]:
    """The counts of each image, (K, 3) each, as image_counts.csv has them; those of no image are 0."""
    rows = read_table(ImageCountsRow, folder / "image_counts.csv")
    columns = ("temporal_earlier", "temporal_predicted", "temporal_hits")
    nothing = [0, 0, 0]
    return [np.array([getattr(row, name) or nothing for name in columns]).T for row in rows]


def test_temporal_consistency_is_paired_as_well(tmp_path: Path) -> None:
    counts, lost = confusions(0.0), ["i003", "i007"]
    a, b = (
        read_run(evaluated(tmp_path / name, counts, moved=flickering(rate, seed, lost)))
        for seed, (name, rate) in enumerate((("a", 0.10), ("b", 0.07)))
    )
    found = paired_differences(a, b, [], "temporal_iou").of_row
    over_time = [np.array(compared_over_time(tmp_path / name)) for name in ("a", "b")]
    kept = np.flatnonzero(over_time[0].any((1, 2)))
    assert len(kept) == IMAGES - len(lost), "images that are not compared are no units"

    def difference(places: NDArray[np.int64], k: int | None = None) -> float:
        iou = [class_iou(one[places].sum(0)) for one in over_time]
        apart = iou[1] - iou[0]
        return float(apart.mean() if k is None else apart[k])

    for key, k in (
        (("score", "temporal consistency"), None),
        (("class temporal_iou", "road"), list(a.evaluation.classes).index("road")),
    ):
        without = [difference(kept[kept != n], k) for n in kept]
        error = np.sqrt((len(kept) - 1) / len(kept) * np.square(without - np.mean(without)).sum())
        one = found[key]
        assert one.known and one.low > 0, "a model that flickers less"
        middle = (one.low + one.high) / 2
        assert middle == pytest.approx(difference(kept, k))
        assert 2.02 * error < one.high - middle < 2.2 * error
        assert one.basis == f"95% jackknife over {len(kept)} images"
    shown = {one.evaluation.temporal.consistency for one in (a, b) if one.evaluation.temporal}
    assert max(shown) - min(shown) == pytest.approx(difference(kept), abs=2e-6)


def test_no_interval_over_time_unless_the_same_pixels_were_compared(tmp_path: Path) -> None:
    counts = confusions(0.0)
    some, all_, none = (
        read_run(evaluated(tmp_path / str(n), counts, moved=moved))
        for n, moved in enumerate(
            (flickering(0.1, 0, ["i003"]), flickering(0.1, 1), lambda image: None)
        )
    )
    for other in (all_, none):
        found = paired_differences(some, other, [], "iou")
        assert ("score", "temporal consistency") not in found.of_row
        assert found.of_row["score", "mIoU"].known


def test_a_run_against_its_copy_and_noise_show_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, copy = (evaluated(tmp_path / name, confusions(0.0)) for name in ("a", "copy"))
    noise = evaluated(tmp_path / "noise", confusions(0.001, noise=0.05))
    assert main(["compare", a, copy, noise]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if " against A: " in line]
    assert lines[0].startswith(
        f"mIoU, B against A: not shown with these {IMAGES} images: +0.00 points "
        "(95% interval 0.00 to 0.00, "
    )
    assert lines[1].startswith(f"mIoU, C against A: not shown with these {IMAGES} images: ")


def test_what_cannot_be_paired_is_refused_in_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a = evaluated(tmp_path / "a", confusions(0.0))
    changed = confusions(0.02)
    changed[5, 0, 0] += 1
    other = evaluated(tmp_path / "other", changed)
    fewer = evaluated(tmp_path / "fewer", confusions(0.0, IMAGES - 2), first=1)
    few = [
        evaluated(tmp_path / f"few{gain}", confusions(gain)[: LEAST_UNITS - 1])
        for gain in (0.0, 0.1)
    ]
    withheld = [evaluated(tmp_path / name, confusions(0.0)[:0]) for name in ("none", "nothing")]
    for names, reason in (
        (withheld, "no image has truth"),
        ((a, other), "the truth of 1 images differs"),
        ((a, fewer), "the images differ: 2 are in one of them alone"),
        (few, f"{LEAST_UNITS - 1} image files with truth; at least {LEAST_UNITS} are needed"),
    ):
        assert main(["compare", *names]) == 0
        assert f"mIoU, B against A: no verdict: {reason}\n" in capsys.readouterr().out
