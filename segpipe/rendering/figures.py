"""Charts of a training and of its scores, as PNG files."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from segpipe.rendering import chart
from segpipe.rendering.chart import BLUE, GREEN, GREY, ORANGE, TEXT

_MOST_PRINTED = 20  # classes; the numbers of a larger matrix would not be legible
_EQUAL_DICE = (0.2, 0.4, 0.6, 0.8, 0.9)


@dataclass(frozen=True)
class Point:
    """Precision and recall in 0..1, NaN without meaning; threshold: None for the largest logit."""

    name: str
    threshold: float | None
    precision: float
    recall: float


def training_curves(history: Sequence[Mapping[str, float]], path: Path) -> None:
    """Draw losses, validation scores and learning rate by epoch.

    history: a row an epoch with `epoch`, `lr`, `train_loss`, `val_loss`, `val_miou`,
        `val_pixel_accuracy` and perhaps `train_miou`, `train_pixel_accuracy`; a value that is missing
        or NaN (an epoch without validation) is left out and its neighbours are joined.

    Raises ValueError when there is no epoch.
    """
    if not history:
        raise ValueError(f"{path}: there is no epoch to draw")
    epochs = sorted(row["epoch"] for row in history)
    with chart.chart(path, 13, 4) as figure:
        losses, scores, rates = figure.subplots(1, 3)
        _curve(losses, history, "train_loss", "training", BLUE)
        _curve(losses, history, "val_loss", "validation", ORANGE)
        _curve(scores, history, "val_miou", "mean IoU", BLUE)
        _curve(scores, history, "val_pixel_accuracy", "pixel accuracy", ORANGE)
        _curve(scores, history, "train_miou", "mean IoU of the training", GREEN)
        _curve(scores, history, "train_pixel_accuracy", "pixel accuracy of the training", GREY)
        _curve(rates, history, "lr", "", GREEN)
        losses.set(title="Loss", ylabel="cost per valid pixel")
        scores.set(title="Quality on the validation images, or as said", ylabel="score (%)")
        scores.yaxis.set_major_formatter(chart.percent)
        rates.set(title="Learning rate", ylabel="step size")
        rates.yaxis.set_major_formatter("{x:.6g}")
        for axes in (losses, scores, rates):
            axes.set(xlabel="epoch", xlim=(epochs[0] - 0.5, epochs[-1] + 0.5))
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
            axes.grid(True)
            if axes.lines and axes is not rates:
                axes.legend()


def confusion_figure(confusion_KK: NDArray[np.int64], names: Sequence[str], path: Path) -> None:
    """Draw which classes are taken for which, as shares of the true class's pixels.

    confusion_KK: pixels by true class (row) and predicted class (column), int64; a class without
        pixels has a hatched row.
    names: the K classes in the same order.

    Raises ValueError when the shapes differ.
    """
    classes = len(names)
    if confusion_KK.shape != (classes, classes):
        raise ValueError(f"{path}: a matrix of {confusion_KK.shape} for {classes} classes")
    total_K1 = confusion_KK.sum(axis=1, keepdims=True)
    fraction_KK = np.where(total_K1 > 0, confusion_KK / np.maximum(total_K1, 1), np.nan)
    side = max(5.5, 3.2 + 0.42 * min(classes, 40))
    with chart.chart(path, side + 1.0, side) as figure:
        axes = figure.subplots()
        axes.set_facecolor("#F4F5F6")
        # The root makes a confusion of one pixel in a hundred visible beside a diagonal near 1.
        picture = axes.imshow(fraction_KK, cmap="Blues", norm=PowerNorm(0.5, 0, 1))
        for row in np.flatnonzero(total_K1[:, 0] == 0):
            axes.axhspan(row - 0.5, row + 0.5, facecolor="none", edgecolor="#C9CDD1", hatch="///")
        if classes <= _MOST_PRINTED:
            _print_shares(axes, fraction_KK)
        axes.set_xticks(range(classes), names, rotation=55, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(classes), names)
        axes.set(xlabel="predicted class", ylabel="true class")
        axes.set_title("Where the pixels of each class go (% of the row)")
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        bar = figure.colorbar(picture, shrink=0.7, label="share of the true class's pixels (%)")
        bar.set_ticks([0, 0.01, 0.05, 0.2, 0.5, 1], labels=["0", "1", "5", "20", "50", "100"])


def class_bars(scores: Mapping[str, float], shares: Mapping[str, float], path: Path) -> None:
    """Draw the IoU of each class, best first, beside the share of the pixels that it has.

    scores: IoU in 0..1 by class; NaN for a class without pixels, which comes last.
    shares: share of the valid pixels in 0..1 by class, for the same classes.

    Raises ValueError when there is no class or the classes differ.
    """
    if not scores or scores.keys() != shares.keys():
        raise ValueError(f"{path}: scores are of {list(scores)}, shares of {list(shares)}")
    known = [score for score in scores.values() if not math.isnan(score)]
    names = sorted(scores, key=lambda name: -np.nan_to_num(scores[name], nan=-1))
    with chart.chart(path, 10, 1.5 + 0.3 * len(names)) as figure:
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=[3, 2])
        _bars(left, names, [scores[name] for name in names], BLUE)
        _bars(right, names, [shares[name] for name in names], GREY)
        left.set(title="IoU by class", xlabel="intersection over union (%)", xlim=(0, 1.1))
        right.set(title="How common the class is", xlabel="share of the valid pixels (%)")
        right.set_xlim(0, 1.2 * np.nanmax([*shares.values(), 0]) or 1)
        chart.percent_ticks(left)
        chart.percent_ticks(right)
        if known:
            mean = sum(known) / len(known)
            left.axvline(mean, color=ORANGE, linewidth=1.2, linestyle="--", zorder=0.9)
            place = {"xycoords": ("data", "axes fraction"), "va": "bottom", "fontsize": 10}
            chart.note(left, f"mean {100 * mean:.1f}", (mean, 1), (3, -2), color=ORANGE, **place)


def precision_recall_figure(points: Sequence[Point], chosen: float | None, path: Path) -> None:
    """Draw the curve of one class over its thresholds, or a labelled point for each class.

    points: all with a threshold, of one class, or all without one. chosen: the threshold that is
    used, which is marked. Grey lines join what has the same Dice (F1).

    Raises ValueError when there is no point.
    """
    if not points:
        raise ValueError(f"{path}: there is nothing to draw")
    shown = [one for one in points if not math.isnan(one.precision + one.recall)]
    with chart.chart(path, 6.4, 6.0) as figure:
        axes = figure.subplots()
        _lines_of_equal_dice(axes)
        if points[0].threshold is None:
            axes.set_title("Precision and recall of each class")
            for one in shown:
                _mark(axes, one, one.name, color=BLUE, markersize=4)
        else:
            axes.set_title(f"Precision and recall of {points[0].name} at every threshold")
            axes.plot([one.recall for one in shown], [one.precision for one in shown], color=BLUE)
            for one in shown:
                if chosen is not None and one.threshold == round(chosen, 3):
                    _mark(axes, one, f"threshold {chosen:g}", color=ORANGE)
        axes.set(xlabel="recall (%)", ylabel="precision (%)", xlim=(0, 1.02), ylim=(0, 1.02))
        axes.xaxis.set_major_formatter(chart.percent)
        axes.yaxis.set_major_formatter(chart.percent)
        axes.set_aspect("equal")
        if not shown:
            axes.text(0.5, 0.5, "no scores", ha="center", va="center", color=GREY)


def _curve(
    axes: Axes, history: Sequence[Mapping[str, float]], column: str, label: str, colour: str
) -> None:
    points = [(row["epoch"], row.get(column, math.nan)) for row in history]
    points = [(epoch, value) for epoch, value in points if not math.isnan(value)]
    if points:
        # Dots only while they can be told apart; a single epoch would be invisible without one.
        dot = "o" if len(history) <= 30 or len(points) == 1 else ""
        axes.plot(*zip(*points, strict=True), label=label, color=colour, marker=dot, markersize=4)


def _print_shares(axes: Axes, fraction_KK: NDArray[np.float64]) -> None:
    for (row, column), share in np.ndenumerate(fraction_KK):
        if math.isnan(share) or share < 0.0005:
            continue
        text = f"{100 * share:.0f}" if share >= 0.0095 else f"{100 * share:.1f}".lstrip("0")
        colour = "white" if share > 0.35 else TEXT
        axes.text(column, row, text, ha="center", va="center", fontsize=8, color=colour)


def _bars(axes: Axes, names: Sequence[str], values: Sequence[float], colour: str) -> None:
    drawn = axes.barh(range(len(names)), np.nan_to_num(values), 0.72, color=colour)
    texts = ["no pixels" if math.isnan(value) else chart.percent_text(value) for value in values]
    chart.print_values(axes, drawn, texts, size=9)
    chart.name_bars(axes, names)


def _mark(axes: Axes, point: Point, text: str, **marker: Any) -> None:
    """Draw a point, and write beside it, on the side with more room."""
    axes.plot(point.recall, point.precision, "o", **marker)
    left = point.recall > 0.7
    shift = (-6 if left else 6, -8 if point.precision > 0.5 else 8)
    side = "right" if left else "left"
    chart.note(axes, text, (point.recall, point.precision), shift, ha=side, va="center")


def _lines_of_equal_dice(axes: Axes) -> None:
    """Draw precision = D R / (2 R - D), from 2 P R / (P + R) = D."""
    for dice in _EQUAL_DICE:
        recall = np.linspace(dice / (2 - dice), 1, 100)
        precision = dice * recall / (2 * recall - dice)
        axes.plot(recall, precision, color="#D5D8DB", linewidth=0.8, zorder=0.5)
        end = (1.02, float(precision[-1]))
        chart.note(axes, f"Dice {100 * dice:.0f}", end, (3, 0), va="center", fontsize=7, color=GREY)
