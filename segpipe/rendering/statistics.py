"""Charts of a data set: how common the classes are, how bright and how large the images.

Shapes: K classes, B bins. A split has the same colour on all charts.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, NullLocator
from numpy.typing import NDArray

from segpipe.rendering import chart
from segpipe.rendering.chart import images_text, split_colour
from segpipe.rendering.layout import middle_cut

Counts = NDArray[np.int64]
Values = NDArray[np.float64]
Side = tuple[int, int]

_LOG_FROM = 50  # largest over smallest value from which a bar of one linear scale would vanish
_MOST_VALUED = 40  # classes; the numbers of more would not be legible
_LONGEST_NAME = 44  # letters
_MOST_SIZES = 16  # as bars; more are drawn as points


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
    shapes = {counts.shape for table in (pixels, holding) for counts in table.values()}
    alike = pixels.keys() == holding.keys() == images.keys()
    if not classes or not alike or shapes != {(len(classes),)}:
        raise ValueError(
            f"{path}: counts of shape {sorted(shapes)} for the splits {list(pixels)}, "
            f"{list(holding)} and {list(images)} do not fit {len(classes)} classes"
        )
    order_K = np.argsort(-next(iter(pixels.values())), kind="stable")
    share = [_shares(pixels[split])[order_K] for split in pixels]
    held = [(holding[split] / max(1, images[split]))[order_K] for split in pixels]
    mean = [(pixels[split] / np.maximum(holding[split], 1))[order_K] for split in pixels]
    names = [middle_cut(classes[train_id], _LONGEST_NAME) for train_id in order_K]
    thickness = 0.15 if len(names) <= _MOST_VALUED else 0.08
    with chart.chart(path, 14, 1.7 + len(names) * thickness * (len(pixels) + 1)) as figure:
        left, middle, right = figure.subplots(1, 3, sharey=True, width_ratios=[4, 3, 3])
        _grouped_bars(left, names, share, _percent_text)
        _grouped_bars(middle, names, held, _percent_text, linear=True)
        _grouped_bars(right, names, mean, _count_text)
        chart.percent_ticks(left)
        chart.percent_ticks(middle)
        right.xaxis.set_major_formatter(chart.short_count)
        left.set(title="Pixels of the class", xlabel="share of the split's valid pixels (%)")
        middle.set(title="Images that hold it", xlabel="share of the split's images (%)")
        right.set(title="Its size where it occurs", xlabel="mean pixels in an image that holds it")
        chart.split_legend(figure, [f"{split} ({images_text(images[split])})" for split in pixels])


def brightness_histogram(counts: Mapping[str, Counts], path: Path) -> None:
    """Draw the distribution of the images' mean brightness, by split.

    counts: images by bin (B,) for each split; the bins cut 0 (black) to 1 (white) into equal parts.
    Each split is drawn as shares of its own images, so that splits of any size can be compared.

    Raises ValueError when there is no split or one has another number of bins.
    """
    lengths = sorted({len(counts_B) for counts_B in counts.values()})
    if len(lengths) != 1 or lengths == [0]:
        raise ValueError(f"{path}: the splits have {lengths} bins; they need one common number")
    with chart.chart(path, 8, 4) as figure:
        axes = figure.subplots()
        for place, (split, counts_B) in enumerate(counts.items()):
            label = f"{split} ({images_text(int(counts_B.sum()))})"
            fraction_B, colour = _shares(counts_B), split_colour(place)
            chart.histogram(axes, fraction_B, colour, area=0.13, linewidth=1.8, label=label)
        axes.set(title="Brightness of the images", xlim=(0, 1), ylabel="share of the images (%)")
        axes.set_xlabel("mean over an image's pixels and channels (%; 0 black, 100 white)")
        axes.xaxis.set_major_formatter(chart.percent)
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_formatter(chart.percent)
        axes.grid(True)
        axes.legend()


def image_sizes(sizes: Mapping[str, Mapping[Side, int]], path: Path) -> None:
    """Draw how many images of each height and width there are, by split.

    sizes: for each split, images by (height, width) in pixels as stored. A few sizes are bars, the
    most common on top; many are points whose area grows with the number of images.

    Raises ValueError when there is no image.
    """
    total = Counter[Side]()
    for counts in sizes.values():
        total.update(counts)
    if not total.total():
        raise ValueError(f"{path}: there is no image whose size could be drawn")
    if len(total) <= _MOST_SIZES:
        _size_bars(sizes, sorted(total, key=lambda side: (-total[side], side)), path)
    else:
        _size_points(sizes, max(total.values()), path)


def _size_bars(sizes: Mapping[str, Mapping[Side, int]], order: Sequence[Side], path: Path) -> None:
    with chart.chart(path, 8, 1.7 + 0.34 * len(order)) as figure:
        axes = figure.subplots()
        start = np.zeros(len(order))
        for place, counts in enumerate(sizes.values()):
            length = np.array([counts.get(side, 0) for side in order])
            drawn = axes.barh(range(len(order)), length, 0.7, start, color=split_colour(place))
            start += length
        chart.print_values(axes, drawn, (f"{count:,.0f}" for count in start))
        chart.name_bars(axes, [f"{height} x {width}" for height, width in order])
        axes.set(title="Sizes of the images", xlabel="images", ylabel="height x width (pixels)")
        axes.set_xlim(0, 1.12 * start.max())
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.xaxis.set_major_formatter(chart.short_count)
        chart.split_legend(figure, list(sizes))


def _size_points(sizes: Mapping[str, Mapping[Side, int]], largest: int, path: Path) -> None:
    with chart.chart(path, 8, 6) as figure:
        axes = figure.subplots()
        for place, counts in enumerate(sizes.values()):
            area = [14 + 400 * count / largest for count in counts.values()]
            heights, widths = [side[0] for side in counts], [side[1] for side in counts]
            axes.scatter(widths, heights, area, split_colour(place), alpha=0.45, linewidths=0)
        axes.set_title(f"Sizes of the images (the largest point is {images_text(largest)})")
        axes.set(xlabel="width (pixels)", ylabel="height (pixels)")
        axes.set_aspect("equal", adjustable="datalim")
        axes.grid(True)
        images = {split: images_text(sum(counts.values())) for split, counts in sizes.items()}
        chart.split_legend(figure, [f"{split} ({text})" for split, text in images.items()])


def _shares(counts: Counts) -> Values:
    """Return counts over their sum; zeros where the sum is 0."""
    return np.asarray(counts / max(1, int(counts.sum())), np.float64)


def _grouped_bars(
    axes: Axes,
    names: Sequence[str],
    values: Sequence[Values],
    text: Callable[[float], str],
    *,
    linear: bool = False,
) -> None:
    """Draw a bar for each class and split, with its value where there is room for it.

    values: by class (K,), for each split. linear: whether the scale is linear however far they lie
    apart.
    """
    everything = np.concatenate(values)
    positive = everything[everything > 0] if everything.any() else np.ones(1)
    smallest, largest = positive.min(), positive.max()
    logarithmic = not linear and largest / smallest > _LOG_FROM
    # A logarithmic axis has no 0; its bars begin at a power of ten below the smallest value.
    start = 10.0 ** math.floor(math.log10(smallest) - 0.2) if logarithmic else 0.0
    thickness = 0.84 / len(values)
    for place, values_K in enumerate(values):
        y_K = np.arange(len(names)) + (place - (len(values) - 1) / 2) * thickness
        length_K = (values_K - start).clip(0)
        drawn = axes.barh(y_K, length_K, thickness * 0.9, start, color=split_colour(place))
        if len(names) <= _MOST_VALUED:
            chart.print_values(axes, drawn, map(text, values_K))
    if logarithmic:
        axes.set_xscale("log")
        axes.xaxis.set_minor_locator(NullLocator())
    # Room for the numbers behind the longest bar.
    axes.set_xlim(start, largest * (largest / start) ** 0.28 if logarithmic else 1.28 * largest)
    chart.name_bars(axes, names)


def _percent_text(share: float) -> str:
    if share == 0:
        return "none"
    return "<0.0001" if share < 1e-6 else chart.percent_text(share)


def _count_text(value: float) -> str:
    if value == 0:
        return "none"
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"
