"""The state of an unfinished run: saved whole or not at all, without pickle (law 8).

A checkpoint is a folder that holds all that the run needs to go on, the best weights so far among
it, so that one rename makes all of it valid. sums.json has a checksum of every other file.
"""

import json
import re
import secrets
import shutil
import time
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from torch import Tensor, nn

from segpipe.bundle import read_weights, write_weights
from segpipe.runtime.atomic import atomic_dir, sync, write_json
from segpipe.runtime.errors import BundleError, CheckpointError
from segpipe.runtime.small_files import read_json
from segpipe.training.distributed.sharding import gathered
from segpipe.training.optimizer import optimizer_tensors

NETWORK, AVERAGE, BEST, OPTIMIZER = "network", "average", "best", "optimizer"
_PROGRESS, _SUMS, _TRACKED = "progress.json", "sums.json", "mlflow.json"
_TOKEN = "mlflow_token.json"
_ALWAYS = {_PROGRESS, f"{NETWORK}.safetensors", f"{OPTIMIZER}.safetensors"}
_NAME = re.compile(r"checkpoint-([0-9]{9,})")
_CHUNK = 1 << 22
Value = TypeVar("Value")


@dataclass
class Progress:
    """How far a run is.

    step: optimizer steps taken. history: a row for each validation and each whole epoch. row_times:
    when each of them was made, in milliseconds since 1970. loss_sum, pixels: added up over the steps
    since the last row, and over all processes. confusion: likewise, the pixels by true and predicted
    class, with `train.scores`. seconds, waited: spent in those steps.
    best_row: of the history, with the best validation mIoU (-1 before the first); best_threshold:
    of its weights, where the network has one logit. pruned: the sweep ended the training.
    """

    step: int = 0
    loss_sum: float = 0.0
    pixels: int = 0
    confusion: list[list[int]] = field(default_factory=list)
    seconds: float = 0.0
    waited: float = 0.0
    best_miou: float = -1.0
    best_row: int = -1
    best_threshold: float | None = None
    history: list[dict[str, float | None]] = field(default_factory=list)
    row_times: list[int] = field(default_factory=list)
    pruned: bool = False

    def __post_init__(self) -> None:
        # Checkpoints of segpipe 0.1 have rows without times.
        untimed = len(self.history) - len(self.row_times)
        self.row_times = [_now()] * untimed + self.row_times

    def add_row(self, row: dict[str, float | None]) -> None:
        """Add a row to the history, and start to add up for the next one."""
        self.history.append(row)
        self.row_times.append(_now())
        self.loss_sum, self.pixels, self.confusion = 0.0, 0, []
        self.seconds, self.waited = 0.0, 0.0


@dataclass(frozen=True)
class State:
    """A copy, in memory, of all that a run needs to go on; training on does not change it.

    tensors: of network, average (where there is one), best (once there is one) and optimizer.
    about: what the run was started with; a resumed run compares it and says what differs.
    """

    progress: Progress
    tensors: dict[str, dict[str, Tensor]]
    about: dict[str, Any]


def copied_state(
    progress: Progress,
    network: nn.Module,
    optimizer: Any,
    average: nn.Module | None,
    best: dict[str, Tensor] | None,
    about: dict[str, Any],
    on_leader: bool = True,
) -> State:
    """Copy the present state. best: weights that nothing changes any more; they are not copied.

    on_leader: as `gathered` takes it; the state of any other process has no tensors.
    """
    tensors = {
        NETWORK: gathered(network.state_dict(), on_leader),
        OPTIMIZER: optimizer_tensors(optimizer, on_leader),
    }
    if average is not None:
        tensors[AVERAGE] = gathered(average.state_dict(), on_leader)
    if best is not None:
        tensors[BEST] = best
    return State(Progress(**asdict(progress)), tensors, about)


