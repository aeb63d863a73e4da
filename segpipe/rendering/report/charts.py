"""Line charts as SVG inside an HTML page, whose style sheet gives them colours for light and dark."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

_WIDTH, _HEIGHT = 560, 300  # units of the drawing; the page scales it
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 26, 12, 42
_MOST_DOTS = 60  # points of a line that can still be told apart
_TICKS = 6  # at most, and more than half as many
Point = tuple[float, float]


@dataclass(frozen=True)
class Line:
    """A line of a chart through its points (x, y), and its name in the legend.

    joined: whether the line is drawn, or the points alone.
    """

    name: str
    points: Sequence[Point]
    joined: bool = True


@dataclass(frozen=True)
class Scale:
    """An axis: what it shows, from `low` to `high`; percent: the values are fractions."""

    label: str
    low: float
    high: float
    percent: bool = False

    def text(self, value: float) -> str:
        """Write a value of the axis."""
        return f"{100 * value:.6g} %" if self.percent else f"{value:.6g}"

    def ticks(self) -> list[float]:
        """Return round values within the axis: multiples of 1, 2 or 5 times a power of ten."""
        raw = (self.high - self.low) / _TICKS
        power = 10.0 ** math.floor(math.log10(raw))
        step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw * 0.999)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [number * step for number in range(first, last + 1)]


def fitted(label: str, values: Sequence[float], *, percent: bool = False) -> Scale:
    """Return an axis on which all values lie, with some room; a single value has room on both sides."""
    low, high = min(values), max(values)
    room = 0.04 * (high - low) or 0.5 * abs(high) or 0.5
    return Scale(label, max(low - room, 0.0) if low >= 0 else low - room, high + room, percent)


def line_chart(lines: Sequence[Line], x: Scale, y: Scale, *, diagonal: bool = False) -> Markup:
    """Return the chart as an <svg> element. diagonal: draws where x equals y.

    Each point of a short line has its values in a tooltip. Raises ValueError without a point.
    """
    if not any(line.points for line in lines):
        raise ValueError("there is no point to draw")
    parts = [*_axis_x(x), *_axis_y(y)]
    if diagonal:
        ends = [(max(x.low, y.low),) * 2, (min(x.high, y.high),) * 2]
        parts.append(f'<path class="diagonal" d="{_path(ends, x, y)}"/>')
    for number, line in enumerate(lines):
        if line.points:
            parts.append(_drawn(line, number, x, y))
    name = escape(f"{y.label} over {x.label}: {', '.join(line.name for line in lines)}")
    chart = f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{name}">{"".join(parts)}</svg>'
    return Markup(chart)  # every text within is escaped


def _drawn(line: Line, number: int, x: Scale, y: Scale) -> str:
    drawn = f'<path class="line s{number}" d="{_path(line.points, x, y)}"/>' if line.joined else ""
    if line.joined and len(line.points) > _MOST_DOTS:
        return drawn
    for point in line.points:
        told = escape(f"{line.name}: {x.label} {x.text(point[0])}, {y.label} {y.text(point[1])}")
        left, top = _place(point, x, y)
        drawn += (
            f'<circle class="s{number}" cx="{left}" cy="{top}" r="3"><title>{told}</title></circle>'
        )
    return drawn


def _path(points: Sequence[Point], x: Scale, y: Scale) -> str:
    return "M" + " ".join(f"{left} {top}" for left, top in (_place(one, x, y) for one in points))


def _place(point: Point, x: Scale, y: Scale) -> Point:
    across = (point[0] - x.low) / (x.high - x.low)
    up = (point[1] - y.low) / (y.high - y.low)
    left = _LEFT + across * (_WIDTH - _LEFT - _RIGHT)
    return round(left, 1), round(_HEIGHT - _BOTTOM - up * (_HEIGHT - _TOP - _BOTTOM), 1)


def _axis_x(x: Scale) -> list[str]:
    bottom, middle = _HEIGHT - _BOTTOM, (_LEFT + _WIDTH - _RIGHT) / 2
    lines = [f'<path class="axis" d="M{_LEFT} {bottom}H{_WIDTH - _RIGHT}"/>']
    for value in x.ticks():
        left = _place((value, 0), x, Scale("", 0, 1))[0]
        lines.append(f'<text x="{left}" y="{bottom + 16}" class="middle">{x.text(value)}</text>')
    lines.append(
        f'<text x="{middle}" y="{_HEIGHT - 6}" class="middle label">{escape(x.label)}</text>'
    )
    return lines


def _axis_y(y: Scale) -> list[str]:
    lines = []
    for value in y.ticks():
        top = _place((0, value), Scale("", 0, 1), y)[1]
        lines.append(f'<path class="grid" d="M{_LEFT} {top}H{_WIDTH - _RIGHT}"/>')
        lines.append(f'<text x="{_LEFT - 6}" y="{top + 4}" class="end">{y.text(value)}</text>')
    return lines
