"""Charts: what they show, that the same numbers give the same bytes, and gaps in the numbers."""

import errno
import math
import os
from collections.abc import Callable
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from segpipe.rendering import figures
from segpipe.runtime.errors import SegpipeError

NAN = math.nan
HISTORY = [
    {"epoch": 1, "lr": 1e-3, "train_loss": 2.0, "val_loss": NAN, "val_miou": NAN},
    {"epoch": 2, "lr": 5e-4, "train_loss": 1.0, "val_loss": 1.5, "val_miou": 0.4},
    {"epoch": 3, "lr": 1e-4, "train_loss": 0.5, "val_loss": NAN, "val_miou": NAN},
]
CONFUSION = np.array([[90, 10, 0], [0, 0, 0], [1, 0, 3]], np.int64)
NAMES = ["road", "a rather long class name", "car"]
SCORES = {"road": 0.5, "train": NAN, "car": 0.75}
SHARES = {"road": 0.9996, "train": 0.0, "car": 0.0004}

SKY = [
    figures.Point("sky", 0.0, 0.3, 1.0),
    figures.Point("sky", 0.5, 0.8, 0.7),
    figures.Point("sky", 0.9, 1.0, 0.2),
    figures.Point("sky", 0.95, math.nan, 0.0),
]
CLASSES = [figures.Point("road", None, 0.9, 0.95), figures.Point("pole", None, 0.4, 0.1)]

DRAWINGS: dict[str, Callable[[Path], None]] = {
    "curves": lambda path: figures.training_curves(HISTORY, path),
    "confusion": lambda path: figures.confusion_figure(CONFUSION, NAMES, path),
    "bars": lambda path: figures.class_bars(SCORES, SHARES, path),
    "precision and recall": lambda path: figures.precision_recall_figure(SKY, 0.5, path),
}


@pytest.mark.parametrize("name", DRAWINGS)
def test_same_numbers_same_bytes_whatever_the_users_settings(tmp_path: Path, name: str) -> None:
    before = dict(matplotlib.rcParams)
    DRAWINGS[name](tmp_path / "one.png")
    assert dict(matplotlib.rcParams) == before
    with matplotlib.rc_context({"font.size": 31, "lines.linewidth": 9}):
        DRAWINGS[name](tmp_path / "two.png")
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    with Image.open(tmp_path / "one.png") as picture:
        picture.load()
        assert picture.format == "PNG"
        assert picture.width > 500
        assert set(picture.info) <= {"dpi"}


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_full_disk_leaves_nothing(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SegpipeError, match="disk is full"):
        DRAWINGS[name](tmp_path / "x.png")
    assert list(tmp_path.iterdir()) == []


def test_curves_leave_out_epochs_without_validation(drawn: list[Figure]) -> None:
    figures.training_curves(HISTORY, Path("x.png"))
    losses, scores, rates = drawn[0].axes
    assert [line.get_label() for line in losses.lines] == ["training", "validation"]
    np.testing.assert_array_equal(losses.lines[0].get_xydata(), [[1, 2.0], [2, 1.0], [3, 0.5]])
    np.testing.assert_array_equal(losses.lines[1].get_xydata(), [[2, 1.5]])
    # val_pixel_accuracy is missing from every row.
    assert [line.get_label() for line in scores.lines] == ["mean IoU"]
    np.testing.assert_array_equal(rates.lines[0].get_ydata(), [1e-3, 5e-4, 1e-4])
    for axes in (losses, scores, rates):
        assert axes.get_xlabel() == "epoch"
        assert axes.get_ylabel()


def test_a_lone_point_of_a_long_history_is_visible(drawn: list[Figure]) -> None:
    history = [{"epoch": e, "lr": 1.0, "train_loss": 1.0} for e in range(50)]
    figures.training_curves([*history[:49], {**history[49], "val_loss": 2.0}], Path("x.png"))
    training, validation = drawn[0].axes[0].lines
    assert training.get_marker() == ""
    assert validation.get_marker() == "o"


def test_one_epoch_and_none(tmp_path: Path) -> None:
    figures.training_curves(HISTORY[:1], tmp_path / "one.png")
    assert (tmp_path / "one.png").exists()
    with pytest.raises(ValueError, match="no epoch"):
        figures.training_curves([], tmp_path / "none.png")


