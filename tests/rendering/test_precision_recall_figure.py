"""The chart of precision and recall: a curve of thresholds, or a point for each class."""

import math
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from segpipe.rendering import precision_recall
from segpipe.rendering.precision_recall import Point, precision_recall_figure

SKY = [
    Point("sky", 0.0, 0.3, 1.0),
    Point("sky", 0.5, 0.8, 0.7),
    Point("sky", 0.9, 1.0, 0.2),
    Point("sky", 0.95, math.nan, 0.0),
]
CLASSES = [Point("road", None, 0.9, 0.95), Point("pole", None, 0.4, 0.1)]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Figures that would have been written."""
    caught: list[Figure] = []
    monkeypatch.setattr(precision_recall, "_write", lambda figure, _path: caught.append(figure))
    return caught


def lines_of_equal_dice(figure: Figure) -> int:
    """How many of the grey lines have the same Dice all along."""
    equal = 0
    for line in figure.axes[0].lines:
        recall, precision = np.array(line.get_xydata()).T
        dice = 2 * precision * recall / (precision + recall)
        equal += len(recall) > 50 and float(np.ptp(dice)) < 1e-9
    return equal


def test_the_curve_leaves_out_what_has_no_meaning_and_marks_the_threshold(
    drawn: list[Figure],
) -> None:
    precision_recall_figure(SKY, 0.5, Path("x.png"))
    axes = drawn[0].axes[0]
    curves = [np.array(line.get_xydata()).tolist() for line in axes.lines]
    assert [[1.0, 0.3], [0.7, 0.8], [0.2, 1.0]] in curves
    assert curves.count([[0.7, 0.8]]) == 1
    assert "threshold 0.5" in [text.get_text() for text in axes.texts]
    assert "sky" in axes.get_title(loc="left")
    assert lines_of_equal_dice(drawn[0]) == 5


def test_classes_are_labelled_points(drawn: list[Figure]) -> None:
    missing = Point("train", None, math.nan, math.nan)
    precision_recall_figure([*CLASSES, missing], None, Path("x.png"))
    axes = drawn[0].axes[0]
    points = [np.array(line.get_xydata()).tolist() for line in axes.lines]
    assert [[0.95, 0.9]] in points
    assert [[0.1, 0.4]] in points
    texts = [text.get_text() for text in axes.texts]
    assert {"road", "pole"} < set(texts)
    assert "train" not in texts


def test_same_numbers_same_bytes_and_a_split_without_scores(tmp_path: Path) -> None:
    for name in ("one.png", "two.png"):
        precision_recall_figure(SKY, 0.5, tmp_path / name)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    nothing = [Point("sky", 0.0, math.nan, math.nan)]
    precision_recall_figure(nothing, 0.5, tmp_path / "nothing.png")
    assert (tmp_path / "nothing.png").exists()
    with pytest.raises(ValueError, match="nothing to draw"):
        precision_recall_figure([], None, tmp_path / "x.png")
