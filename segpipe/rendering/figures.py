"""Charts of a training and of its scores, as PNG files."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from segpipe.rendering.chart import BLUE, GREEN, GREY, ORANGE, STYLE, TEXT, percent
from segpipe.rendering.chart import write_chart as _write

_MOST_PRINTED = 20  # classes; the numbers of a larger matrix would not be legible


def training_curves(history: Sequence[Mapping[str, float]], path: Path) -> None:
    """Draw losses, validation scores and learning rate by epoch.

    history: a row an epoch with `epoch`, `lr`, `train_loss`, `val_loss`, `val_miou` and
        `val_pixel_accuracy`; a value that is missing or NaN (an epoch without validation) is left
        out and its neighbours are joined.

    Raises ValueError when there is no epoch.
    """
    if not history:
        raise ValueError(f"{path}: there is no epoch to draw")
    with matplotlib.style.context(["default", STYLE]):
        figure = Figure(figsize=(13, 4), layout="constrained")
        losses, scores, rates = figure.subplots(1, 3)
        _curve(losses, history, "train_loss", "training", BLUE)
        _curve(losses, history, "val_loss", "validation", ORANGE)
        _curve(scores, history, "val_miou", "mean IoU", BLUE)
        _curve(scores, history, "val_pixel_accuracy", "pixel accuracy", ORANGE)
        _curve(rates, history, "lr", "", GREEN)
        losses.set(title="Loss", ylabel="cost per valid pixel")
        scores.set(title="Quality on the validation images", ylabel="score (%)")
        scores.yaxis.set_major_formatter(percent)
        rates.set(title="Learning rate", ylabel="step size")
        rates.yaxis.set_major_formatter(_plain)
        for axes in (losses, scores):
            if axes.lines:
                axes.legend()
        epochs = sorted(row["epoch"] for row in history)
        for axes in (losses, scores, rates):
            axes.set_xlabel("epoch")
            axes.set_xlim(epochs[0] - 0.5, epochs[-1] + 0.5)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
            axes.grid(True)
        _write(figure, path)


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
    share_KK = np.where(total_K1 > 0, confusion_KK / np.maximum(total_K1, 1), np.nan)
    side = max(5.5, 3.2 + 0.42 * min(classes, 40))
    with matplotlib.style.context(["default", STYLE]):
        figure = Figure(figsize=(side + 1.0, side), layout="constrained")
        axes = figure.subplots()
        axes.set_facecolor("#F4F5F6")
        # The root makes a confusion of one pixel in a hundred visible beside a diagonal near 1.
        picture = axes.imshow(share_KK, cmap="Blues", norm=PowerNorm(0.5, 0, 1))
        for row in np.flatnonzero(total_K1[:, 0] == 0):
            axes.axhspan(row - 0.5, row + 0.5, facecolor="none", edgecolor="#C9CDD1", hatch="///")
        if classes <= _MOST_PRINTED:
            _print_shares(axes, share_KK)
        places = np.arange(classes)
        axes.set_xticks(places, names, rotation=55, ha="right", rotation_mode="anchor")
        axes.set_yticks(places, names)
        axes.set(xlabel="predicted class", ylabel="true class")
        axes.set_title("Where the pixels of each class go (% of the row)")
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        bar = figure.colorbar(picture, shrink=0.7, label="share of the true class's pixels (%)")
        bar.set_ticks([0, 0.01, 0.05, 0.2, 0.5, 1], labels=["0", "1", "5", "20", "50", "100"])
        _write(figure, path)


def class_bars(scores: Mapping[str, float], shares: Mapping[str, float], path: Path) -> None:
    """Draw the IoU of each class, best first, beside the share of the pixels that it has.

    scores: IoU in 0..1 by class; NaN for a class without pixels, which comes last.
    shares: share of the valid pixels in 0..1 by class, for the same classes.

    Raises ValueError when there is no class or the classes differ.
    """
    if not scores or scores.keys() != shares.keys():
        raise ValueError(f"{path}: scores are of {list(scores)}, shares of {list(shares)}")
    names = sorted(scores, key=lambda name: (math.isnan(scores[name]), -_or_zero(scores[name])))
    known = [score for score in scores.values() if not math.isnan(score)]
    with matplotlib.style.context(["default", STYLE]):
        figure = Figure(figsize=(10, 1.5 + 0.3 * len(names)), layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=[3, 2])
        _bars(left, names, [scores[name] for name in names], BLUE)
        _bars(right, names, [shares[name] for name in names], GREY)
        left.set(title="IoU by class", xlabel="intersection over union (%)", xlim=(0, 1.1))
        left.set_xticks(np.linspace(0, 1, 6))
        largest = max(map(_or_zero, shares.values()), default=0)
        right.set(title="How common the class is", xlabel="share of the valid pixels (%)")
        right.set_xlim(0, 1.2 * largest or 1)
        right.set_xticks([tick for tick in right.get_xticks() if tick <= 1])
        if known:
            mean = sum(known) / len(known)
            left.axvline(mean, color=ORANGE, linewidth=1.2, linestyle="--", zorder=0.9)
            left.annotate(
                f"mean {100 * mean:.1f}",
                (mean, 1),
                xycoords=("data", "axes fraction"),
                xytext=(3, -2),
                textcoords="offset points",
                color=ORANGE,
                va="bottom",
            )
        left.set_ylim(len(names) - 0.4, -0.6)  # the best on top
        _write(figure, path)


def _curve(
    axes: Axes, history: Sequence[Mapping[str, float]], column: str, label: str, colour: str
) -> None:
    points = [(row["epoch"], row.get(column, math.nan)) for row in history]
    points = [(epoch, value) for epoch, value in points if not math.isnan(value)]
    if points:
        # Dots only while they can be told apart; a single epoch would be invisible without one.
        dot = "o" if len(history) <= 30 or len(points) == 1 else ""
        axes.plot(*zip(*points, strict=True), label=label, color=colour, marker=dot, markersize=4)


def _print_shares(axes: Axes, share_KK: NDArray[np.float64]) -> None:
    for (row, column), share in np.ndenumerate(share_KK):
        if math.isnan(share) or share < 0.0005:
            continue
        text = f"{100 * share:.0f}" if share >= 0.0095 else f"{100 * share:.1f}".lstrip("0")
        colour = "white" if share > 0.35 else TEXT
        axes.text(column, row, text, ha="center", va="center", fontsize=8, color=colour)


def _bars(axes: Axes, names: Sequence[str], values: Sequence[float], colour: str) -> None:
    drawn = axes.barh(names, [_or_zero(value) for value in values], color=colour, height=0.72)
    texts = ["no pixels" if math.isnan(value) else _two_digits(100 * value) for value in values]
    behind = {"facecolor": "white", "edgecolor": "none", "pad": 1}
    axes.bar_label(drawn, labels=texts, padding=4, fontsize=9, color=TEXT, bbox=behind)
    axes.xaxis.set_major_formatter(percent)
    axes.grid(True, axis="x")
    axes.tick_params(axis="y", length=0)


def _two_digits(percent: float) -> str:
    """Keep the rarest classes apart: 0.034 is not 0.0."""
    return f"{percent:.1f}" if percent >= 0.1 else f"{percent:.1g}"


def _plain(value: float, _place: float) -> str:
    return f"{value:.6g}"


def _or_zero(value: float) -> float:
    return 0.0 if math.isnan(value) else value
