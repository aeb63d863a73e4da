"""A chart of the sizes of a data set's images."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib.style
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from segpipe.rendering.chart import (
    STYLE,
    images_text,
    print_value,
    short_count,
    split_colour,
    write_chart,
)

Side = tuple[int, int]

_MOST_BARS = 16  # sizes; more are drawn as points


def image_sizes(sizes: Mapping[str, Mapping[Side, int]], path: Path) -> None:
    """Draw how many images of each height and width there are, by split.

    sizes: for each split, images by (height, width) in pixels as stored. A few sizes are bars, the
    most common on top; many are points whose area grows with the number of images.

    Raises ValueError when there is no image.
    """
    total: dict[Side, int] = {}
    for counts in sizes.values():
        for side, count in counts.items():
            total[side] = total.get(side, 0) + count
    if not any(total.values()):
        raise ValueError(f"{path}: there is no image whose size could be drawn")
    with matplotlib.style.context(["default", STYLE]):
        if len(total) <= _MOST_BARS:
            figure = _size_bars(sizes, sorted(total, key=lambda side: (-total[side], side)))
        else:
            figure = _size_points(sizes, max(total.values()))
        write_chart(figure, path)


def _size_bars(sizes: Mapping[str, Mapping[Side, int]], order: Sequence[Side]) -> Figure:
    figure = Figure(figsize=(8, 1.7 + 0.34 * len(order)), layout="constrained")
    axes = figure.subplots()
    start = np.zeros(len(order))
    for place, (split, counts) in enumerate(sizes.items()):
        length = np.array([counts.get(side, 0) for side in order])
        axes.barh(range(len(order)), length, 0.7, start, color=split_colour(place), label=split)
        start += length
    for y, count in enumerate(start):
        print_value(axes, f"{count:,.0f}", count, y)
    axes.set_yticks(range(len(order)), [f"{height} x {width}" for height, width in order])
    axes.set(title="Sizes of the images", xlabel="images", ylabel="height x width (pixels)")
    axes.set_xlim(0, 1.12 * start.max())
    axes.set_ylim(len(order) - 0.4, -0.6)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.xaxis.set_major_formatter(short_count)
    axes.grid(True, axis="x")
    axes.tick_params(axis="y", length=0)
    figure.legend(loc="outside upper left", ncols=len(sizes))
    return figure


def _size_points(sizes: Mapping[str, Mapping[Side, int]], largest: int) -> Figure:
    figure = Figure(figsize=(8, 6), layout="constrained")
    axes = figure.subplots()
    handles = []
    for place, (split, counts) in enumerate(sizes.items()):
        area = [14 + 400 * count / largest for count in counts.values()]
        heights, widths = [side[0] for side in counts], [side[1] for side in counts]
        colour = split_colour(place)
        axes.scatter(widths, heights, area, color=colour, alpha=0.45, linewidths=0)
        handles.append(Patch(color=colour, label=f"{split} ({images_text(sum(counts.values()))})"))
    axes.set_title(f"Sizes of the images (the largest point is {images_text(largest)})")
    axes.set(xlabel="width (pixels)", ylabel="height (pixels)")
    axes.set_aspect("equal", adjustable="datalim")
    axes.grid(True)
    figure.legend(handles=handles, loc="outside upper left", ncols=len(sizes))
    return figure
