"""HTML pages of one look, from jinja2 templates: self-contained, without scripts, light and dark."""

import math
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

from segpipe.runtime.console import printable

_TEMPLATES = Path(__file__).parent.parent
_NOTHING = "-"


def render_page(template: str, **values: Any) -> str:
    """Return the page that `template`, such as html/data.html.jinja, makes of the values.

    Every text is escaped, for HTML and as `printable` does. Raises jinja2.UndefinedError for a value
    that the template does not find.
    """
    pages = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters |= {"percent": percent, "interval": interval, "number": number, "code": code}
    return printable(pages.get_template(template).render(**values))


def percent(fraction: float | None, digits: int = 2) -> str:
    """Write a fraction in 0..1 as a number of percent without its sign; a dash for no value."""
    known = fraction is not None and math.isfinite(fraction)
    return f"{100 * fraction:.{digits}f}" if known and fraction is not None else _NOTHING


def interval(bounds: Any, digits: int = 2) -> str:
    """Write the ends of an interval (`low` and `high`, 0..1) in percent; nothing for none."""
    return (
        "" if bounds is None else f"{percent(bounds.low, digits)} to {percent(bounds.high, digits)}"
    )


def number(value: float | None, digits: int | None = None) -> str:
    """Write a number with separators of thousands; digits: after the point, None for the shortest form."""
    if value is None or not math.isfinite(value):
        return _NOTHING
    if digits is not None:
        return f"{value:,.{digits}f}"
    return f"{value:,}" if isinstance(value, int) else f"{value:.6g}"


def code(text: str) -> Markup:
    """Mark what stands between backticks as code; a last backtick without its partner stays."""
    parts = [escape(part) for part in text.split("`")]
    ends = len(parts) % 2 == 0
    tail = f"`{parts.pop()}" if ends else ""
    marked = (f"<code>{part}</code>" if at % 2 else part for at, part in enumerate(parts))
    return Markup("".join(marked) + tail)  # each part is escaped
