"""Charts of a data set: how common the classes are, how bright the images.

Shapes: K classes, B bins. A split has the same colour on all charts.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import NullLocator
from numpy.typing import NDArray

from segpipe.rendering.chart import (
    STYLE,
    images_text,
    middle_cut,
    percent,
    print_value,
    short_count,
    split_colour,
    write_chart,
)

Counts = NDArray[np.int64]
Values = NDArray[np.float64]

_LOG_FROM = 50  # largest over smallest value from which a bar of one linear scale would vanish
_MOST_VALUED = 40  # classes; the numbers of more would not be legible
_LONGEST_NAME = 44  # letters


def class_frequencies(
    classes: Sequence[str],
    pixels: Mapping[str, Counts],
    holding: Mapping[str, Counts],
    images: Mapping[str, int],
    path: Path,
) -> None:
    """Draw how common each class is in each split: its pixels, its images, and both together.

    pixels: pixels by class (K,) for each split, void left out; shown as shares of their sum.
    holding: images that hold the class (K,), for the same splits. images: images of each split.

    The third panel is pixels over holding: how large the class is where it occurs. Classes come by
    their share in the first split, the largest on top. Values that lie far apart are on a
    logarithmic scale. Raises ValueError when there is no class, or the counts do not fit together.
    """
    _refuse_misfits(classes, pixels, holding, images, path)
    order_K = np.argsort(-next(iter(pixels.values())), kind="stable")
    share = {split: shares(pixels[split])[order_K] for split in pixels}
    held = {split: (holding[split] / max(1, images[split]))[order_K] for split in pixels}
    mean = {split: (pixels[split] / np.maximum(holding[split], 1))[order_K] for split in pixels}
    names = [middle_cut(classes[train_id], _LONGEST_NAME) for train_id in order_K]
    thickness = 0.15 if len(names) <= _MOST_VALUED else 0.08
    with matplotlib.style.context(["default", STYLE]):
        height = 1.7 + len(names) * thickness * (len(pixels) + 1)
        figure = Figure(figsize=(14, height), layout="constrained")
        left, middle, right = figure.subplots(1, 3, sharey=True, width_ratios=[4, 3, 3])
        _grouped_bars(left, share, _percent_text, _far_apart(share))
        _grouped_bars(middle, held, _percent_text, False)
        _grouped_bars(right, mean, _count_text, _far_apart(mean))
        for axes in (left, middle):
            low, high = axes.get_xlim()
            axes.set_xticks([tick for tick in axes.get_xticks() if low <= tick < 1.001])
            axes.set_xlim(low, high)
            axes.xaxis.set_major_formatter(percent)
        right.xaxis.set_major_formatter(short_count)
        left.set(title="Pixels of the class", xlabel="share of the split's valid pixels (%)")
        middle.set(title="Images that hold it", xlabel="share of the split's images (%)")
        right.set(title="Its size where it occurs", xlabel="mean pixels in an image that holds it")
        left.set_yticks(range(len(names)), names)
        left.set_ylim(len(names) - 0.4, -0.6)
        labels = [f"{split} ({images_text(images[split])})" for split in pixels]
        handles = [Patch(color=split_colour(place)) for place in range(len(labels))]
        figure.legend(handles, labels, loc="outside upper left", ncols=len(labels))
        write_chart(figure, path)


def brightness_histogram(counts: Mapping[str, Counts], path: Path) -> None:
    """Draw the distribution of the images' mean brightness, by split.

    counts: images by bin (B,) for each split; the bins cut 0 (black) to 1 (white) into equal parts.
    Each split is drawn as shares of its own images, so that splits of any size can be compared.

    Raises ValueError when there is no split or one has another number of bins.
    """
    lengths = sorted({len(counts_B) for counts_B in counts.values()})
    if len(lengths) != 1 or lengths == [0]:
        raise ValueError(f"{path}: the splits have {lengths} bins; they need one common number")
    edges = np.linspace(0, 1, lengths[0] + 1)
    with matplotlib.style.context(["default", STYLE]):
        figure = Figure(figsize=(8, 4), layout="constrained")
        axes = figure.subplots()
        for place, (split, counts_B) in enumerate(counts.items()):
            share_B, colour = shares(counts_B), split_colour(place)
            label = f"{split} ({images_text(int(counts_B.sum()))})"
            axes.stairs(share_B, edges, fill=True, color=colour, alpha=0.13)
            axes.stairs(share_B, edges, color=colour, linewidth=1.8, label=label)
        axes.set(title="Brightness of the images", xlim=(0, 1), ylabel="share of the images (%)")
        axes.set_xlabel("mean over an image's pixels and channels (0 black, 1 white)")
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_formatter(percent)
        axes.grid(True)
        axes.legend()
        write_chart(figure, path)


def shares(counts: Counts) -> Values:
    """Return counts over their sum; zeros where the sum is 0."""
    return np.asarray(counts / max(1, int(counts.sum())), np.float64)


def _refuse_misfits(
    classes: Sequence[str],
    pixels: Mapping[str, Counts],
    holding: Mapping[str, Counts],
    images: Mapping[str, int],
    path: Path,
) -> None:
    shapes = {counts.shape for table in (pixels, holding) for counts in table.values()}
    alike = pixels.keys() == holding.keys() == images.keys()
    if not classes or not alike or shapes != {(len(classes),)}:
        raise ValueError(
            f"{path}: counts of shape {sorted(shapes)} for the splits {list(pixels)}, "
            f"{list(holding)} and {list(images)} do not fit {len(classes)} classes"
        )


def _far_apart(values: Mapping[str, Values]) -> bool:
    positive = _positive(values)
    return len(positive) > 0 and bool(positive.max() / positive.min() > _LOG_FROM)


def _positive(values: Mapping[str, Values]) -> Values:
    everything = np.concatenate(list(values.values()))
    return everything[everything > 0]


def _grouped_bars(
    axes: Axes, values: Mapping[str, Values], text: Callable[[float], str], logarithmic: bool
) -> None:
    """Draw a bar for each class and split, with its value where there is room for it."""
    positive = _positive(values)
    largest = positive.max() if len(positive) else 1.0
    # A logarithmic axis has no 0; its bars begin at a power of ten below the smallest value.
    start = 10.0 ** math.floor(math.log10(positive.min()) - 0.2) if logarithmic else 0.0
    classes = len(next(iter(values.values())))
    thickness = 0.84 / len(values)
    for place, values_K in enumerate(values.values()):
        y_K = np.arange(classes) + (place - (len(values) - 1) / 2) * thickness
        colour = split_colour(place)
        axes.barh(y_K, (values_K - start).clip(0), thickness * 0.9, left=start, color=colour)
        if classes <= _MOST_VALUED:
            for y, value in zip(y_K, values_K, strict=True):
                print_value(axes, text(value), max(value, start), y)
    if logarithmic:
        axes.set_xscale("log")
        axes.xaxis.set_minor_locator(NullLocator())
    # Room for the numbers behind the longest bar.
    axes.set_xlim(start, largest * (largest / start) ** 0.28 if logarithmic else 1.28 * largest)
    axes.grid(True, axis="x")
    axes.tick_params(axis="y", length=0)


def _percent_text(share: float) -> str:
    value = 100 * share
    if value == 0:
        return "none"
    if value < 0.0001:
        return "<0.0001"
    return f"{value:.1f}" if value >= 0.1 else f"{value:.1g}"


def _count_text(value: float) -> str:
    if value == 0:
        return "none"
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"