def test_confusion_is_a_share_of_the_row_and_empty_rows_are_empty(drawn: list[Figure]) -> None:
    figures.confusion_figure(CONFUSION, NAMES, Path("x.png"))
    axes = drawn[0].axes[0]
    shares = np.ma.filled(axes.images[0].get_array(), np.nan)
    np.testing.assert_allclose(shares, [[0.9, 0.1, 0], [NAN] * 3, [0.25, 0, 0.75]])
    printed = {text.get_position(): text.get_text() for text in axes.texts}
    assert printed == {(0, 0): "90", (1, 0): "10", (0, 2): "25", (2, 2): "75"}
    assert [label.get_text() for label in axes.get_yticklabels()] == NAMES
    assert len(axes.patches) == 1


def test_shares_below_a_percent_are_printed_with_a_decimal(drawn: list[Figure]) -> None:
    figures.confusion_figure(np.array([[994, 6], [96, 9904]]), ["a", "b"], Path("x.png"))
    texts = [text.get_text() for text in drawn[0].axes[0].texts]
    assert texts == ["99", ".6", "1", "99"]


@pytest.mark.parametrize(("classes", "printed"), [(20, 20), (21, 0)])
def test_numbers_are_printed_up_to_20_classes(
    drawn: list[Figure], classes: int, printed: int
) -> None:
    names = [f"class {k}" for k in range(classes)]
    figures.confusion_figure(np.eye(classes, dtype=np.int64), names, Path("x.png"))
    assert len(drawn[0].axes[0].texts) == printed


def test_large_counts_do_not_overflow(drawn: list[Figure]) -> None:
    figures.confusion_figure(np.array([[2**61, 2**61], [0, 1]]), ["a", "b"], Path("x.png"))
    assert [text.get_text() for text in drawn[0].axes[0].texts] == ["50", "50", "100"]


def test_bars_are_sorted_with_classes_without_pixels_last(drawn: list[Figure]) -> None:
    figures.class_bars(SCORES, SHARES, Path("x.png"))
    left, right = drawn[0].axes
    assert [bar.get_width() for bar in left.patches] == [0.75, 0.5, 0.0]
    assert [bar.get_width() for bar in right.patches] == [0.0004, 0.9996, 0.0]
    assert [text.get_text() for text in left.texts] == ["75.0", "50.0", "no pixels", "mean 62.5"]
    assert [text.get_text() for text in right.texts] == ["0.04", "100.0", "0"]
    assert left.get_ylim()[0] > left.get_ylim()[1]


def test_scores_that_are_all_nan_are_drawn_without_a_mean(drawn: list[Figure]) -> None:
    figures.class_bars({"a": NAN, "b": NAN}, {"a": 0.0, "b": 0.0}, Path("x.png"))
    assert [text.get_text() for text in drawn[0].axes[0].texts] == ["no pixels", "no pixels"]


def test_classes_that_differ_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="scores are of"):
        figures.class_bars(SCORES, {"road": 1.0}, tmp_path / "x.png")
    with pytest.raises(ValueError, match="scores are of"):
        figures.class_bars({}, {}, tmp_path / "x.png")
    with pytest.raises(ValueError, match="for 2 classes"):
        figures.confusion_figure(CONFUSION, ["a", "b"], tmp_path / "x.png")


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
    figures.precision_recall_figure(SKY, 0.5, Path("x.png"))
    axes = drawn[0].axes[0]
    curves = [np.array(line.get_xydata()).tolist() for line in axes.lines]
    assert [[1.0, 0.3], [0.7, 0.8], [0.2, 1.0]] in curves
    assert curves.count([[0.7, 0.8]]) == 1
    assert "threshold 0.5" in [text.get_text() for text in axes.texts]
    assert "sky" in axes.get_title(loc="left")
    assert lines_of_equal_dice(drawn[0]) == 5


def test_classes_are_labelled_points(drawn: list[Figure]) -> None:
    missing = figures.Point("train", None, math.nan, math.nan)
    figures.precision_recall_figure([*CLASSES, missing], None, Path("x.png"))
    axes = drawn[0].axes[0]
    points = [np.array(line.get_xydata()).tolist() for line in axes.lines]
    assert [[0.95, 0.9]] in points
    assert [[0.1, 0.4]] in points
    texts = [text.get_text() for text in axes.texts]
    assert {"road", "pole"} < set(texts)
    assert "train" not in texts


def test_a_split_without_scores(tmp_path: Path) -> None:
    nothing = [figures.Point("sky", 0.0, math.nan, math.nan)]
    figures.precision_recall_figure(nothing, 0.5, tmp_path / "nothing.png")
    assert (tmp_path / "nothing.png").exists()
    with pytest.raises(ValueError, match="nothing to draw"):
        figures.precision_recall_figure([], None, tmp_path / "x.png")
