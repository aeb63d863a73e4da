"""Chart of precision against recall."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from segpipe.rendering.chart import BLUE, GREY, ORANGE, STYLE, percent
from segpipe.rendering.chart import write_chart as _write

_EQUAL_DICE = (0.2, 0.4, 0.6, 0.8, 0.9)


@dataclass(frozen=True)
class Point:
    """Precision and recall in 0..1, NaN without meaning; threshold: None for the largest logit."""

    name: str
    threshold: float | None
    precision: float
    recall: float


def precision_recall_figure(points: Sequence[Point], chosen: float | None, path: Path) -> None:
    """Draw the curve of one class over its thresholds, or a labelled point for each class.

    points: all with a threshold, of one class, or all without one. chosen: the threshold that is
    used, which is marked. Grey lines join what has the same Dice (F1).

    Raises ValueError when there is no point.
    """
    if not points:
        raise ValueError(f"{path}: there is nothing to draw")
    shown = [one for one in points if not math.isnan(one.precision + one.recall)]
    with matplotlib.style.context(["default", STYLE]):
        figure = Figure(figsize=(6.4, 6.0), layout="constrained")
        axes = figure.subplots()
        _lines_of_equal_dice(axes)
        if points[0].threshold is None:
            axes.set_title("Precision and recall of each class")
            _classes(axes, shown)
        else:
            axes.set_title(f"Precision and recall of {points[0].name} at every threshold")
            _curve(axes, shown, chosen)
        axes.set(xlabel="recall (%)", ylabel="precision (%)", xlim=(0, 1.02), ylim=(0, 1.02))
        axes.xaxis.set_major_formatter(percent)
        axes.yaxis.set_major_formatter(percent)
        axes.set_aspect("equal")
        if not shown:
            axes.text(0.5, 0.5, "no scores", ha="center", va="center", color=GREY)
        _write(figure, path)


def _curve(axes: Axes, points: Sequence[Point], chosen: float | None) -> None:
    axes.plot([one.recall for one in points], [one.precision for one in points], color=BLUE)
    for one in points:
        if chosen is not None and one.threshold == round(chosen, 3):
            axes.plot(one.recall, one.precision, "o", color=ORANGE)
            _label(axes, one, f"threshold {chosen:g}")


def _classes(axes: Axes, points: Sequence[Point]) -> None:
    for one in points:
        axes.plot(one.recall, one.precision, "o", color=BLUE, markersize=4)
        _label(axes, one, one.name)


def _label(axes: Axes, point: Point, text: str) -> None:
    """Write beside a point, on the side with more room."""
    left = point.recall > 0.7
    axes.annotate(
        text,
        (point.recall, point.precision),
        xytext=(-6 if left else 6, -8 if point.precision > 0.5 else 8),
        textcoords="offset points",
        ha="right" if left else "left",
        va="center",
        fontsize=8,
    )


def _lines_of_equal_dice(axes: Axes) -> None:
    """Precision = D R / (2 R - D), from 2 P R / (P + R) = D."""
    for dice in _EQUAL_DICE:
        recall = np.linspace(dice / (2 - dice), 1, 100)
        precision = dice * recall / (2 * recall - dice)
        axes.plot(recall, precision, color="#D5D8DB", linewidth=0.8, zorder=0.5)
        end = (1.02, float(precision[-1]))
        axes.annotate(
            f"Dice {100 * dice:.0f}",
            end,
            (3, 0),
            textcoords="offset points",
            va="center",
            fontsize=7,
            color=GREY,
        )
