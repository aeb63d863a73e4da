"""What all charts share: colours, style, and how a figure becomes a file.

Only matplotlib's object interface is used: no window, no global figure, no date in the files, so
that the same numbers give the same bytes.
"""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from segpipe.runtime.atomic import disk_errors_explained, whole_file

# Okabe and Ito's colours, which stay apart for colour-blind readers.
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#7A8087"
TEXT = "#30363C"
_SPLITS = (BLUE, ORANGE, GREEN, "#CC79A7", "#E69F00", "#56B4E9")
STYLE = {
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


def write_chart(figure: Figure, path: Path) -> None:
    """Write the figure as a PNG that appears whole or not at all."""
    figure.set_dpi(_DPI)
    canvas = FigureCanvasAgg(figure)
    with disk_errors_explained(path), whole_file(path) as partial:
        # print_figure would draw all of it once more, to lay it out before.
        canvas.print_png(str(partial), metadata={"Software": None})  # type: ignore[no-untyped-call]


def percent(value: float, _place: float) -> str:
    """Write a share in 0..1 as a number of percent, for an axis."""
    return np.format_float_positional(100 * value, precision=6, fractional=False, trim="-")


def middle_cut(name: str, longest: int) -> str:
    """Return `name`, shortened in its middle to at most `longest` letters."""
    if len(name) <= longest:
        return name
    kept = longest - 3
    return f"{name[: kept - kept // 2]}...{name[len(name) - kept // 2 :]}"


def split_colour(place: int) -> str:
    """Return the colour of the split that stands at `place`, from 0, among the splits."""
    return _SPLITS[place % len(_SPLITS)]


def print_value(axes: Axes, text: str, x: float, y: float) -> None:
    """Write a value behind the end of its bar, which lies at (x, y)."""
    behind = {"facecolor": "white", "edgecolor": "none", "pad": 0.6}
    axes.annotate(
        text,
        (x, y),
        xytext=(3, 0),
        textcoords="offset points",
        va="center",
        fontsize=7.5,
        color=TEXT,
        bbox=behind,
    )


def images_text(count: int) -> str:
    """Write a number of images in words."""
    return "1 image" if count == 1 else f"{count:,} images"


def short_count(value: float, _place: float) -> str:
    """Write a large number in thousands, millions or billions, for an axis."""
    for unit, sign in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= unit:
            return f"{value / unit:g}{sign}"
    return f"{value:g}"
