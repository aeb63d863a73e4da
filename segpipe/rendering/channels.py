"""Charts of what values the channels of a data set hold: three lines for RGB, a map for many bands.

Shapes: C channels, B bins.
"""

import math
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from numpy.typing import NDArray

from segpipe.rendering import chart
from segpipe.rendering.chart import BLUE, TEXT
from segpipe.rendering.layout import middle_cut

_RGB = ("red", "green", "blue")
_RGB_COLOURS = ("#C8352B", "#2E8B3D", "#2456B0")
_MOST_SINGLE = 12  # channels with a chart of their own
_SMALL_COLUMNS = 4
_MAP_BINS = 64  # of the map; the finest steps would be thinner than a pixel
_CLEAR = 0.99  # of the map's shares that have colours of their own; the peaks above share one
_TALLEST = 44.0  # inches of a map; with more rows only some are named
_LONGEST_NAME = 34  # letters


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
    fraction_CB = histogram_CB / np.maximum(histogram_CB.sum(axis=1, keepdims=True), 1)
    if tuple(name.lower() for name in names) == _RGB or len(names) == 1:
        _lines(fraction_CB, names, path)
    elif len(names) <= _MOST_SINGLE:
        _small_charts(fraction_CB, names, path)
    else:
        _map(fraction_CB, names, path)


def _lines(fraction_CB: NDArray[np.float64], names: Sequence[str], path: Path) -> None:
    with chart.chart(path, 8, 4) as figure:
        axes = figure.subplots()
        colours = _RGB_COLOURS if len(names) == len(_RGB) else (BLUE,)
        for fraction_B, name, colour in zip(fraction_CB, names, colours, strict=True):
            chart.histogram(axes, fraction_B, colour, area=0.08, linewidth=1.6, label=name)
        _fit_to_inner_values(axes, fraction_CB)
        axes.set(title="Values of the channels", ylabel="share of the pixels (%)", xlabel="value")
        axes.legend()


def _small_charts(fraction_CB: NDArray[np.float64], names: Sequence[str], path: Path) -> None:
    columns = min(_SMALL_COLUMNS, len(names))
    rows = math.ceil(len(names) / columns)
    with chart.chart(path, 3.2 * columns + 0.4, 2.1 * rows + 0.6) as figure:
        charts = figure.subplots(rows, columns, sharex=True, squeeze=False).ravel()
        for axes, fraction_B, name in zip(charts, fraction_CB, names, strict=False):
            chart.histogram(axes, fraction_B, BLUE, area=0.15, linewidth=1.2)
            _fit_to_inner_values(axes, fraction_B[None])
            axes.set_title(middle_cut(name, _LONGEST_NAME), fontsize=9)
            axes.tick_params(labelsize=8, labelbottom=True)
        for axes in charts[len(names) :]:
            axes.set_axis_off()
        figure.supxlabel("value", fontsize=10)
        figure.supylabel("share of the pixels (%)", fontsize=10)


def _fit_to_inner_values(axes: Axes, fraction_CB: NDArray[np.float64]) -> None:
    """Fit the axes to the values between the ends; what rises higher at an end is written there.

    Clipped and missing values pile up at 0 and 1 and would flatten all the rest.
    """
    inner = fraction_CB[:, 1:-1].max() if fraction_CB.shape[1] > 2 else fraction_CB.max()
    whole = fraction_CB.max()
    top = 1.12 * inner if 0 < inner < whole / 3 else 1.06 * whole or 1.0
    axes.set(xlim=(-0.01, 1.01), ylim=(0, top))
    above = {"xycoords": ("data", "axes fraction"), "va": "top", "color": TEXT}
    for end, shift, side in ((0, 5, "left"), (1, -5, "right")):
        peak = fraction_CB[:, -end].max()
        if peak > top:
            chart.note(
                axes, f"{100 * peak:.3g} % at {end}", (end, 1), (shift, -3), ha=side, **above
            )
    axes.yaxis.set_major_formatter(chart.percent)
    axes.grid(True)


def _map(fraction_CB: NDArray[np.float64], names: Sequence[str], path: Path) -> None:
    bins = fraction_CB.shape[1]
    starts = np.arange(min(bins, _MAP_BINS)) * bins // min(bins, _MAP_BINS)
    fraction_CB = np.add.reduceat(fraction_CB, starts, axis=1)
    wanted = 1.8 + 0.14 * len(names)
    height, step = min(_TALLEST, wanted), math.ceil(wanted / _TALLEST)
    # The root keeps rare values visible beside the peaks; those above the highest colour are few.
    norm = PowerNorm(0.5, 0, max(float(np.quantile(fraction_CB, _CLEAR)), 1e-9))
    extent = (0, 1, len(names) - 0.5, -0.5)
    with chart.chart(path, 9, height) as figure:
        axes = figure.subplots()
        picture = axes.imshow(
            fraction_CB, "magma", norm, aspect="auto", interpolation="nearest", extent=extent
        )
        shown = [middle_cut(name, _LONGEST_NAME) for name in names[::step]]
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
        bar.ax.xaxis.set_major_formatter(chart.percent)


def _changes(names: Sequence[str]) -> list[int]:
    """Return the rows at which the first word of the names changes (another satellite)."""
    first = [re.split(r"[\s_/.-]", name)[0] for name in names]
    rows = [row for row in range(1, len(first)) if first[row] != first[row - 1]]
    return rows if len(rows) <= len(names) // 4 else []
