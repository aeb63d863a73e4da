"""The scores of a family as text for a terminal, as CSV and as JSON."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from segpipe.cli.compare_tables import aligned_lines, between, shown, write_score_csv
from segpipe.evaluation.family import Family, FamilyScore
from segpipe.results.records import Interval
from segpipe.runtime.atomic import write_json

_HEAD = ("class", "share", "mean", "std", "least", "most", "95% interval", "images' share")
_NUMBERS = ("mean", "std", "least", "most", "low", "high", "images_variance", "seed_variance")


def family_lines(found: Family) -> list[str]:
    """Return an aligned table; scores in percent."""
    return aligned_lines(_HEAD, [[_cells(one) for one in rows] for rows in found.rows])


def write_family_csv(path: Path, found: Family, names: Sequence[str]) -> None:
    """Write all rows; scores and shares in 0..1, variances of scores in 0..1, what is missing as an
    empty cell.

    Columns: kind, name, share, the numbers of the family, the value of each run, and the protocol of the
    first one.
    """
    table = [
        (one.row, [*_numbers(one).values(), one.images_share, *one.row.values])
        for rows in found.rows
        for one in rows
    ]
    protocol = found.runs[0].evaluation.protocol.summary
    write_score_csv(path, [*_NUMBERS, "images_share", *names], table, protocol)


def write_family_json(path: Path, found: Family, names: Sequence[str]) -> None:
    """Write runs, seeds, the protocol of the first run, and all rows; numbers as in the CSV.

    `interval` says of each score what its interval is found from, or `none: ` and why there is none.
    """
    scores = [
        {
            "kind": one.row.kind,
            "name": one.row.name,
            "share": one.row.share,
            **_numbers(one),
            "images_share": one.images_share,
            "interval": one.interval.basis,
            "values": one.row.values,
        }
        for rows in found.rows
        for one in rows
    ]
    content: dict[str, Any] = {"written_by": "segpipe repeat", "runs": list(names)}
    content |= {"seeds": found.seeds, "scores": scores}
    protocol = found.runs[0].evaluation.protocol.model_dump(exclude_unset=True)
    write_json(path, content | {"protocol": protocol})


def _numbers(one: FamilyScore) -> dict[str, float | None]:
    values, parts = one.values or [], one.variances
    numbers = (
        one.mean,
        one.deviation,
        min(values, default=None),
        max(values, default=None),
        one.interval.low,
        one.interval.high,
        parts.images if parts else None,
        parts.seed if parts else None,
    )
    known = (None if number is None or np.isnan(number) else number for number in numbers)
    return dict(zip(_NUMBERS, known, strict=True))


def _cells(one: FamilyScore) -> list[str]:
    share = "" if one.row.share is None else f"{100 * one.row.share:.2f}%"
    numbers = [shown(one.row, number) for number in list(_numbers(one).values())[:4]]
    known, part = one.interval.known, one.images_share
    ends = Interval(low=one.interval.low, high=one.interval.high) if known else None
    of_images = "-" if part is None else f"{100 * part:.0f}%"
    return [one.row.name, share, *numbers, between(ends), of_images]
