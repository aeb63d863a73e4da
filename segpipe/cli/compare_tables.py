"""A comparison as text for a terminal, as Markdown, and as CSV."""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from segpipe.results.comparison import Row
from segpipe.results.records import Interval
from segpipe.runtime.atomic import write_text


def text_lines(groups: Sequence[Sequence[Row]], names: Sequence[str]) -> list[str]:
    """Return an aligned table, a blank line between the groups; scores in percent."""
    return aligned_lines(_head(names), [_cells(rows) for rows in groups])


def aligned_lines(head: Sequence[str], blocks: Sequence[Sequence[Sequence[str]]]) -> list[str]:
    """Return an aligned table, its first column to the left, a blank line between the blocks."""
    everything = [head, *(row for block in blocks for row in block)]
    widths = [max(len(row[place]) for row in everything) for place in range(len(head))]
    lines = [_aligned(head, widths)]
    for block in blocks:
        lines += [*(_aligned(row, widths) for row in block), ""]
    return lines[:-1]


def markdown_lines(groups: Sequence[Sequence[Row]], names: Sequence[str]) -> list[str]:
    """Return a table in the Markdown of GitHub, numbers to the right."""
    head = _head(names)
    rows = [row for group in groups for row in _cells(group)]
    rule = ["---"] + ["---:"] * (len(head) - 1)
    return [f"| {' | '.join(map(_escaped, row))} |" for row in (head, rule, *rows)]


def write_csv(
    path: Path, groups: Sequence[Sequence[Row]], names: Sequence[str], protocol: str
) -> None:
    """Write all rows; scores and shares in 0..1, what is missing as an empty cell.

    Columns: kind, name, share, for each evaluation its value, its low and its high end of the 95 %
    interval, and for each but the first its difference to the first, with the ends of its interval.
    """
    head = [f"{name}{end}" for name in (*names, *_against(names)) for end in ("", " low", " high")]
    table: list[tuple[Row, Sequence[float | None]]] = []
    for row in (row for rows in groups for row in rows):
        numbers: list[float | None] = []
        intervals = (*row.intervals, *row.difference_intervals)
        for value, ends in zip((*row.values, *row.differences), intervals, strict=True):
            numbers += [value, *((None, None) if ends is None else (ends.low, ends.high))]
        table.append((row, numbers))
    write_score_csv(path, head, table, protocol)


def write_score_csv(
    path: Path,
    columns: Sequence[str],
    rows: Iterable[tuple[Row, Sequence[float | None]]],
    protocol: str,
) -> None:
    """Write rows of scores with their numbers, what is missing as an empty cell.

    Columns: kind, name, share (`output_file.CSV_START`), those of the numbers, and `protocol`, which says
    in the first row how the scores were measured.
    """
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["kind", "name", "share", *columns, "protocol"])
    for place, (row, numbers) in enumerate(rows):
        cells = ["" if one is None else f"{one:.6g}" for one in (row.share, *numbers)]
        table.writerow([row.kind, row.name, *cells, "" if place else protocol])
    write_text(path, text.getvalue())


def _head(names: Sequence[str]) -> list[str]:
    return ["class", "share", *names, *_against(names)]


def _against(names: Sequence[str]) -> list[str]:
    return [f"{name} - {names[0]}" for name in names[1:]]


def _cells(rows: Sequence[Row]) -> list[list[str]]:
    """Return the rows as text; the interval of a score stands in a row below it."""
    lines = []
    for row in rows:
        share = "" if row.share is None else f"{100 * row.share:.2f}%"
        values = [shown(row, value) for value in row.values]
        lines.append([row.name, share, *values, *(shown(row, d, "+") for d in row.differences)])
        if any((*row.intervals, *row.difference_intervals)):
            ends = [between(interval) for interval in row.intervals]
            ends += [between(interval, "+") for interval in row.difference_intervals]
            lines.append(["  95% interval", "", *ends])
    return lines


def shown(row: Row, value: float | None, sign: str = "") -> str:
    """Return a value of a row as text: a score in percent, a cost with its digits."""
    if value is None:
        return "-"
    if row.decimals is not None:
        return f"{value:{sign}.{row.decimals}f}"
    return f"{100 * value:{sign}.2f}"


def between(interval: Interval | None, sign: str = "") -> str:
    """Return an interval as text, in percent."""
    if interval is None:
        return "-"
    return f"{100 * interval.low:{sign}.1f}..{100 * interval.high:{sign}.1f}"


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = row
    right = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
    return "  ".join([first.ljust(widths[0]), *right]).rstrip()


def _escaped(cell: str) -> str:
    return cell.strip().replace("|", "\\|")
