"""A training as a trial of a sweep: what both processes tell each other, through files in a folder.

The sweep names the folder to the training in the environment. The training writes its history there after
each row; the sweep asks it to end there. SIGTERM would not do: it leaves an unfinished state and no scores.
"""

import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from segpipe.runtime.atomic import write_json, write_text

FOLDER = "SEGPIPE_TRIAL"  # the trial's folder
PARENT_RUN = "SEGPIPE_MLFLOW_PARENT"  # id of the MLflow run under which the trial's run stands
_ROWS, _END = "rows.json", "end"


def report_rows(rows: Sequence[Mapping[str, Any]]) -> None:
    """Write the history so far for the sweep, where this training is a trial.

    What JSON has no number for (infinite, not a number) is written as null.
    """
    if folder := os.environ.get(FOLDER):
        plain = [{name: _plain(value) for name, value in row.items()} for row in rows]
        write_json(Path(folder) / _ROWS, plain)


def end_is_asked() -> bool:
    """Return whether this training is a trial that its sweep has asked to end."""
    folder = os.environ.get(FOLDER)
    return bool(folder) and (Path(folder or "") / _END).exists()


def reported_rows(folder: Path) -> list[dict[str, Any]]:
    """Return the history that the training of that folder has reported so far."""
    path = folder / _ROWS
    rows: list[dict[str, Any]] = json.loads(path.read_text("utf-8")) if path.is_file() else []
    return rows


def ask_to_end(folder: Path) -> None:
    """Ask the training of that folder to end with its next validation, as by early stopping."""
    write_text(folder / _END, "")


def take_back(folder: Path) -> None:
    """Take back what `ask_to_end` has asked, if it has."""
    (folder / _END).unlink(missing_ok=True)


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
