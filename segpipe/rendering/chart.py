"""What all charts share: colours, style, parts, and how a figure becomes a file.

Only matplotlib's object interface is used: no window, no global figure, no date in the files, so
that the same numbers give the same bytes.
"""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from segpipe.runtime.atomic import atomic_file, disk_errors_explained

# Okabe and Ito's colours, which stay apart for colour-blind readers.
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#7A8087"
TEXT = "#30363C"

_SPLITS = (BLUE, ORANGE, GREEN, "#CC79A7", "#E69F00", "#56B4E9")
_STYLE = {
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#9AA0A6",
    "grid.color": "#E3E6E8",
    "axes.axisbelow": True,
    "legend.frameon": False,
}
_DPI = 150


@contextlib.contextmanager
def chart(path: Path, width: float, height: float) -> Iterator[Figure]:
    """Yield a figure of `width` x `height` inches and write it to `path` as a PNG, whole or not at all."""
    with matplotlib.style.context(["default", _STYLE]):
        figure = Figure((width, height), _DPI, layout="constrained")
        yield figure
        write_chart(figure, path)


def write_chart(figure: Figure, path: Path) -> None:
    """Write the figure as a PNG that appears whole or not at all."""
    canvas = FigureCanvasAgg(figure)
    with disk_errors_explained(path), atomic_file(path) as partial:
        # print_figure would draw all of it once more, to lay it out before.
        canvas.print_png(str(partial), metadata={"Software": None})  # type: ignore[no-untyped-call]


def histogram(axes: Axes, fraction_B: NDArray[np.float64], colour: str, **line: Any) -> None:
    """Draw shares of B equal bins of the values 0..1 as a line above a lighter area.

    line: properties of the line, as `Axes.stairs` takes them, and `area`, the opacity of the area.
    """
    edges = np.linspace(0, 1, len(fraction_B) + 1)
    axes.stairs(fraction_B, edges, fill=True, color=colour, alpha=line.pop("area"))
    axes.stairs(fraction_B, edges, color=colour, **line)


def name_bars(axes: Axes, names: Sequence[str]) -> None:
    """Name the horizontal bars at 0, 1, 2, ...; the first is on top."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(True, axis="x")
    axes.tick_params(axis="y", length=0)


def print_values(axes: Axes, bars: BarContainer, texts: Iterable[str], size: float = 7.5) -> None:
    """Write a text behind the end of each bar, in letters of `size` points."""
    behind = {"facecolor": "white", "edgecolor": "none", "pad": 0.6}
    axes.bar_label(bars, list(texts), padding=3, fontsize=size, color=TEXT, bbox=behind)


def note(
    axes: Axes, text: str, at: tuple[float, float], shift: tuple[float, float], **style: Any
) -> None:
    """Write a small text that lies `shift` points from the place `at`; `style`: as `Axes.annotate`."""
    axes.annotate(text, at, **{"fontsize": 8} | style, xytext=shift, textcoords="offset points")


def split_legend(figure: Figure, labels: Sequence[str]) -> None:
    """Name the splits, in the order of their colours, above the charts."""
    handles = [Patch(color=split_colour(k), label=label) for k, label in enumerate(labels)]
    figure.legend(handles=handles, loc="outside upper left", ncols=len(labels))


def split_colour(place: int) -> str:
    """Return the colour of the split that is at `place`, from 0, among the splits."""
    return _SPLITS[place % len(_SPLITS)]


def percent_ticks(axes: Axes) -> None:
    """Name the x axis in percent, with no tick above 100; the limits stay as they are."""
    low, high = axes.get_xlim()
    axes.set_xticks([tick for tick in axes.get_xticks() if low <= tick < 1.001])
    axes.set_xlim(low, high)
    axes.xaxis.set_major_formatter(percent)


def percent(value: float, _place: float) -> str:
    """Write a fraction in 0..1 as a number of percent, for an axis."""
    return np.format_float_positional(100 * value, precision=6, fractional=False, trim="-")


def percent_text(fraction: float) -> str:
    """Write a fraction in 0..1 as a number of percent that keeps the rarest apart: 0.034 is not 0.0."""
    return f"{100 * fraction:.1f}" if fraction >= 0.001 else f"{100 * fraction:.1g}"


def images_text(count: int) -> str:
    """Write a number of images in words."""
    return "1 image" if count == 1 else f"{count:,} images"


def short_count(value: float, _place: float) -> str:
    """Write a large number in thousands, millions or billions, for an axis."""
    for unit, sign in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= unit:
            return f"{value / unit:g}{sign}"
    return f"{value:g}"
