"""The files of prepared data, and what stands in them (docs/data-format.md)."""

import csv
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from pathlib import Path

from segpipe.raw.sample import Sample, Window
from segpipe.runtime.atomic import write_text
from segpipe.runtime.errors import DataError

FORMAT = 4
DESCRIPTION, IMAGES, MASKS, INDEX = "dataset.json", "images.npy", "masks.npy", "index.csv"
# Splits that training reads; a test split is checked and listed, and scored from the raw files.
STORED_SPLITS = ("train", "val")
_COLUMNS = ("name", "group", "image", "mask", "copy", "frames", "window", "instances")
# Stands in no path of a data set that can be read on every system.
_BETWEEN_FRAMES = "|"


@dataclass(frozen=True)
class Row:
    """One row of a split's arrays: the sample it came from, and which copy of it (0: itself)."""

    sample: Sample
    copy: int


def write_index(path: Path, rows: Iterable[Row]) -> None:
    """Write index.csv: a line for each row of the arrays, in their order."""
    lines = [",".join(_COLUMNS)]
    for row in rows:
        sample = row.sample
        cells = (
            sample.name,
            sample.group,
            sample.image,
            sample.mask or "",
            str(row.copy),
            _BETWEEN_FRAMES.join(sample.frames),
            " ".join(map(str, astuple(sample.window))) if sample.window else "",
            sample.instances or "",
        )
        lines.append(",".join(_quoted(cell) for cell in cells))
    write_text(path, "\n".join(lines) + "\n")


def read_index(path: Path) -> list[Row]:
    """Read index.csv back; raises FileNotFoundError, KeyError or ValueError on another form."""
    with path.open(newline="", encoding="utf-8") as file:
        return [
            Row(
                Sample(
                    line["name"],
                    line["group"],
                    line["image"],
                    line["mask"] or None,
                    tuple(line["frames"].split(_BETWEEN_FRAMES)) if line["frames"] else (),
                    Window(*map(int, line["window"].split())) if line["window"] else None,
                    line.get("instances") or None,  # earlier versions wrote no such column
                ),
                int(line["copy"]),
            )
            for line in csv.DictReader(file)
        ]


def _quoted(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"' if any(mark in cell for mark in ',"\n') else cell


def read_samples(path: Path) -> list[Sample]:
    """Return the samples that an index.csv lists, each once; DataError when it cannot be read."""
    try:
        return [row.sample for row in read_index(path) if row.copy == 0]
    except (OSError, KeyError, ValueError) as error:
        raise DataError(
            f"{path}: cannot be read ({error}); run `dvc repro prepare` first"
        ) from error
