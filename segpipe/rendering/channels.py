"""Charts of what values the channels of a data set hold: three lines for RGB, a map for many bands.

Shapes: C channels, B bins.
"""

import math
import re
from collections.abc import Sequence
from pathlib import Path

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from segpipe.rendering.chart import BLUE, STYLE, TEXT, middle_cut, percent, write_chart

_RGB = ("red", "green", "blue")
_RGB_COLOURS = ("#C8352B", "#2E8B3D", "#2456B0")
_MOST_SINGLE = 12  # channels with a chart of their own
_SMALL_COLUMNS = 4
_MAP_BINS = 64  # of the map; the finest steps would be thinner than a pixel
_CLEAR = 0.99  # of the map's shares that have colours of their own; the peaks above share one
_TALLEST = 44.0  # inches of a map; with more rows only some are named


def channel_histograms(histogram_CB: NDArray[np.int64], names: Sequence[str], path: Path) -> None:
    """Draw how the values of each channel are distributed.

    histogram_CB: pixels by channel and value (C, B), int64; the bins cut the values 0..1 into equal
        parts (for uint8 images B is 256, a bin a value).
    names: of the channels, in the same order. Red, green and blue become three lines in one chart,
        up to 12 others a small chart each, more a map with a row for each channel.

    Raises ValueError when there is no channel or the names are not as many as the channels.
    """
    if histogram_CB.ndim != 2 or 0 in histogram_CB.shape or len(names) != len(histogram_CB):
        raise ValueError(
            f"{path}: a histogram of shape {histogram_CB.shape} for the channels {list(names)}"
        )
    share_CB = histogram_CB / np.maximum(histogram_CB.sum(axis=1, keepdims=True), 1)
    with matplotlib.style.context(["default", STYLE]):
        if tuple(name.lower() for name in names) == _RGB or len(names) == 1:
            figure = _lines(share_CB, names)
        elif len(names) <= _MOST_SINGLE:
            figure = _small_charts(share_CB, names)
        else:
            figure = _map(share_CB, names)
        write_chart(figure, path)


def _lines(share_CB: NDArray[np.float64], names: Sequence[str]) -> Figure:
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    colours = _RGB_COLOURS if len(names) == len(_RGB) else (BLUE,)
    edges = np.linspace(0, 1, share_CB.shape[1] + 1)
    for share_B, name, colour in zip(share_CB, names, colours, strict=True):
        axes.stairs(share_B, edges, fill=True, color=colour, alpha=0.08)
        axes.stairs(share_B, edges, color=colour, linewidth=1.6, label=name)
    _finish(axes, share_CB)
    axes.set(title="Values of the channels", ylabel="share of the pixels (%)", xlabel="value")
    axes.legend()
    return figure


def _small_charts(share_CB: NDArray[np.float64], names: Sequence[str]) -> Figure:
    columns = min(_SMALL_COLUMNS, len(names))
    rows = math.ceil(len(names) / columns)
    figure = Figure(figsize=(3.2 * columns + 0.4, 2.1 * rows + 0.6), layout="constrained")
    charts = figure.subplots(rows, columns, sharex=True, squeeze=False).ravel()
    edges = np.linspace(0, 1, share_CB.shape[1] + 1)
    for axes, share_B, name in zip(charts, share_CB, names, strict=False):
        axes.stairs(share_B, edges, fill=True, color=BLUE, alpha=0.15)
        axes.stairs(share_B, edges, color=BLUE, linewidth=1.2)
        _finish(axes, share_B[None])
        axes.set_title(middle_cut(name, 34), fontsize=9)
        axes.tick_params(labelsize=8, labelbottom=True)
    for axes in charts[len(names) :]:
        axes.set_axis_off()
    figure.supxlabel("value", fontsize=10)
    figure.supylabel("share of the pixels (%)", fontsize=10)
    return figure


def _finish(axes: Axes, share_CB: NDArray[np.float64]) -> None:
    """Fit the axes to the values between the ends; what rises higher at an end is written there.

    Clipped and missing values pile up at 0 and 1 and would flatten all the rest.
    """
    inner = share_CB[:, 1:-1].max() if share_CB.shape[1] > 2 else share_CB.max()
    whole = share_CB.max()
    top = 1.12 * inner if 0 < inner < whole / 3 else 1.06 * whole or 1.0
    axes.set(xlim=(-0.01, 1.01), ylim=(0, top))
    for place, side, shift in ((0, "left", 5), (-1, "right", -5)):
        peak = share_CB[:, place].max()
        if peak > top:
            text = f"{100 * peak:.3g} % at {abs(place)}"
            axes.annotate(
                text,
                (abs(place), 1),
                xycoords=("data", "axes fraction"),
                xytext=(shift, -3),
                textcoords="offset points",
                ha=side,
                va="top",
                fontsize=8,
                color=TEXT,
            )
    axes.yaxis.set_major_formatter(percent)
    axes.grid(True)


def _map(share_CB: NDArray[np.float64], names: Sequence[str]) -> Figure:
    share_CB = _fewer_bins(share_CB)
    height = min(_TALLEST, 1.8 + 0.14 * len(names))
    figure = Figure(figsize=(9, height), layout="constrained")
    axes = figure.subplots()
    # The root keeps rare values visible beside the peaks; those above the highest colour are few.
    top = max(float(np.quantile(share_CB, _CLEAR)), 1e-9)
    picture = axes.imshow(
        share_CB,
        cmap="magma",
        norm=PowerNorm(0.5, 0, top),
        extent=(0, 1, len(names) - 0.5, -0.5),
        aspect="auto",
        interpolation="nearest",
    )
    step = math.ceil((0.14 * len(names) + 1.8) / _TALLEST)
    shown = [middle_cut(name, 34) for name in names[::step]]
    axes.set_yticks(range(0, len(names), step), shown, fontsize=7)
    for row in _changes(names):
        axes.axhline(row - 0.5, color="white", linewidth=1.2)
    axes.set(title="Values of the channels", xlabel="value")
    axes.tick_params(axis="y", length=0)
    axes.spines[:].set_visible(False)
    bar = figure.colorbar(
        picture,
        label="share of the channel's pixels (%)",
        location="top",
        extend="max",
        fraction=0.16 / height,
        pad=0.1 / height,
        aspect=50,
    )
    bar.ax.xaxis.set_major_formatter(percent)
    return figure


def _fewer_bins(share_CB: NDArray[np.float64]) -> NDArray[np.float64]:
    bins = share_CB.shape[1]
    if bins <= _MAP_BINS:
        return share_CB
    starts = np.arange(_MAP_BINS) * bins // _MAP_BINS
    return np.asarray(np.add.reduceat(share_CB, starts, axis=1))


def _changes(names: Sequence[str]) -> list[int]:
    """Return the rows at which the first word of the names changes (another satellite)."""
    first = [re.split(r"[\s_/.-]", name)[0] for name in names]
    rows = [row for row in range(1, len(first)) if first[row] != first[row - 1]]
    return rows if len(rows) <= len(names) // 4 else []