class Checkpoints:
    """The checkpoints of one run, by step, in `folder`; the newest `keep` of them are kept."""

    def __init__(self, folder: Path, keep: int = 2):
        self.folder = folder
        self._keep = keep

    def write(self, state: State) -> None:
        """Write a checkpoint, then drop those that are too many. OSError leaves the others."""
        with atomic_dir(self._place(state.progress.step)) as partial:
            for name, tensors in state.tensors.items():
                write_weights(tensors, partial / f"{name}.safetensors")
            content = {"progress": asdict(state.progress), "about": state.about}
            (partial / _PROGRESS).write_text(json.dumps(content, indent=2), encoding="utf-8")
            sums = {file.name: _sum(file) for file in sorted(partial.iterdir())}
            (partial / _SUMS).write_text(json.dumps(sums, indent=2), encoding="utf-8")
            for file in partial.iterdir():
                sync(file)
        for step in self.steps()[: -self._keep]:
            self.drop(step)

    def read(self, step: int) -> State:
        """Read a checkpoint; CheckpointError says which of its files is not what was written."""
        folder = self._place(step)
        try:
            sums = read_json(folder / _SUMS)
            _refuse_changed(folder, sums)
            content = read_json(folder / _PROGRESS)
            weights = [Path(name) for name in sums if name.endswith(".safetensors")]
            tensors = {path.stem: read_weights(folder / path) for path in weights}
            return State(_progress(content["progress"]), tensors, content["about"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError, BundleError) as error:
            raise CheckpointError(f"{folder}: is damaged: {error}") from error

    def steps(self) -> list[int]:
        """Return the steps of the checkpoints that are there, the newest last."""
        found = (_NAME.fullmatch(path.name) for path in self.folder.glob("checkpoint-*"))
        return sorted(int(match[1]) for match in found if match)

    def strays(self) -> list[Path]:
        """Return what is named like a checkpoint without being one, such as checkpoint-old."""
        found = self.folder.glob("checkpoint-*")
        return sorted(path for path in found if not _NAME.fullmatch(path.name))

    def drop(self, step: int) -> None:
        """Delete a checkpoint; it is gone at once, never half there."""
        _delete(self._place(step))

    def clear_up(self) -> None:
        """Delete what a process left that was killed while it wrote or deleted."""
        for path in [*self.folder.glob(".*"), *self.folder.parent.glob(f".{self.folder.name}.*")]:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

    def remove(self) -> None:
        """Delete the state of a run whose result is published; it is gone at once."""
        if self.folder.exists():
            _delete(self.folder)

    def note_tracked(self, run_id: str) -> None:
        """Note the MLflow run of this training: it is the same one whichever checkpoint is restored."""
        write_json(self.folder / _TRACKED, {"run_id": run_id})

    def tracked(self) -> str | None:
        """Return what `note_tracked` noted, if anything."""
        without = "the training goes on under a new MLflow run"
        return read_note(self.folder / _TRACKED, "run_id", str, without)

    def tracking_token(self) -> str:
        """Return a text that no other training has; it is made here when it is asked for first.

        The MLflow run has it as a tag from its creation, so that a process that was killed before
        `note_tracked` finds the run again.
        """
        noted = read_note(self.folder / _TOKEN, "token", str, "another is made")
        if noted is None:
            noted = secrets.token_hex(8)
            write_json(self.folder / _TOKEN, {"token": noted})
        return noted

    def _place(self, step: int) -> Path:
        return self.folder / f"checkpoint-{step:09d}"


def _refuse_changed(folder: Path, sums: dict[str, Any]) -> None:
    """Raise CheckpointError unless all files of a checkpoint, and no others, are as they were written.

    No file is opened whose name leads out of the folder, wherever sums.json may point.
    """
    there = {path.name for path in folder.iterdir() if path.suffix in (".safetensors", ".json")}
    there.discard(_SUMS)
    if unnamed := (there | _ALWAYS) - sums.keys():
        raise CheckpointError(
            f"{folder}: is damaged: {_SUMS} has no checksum of {', '.join(sorted(unnamed))}"
        )
    changed = [name for name in sums if name not in there or _sum(folder / name) != sums[name]]
    if changed:
        raise CheckpointError(
            f"{folder}: is damaged: {', '.join(changed)} was changed or is not there"
        )


def _progress(content: dict[str, Any]) -> Progress:
    """Make a Progress of what progress.json holds; an older version also noted the accumulations."""
    content.pop("accumulations", None)
    return Progress(**content)


def read_note(path: Path, key: str, kind: Callable[[Any], Value], without: str) -> Value | None:
    """Return the value that was written under `key` of a JSON file beside the checkpoints, if any.

    kind: makes the value of it. without: what happens where the file is not there.
    Raises CheckpointError, which tells to delete the file, when it cannot be read.
    """
    try:
        return kind(read_json(path)[key])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{path}: cannot be read ({error}); delete it, and {without}"
        ) from error


def _now() -> int:
    return int(time.time() * 1000)


def _delete(folder: Path) -> None:
    hidden = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(hidden, ignore_errors=True)
    folder.rename(hidden)
    shutil.rmtree(hidden, ignore_errors=True)


def _sum(file: Path) -> int:
    """A checksum of a file's bytes (CRC-32): against a failing disk, not against a person."""
    value = 0
    with file.open("rb") as handle:
        while chunk := handle.read(_CHUNK):
            value = zlib.crc32(chunk, value)
    return value
