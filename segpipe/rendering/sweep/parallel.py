"""Parallel coordinates as SVG: an upright axis for each parameter, a line for each trial."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

_HEIGHT, _TOP, _BOTTOM = 320, 34, 26
_SIDE, _APART = 90, 170  # units beside the outer axes, and between two axes
_MOST_WORDS = 12  # values of a choice that have their name beside the axis


@dataclass(frozen=True)
class Axis:
    """An axis: its label, the value of each trial (None where it has none), and how they are placed.

    logarithmic: by the logarithm, of positive numbers.
    """

    label: str
    values: Sequence[Any]
    logarithmic: bool = False


def parallel_coordinates(
    axes: Sequence[Axis], names: Sequence[str], best: Sequence[bool]
) -> Markup:
    """Return the drawing as an <svg> element.

    names: of the trials, for tooltips. best: which of them are drawn in the second colour, above the others.
    A trial that has no value on an axis crosses it at its foot, below all values.
    """
    width = 2 * _SIDE + _APART * (len(axes) - 1)
    places = [_places(axis) for axis in axes]
    parts = [_drawn_axis(axis, _left(n)) for n, axis in enumerate(axes)]
    for trial in sorted(range(len(names)), key=lambda one: best[one]):
        points = " ".join(f"{_left(n)} {places[n][trial]}" for n in range(len(axes)))
        told = ", ".join(f"{axis.label} {_text(axis.values[trial])}" for axis in axes)
        style = 'class="line s1"' if best[trial] else 'class="line s0" style="opacity:.35"'
        parts.append(
            f'<path {style} d="M{points}"><title>{escape(names[trial])}: {escape(told)}</title></path>'
        )
    label = escape(f"Parallel coordinates of {', '.join(axis.label for axis in axes)}")
    head = f'<svg viewBox="0 0 {width} {_HEIGHT}" role="img" aria-label="{label}">'
    return Markup(f"{head}{''.join(parts)}</svg>")  # every text within is escaped


def _left(number: int) -> int:
    return _SIDE + number * _APART


def _text(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _kinds(axis: Axis) -> list[Any]:
    return sorted(
        {repr(value): value for value in axis.values if value is not None}.values(), key=repr
    )


def _is_number(axis: Axis) -> bool:
    known = [value for value in axis.values if value is not None]
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in known)


def _fraction(axis: Axis, value: Any) -> float:
    """Return where a value lies between the foot (0) and the head (1) of its axis."""
    if not _is_number(axis):
        kinds = [repr(kind) for kind in _kinds(axis)]
        return (kinds.index(repr(value)) + 0.5) / len(kinds)
    known = [_scaled(axis, one) for one in axis.values if one is not None]
    low, high = min(known), max(known)
    return (_scaled(axis, value) - low) / (high - low) if high > low else 0.5


def _scaled(axis: Axis, value: float) -> float:
    return math.log10(value) if axis.logarithmic else float(value)


def _height_of(fraction: float) -> float:
    return round(_HEIGHT - _BOTTOM - 14 - fraction * (_HEIGHT - _BOTTOM - 14 - _TOP), 1)


def _places(axis: Axis) -> list[float]:
    foot = _HEIGHT - _BOTTOM
    return [foot if one is None else _height_of(_fraction(axis, one)) for one in axis.values]


def _drawn_axis(axis: Axis, left: int) -> str:
    foot = _HEIGHT - _BOTTOM
    known = [value for value in axis.values if value is not None]
    shown = _kinds(axis)[:_MOST_WORDS]
    if _is_number(axis) and known:
        shown = sorted({min(known), max(known)})
    drawn = f'<path class="axis" d="M{left} {_TOP}V{foot}"/>'
    drawn += f'<text x="{left}" y="{_TOP - 18}" class="middle label">{escape(axis.label)}</text>'
    for value in shown:
        top = _height_of(_fraction(axis, value))
        drawn += f'<text x="{left - 5}" y="{top + 4}" class="end">{escape(_text(value))}</text>'
    if len(known) < len(axis.values):
        drawn += f'<text x="{left - 5}" y="{foot + 4}" class="end">-</text>'
    return drawn
