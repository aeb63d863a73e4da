"""Rows of the board: the scores of a bundle, and what several seeds say together."""

import statistics
from collections.abc import Iterable, Sequence
from typing import Any

from segpipe.results.evaluation import Evaluation


def scores_row(evaluation: Evaluation) -> dict[str, Any]:
    """Return what a row keeps of an evaluation; scores in 0..1."""
    iou = {name: found.iou for name, found in evaluation.classes.items()}
    return {
        "images": evaluation.protocol.images,
        "miou": evaluation.miou,
        "rarest_miou": rarest_miou(evaluation),
        "pixel_accuracy": evaluation.pixel_accuracy,
        "iou": iou,
    }


def rarest_miou(evaluation: Evaluation) -> float:
    """Return the mean IoU of the third of the classes with the fewest true pixels, rounded up.

    Classes without a pixel in the truth are left out.
    """
    there = sorted((c for c in evaluation.classes.values() if c.pixels), key=lambda c: c.pixels)
    rarest = there[: -(-len(there) // 3)]
    return statistics.mean(one.iou or 0.0 for one in rarest)


def row_line(name: str, row: dict[str, Any]) -> str:
    """Return a row as it is printed, in percent."""
    found = f"{name:<44}{row['seconds']:7.1f} s  {_percent(row)}"
    return found + (f"   test {_percent(row['test'])}" if "test" in row else "")


def _percent(scores: dict[str, Any]) -> str:
    return f"mIoU {100 * scores['miou']:5.1f}  rarest third {100 * scores['rarest_miou']:5.1f}"


def summary(name: str, rows: Sequence[dict[str, Any]], limit: float) -> list[str]:
    """Return the lines of mean and standard deviation over the seeds, and whether time was kept."""
    slowest = max(row["seconds"] for row in rows)
    kept = "within" if slowest <= 60 * limit else "OVER"
    lines = [
        f"{name}: {len(rows)} seeds, slowest {slowest:.0f} s, {kept} {limit:g} minutes; "
        f"{_spread('mIoU', (row['miou'] for row in rows))}, "
        f"{_spread('rarest third', (row['rarest_miou'] for row in rows))}"
    ]
    tested = [row["test"] for row in rows if "test" in row]
    if tested:
        lines.append(
            f"{name}, test: {_spread('mIoU', (row['miou'] for row in tested))}, "
            f"{_spread('rarest third', (row['rarest_miou'] for row in tested))}"
        )
    return [*lines, f"  on {', '.join(sorted({row['machine'] for row in rows}))}"]


def _spread(name: str, values: Iterable[float]) -> str:
    found = [100 * value for value in values]
    spread = f" (sd {statistics.stdev(found):.1f})" if len(found) > 1 else ""
    return f"{name} {statistics.mean(found):.1f}{spread}"
