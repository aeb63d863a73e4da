"""The state of an unfinished run: saved whole or not at all, without pickle (law 8)."""

import json
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor, nn

from segpipe.atomic import whole_file, whole_folder, write_json
from segpipe.bundle import plain_weights, read_weights
from segpipe.engine.optimizer import optimizer_tensors, restore_optimizer
from segpipe.errors import BundleError

_BEST = "best.safetensors"
_NETWORK, _AVERAGE = "network.safetensors", "average.safetensors"


@dataclass
class Progress:
    """How far a run is.

    step: optimizer steps taken. history: a row for each validation and each whole epoch. loss_sum,
    pixels: of the steps since the last row, over all processes. seconds, waited: spent in them.
    best_row: of the history, with the best validation mIoU (-1 before the first); best_threshold:
    of its weights, where the network has one logit. mlflow_run: the id of the run that tracks this
    training. accumulations: [step, accumulation], from which step on how many micro-batches.
    """

    step: int = 0
    loss_sum: float = 0.0
    pixels: int = 0
    seconds: float = 0.0
    waited: float = 0.0
    best_miou: float = -1.0
    best_row: int = -1
    best_threshold: float | None = None
    history: list[dict[str, float | None]] = field(default_factory=list)
    mlflow_run: str | None = None
    accumulations: list[list[int]] = field(default_factory=list)

    def note_accumulation(self, accumulation: int) -> None:
        """Remember into how many micro-batches the batches are cut from here on."""
        if not self.accumulations or self.accumulations[-1][1] != accumulation:
            self.accumulations.append([self.step, accumulation])

    def start_row(self) -> None:
        """Forget what belongs to the last row of the history."""
        self.loss_sum, self.pixels = 0.0, 0
        self.seconds, self.waited = 0.0, 0.0


class Checkpoints:
    """The checkpoints of one run in `folder`; the newest is the one that counts."""

    def __init__(self, folder: Path, about: dict[str, Any]):
        self.folder = folder
        # What the run was started with; a resumed run compares it and says what differs.
        self.about = about

    def save(
        self,
        progress: Progress,
        network: nn.Module,
        optimizer: Any,
        average: nn.Module | None = None,
    ) -> None:
        """Write a checkpoint, then drop the older ones. average: of the network's weights."""
        target = self.folder / f"checkpoint-{progress.step:09d}"
        with whole_folder(target) as partial:
            save_file(plain_weights(network), partial / _NETWORK)
            if average is not None:
                save_file(plain_weights(average), partial / _AVERAGE)
            save_file(optimizer_tensors(optimizer), partial / "optimizer.safetensors")
            write_json(
                partial / "progress.json", {"progress": asdict(progress), "about": self.about}
            )
        for older in self._all():
            if older != target:
                shutil.rmtree(older, ignore_errors=True)

    def resume(
        self, network: nn.Module, optimizer: Any, average: nn.Module | None = None
    ) -> tuple[Progress, list[str]]:
        """Restore the newest checkpoint into what `save` was given, or return a fresh start.

        The second value says what is not as it was when the checkpoint was written.

        Raises BundleError when a checkpoint is damaged: it was written whole, so the disk is at
        fault, and starting over in silence would hide that.
        """
        found = self._all()
        if not found:
            return Progress(), []
        newest = found[-1]
        try:
            content = json.loads((newest / "progress.json").read_text(encoding="utf-8"))
            progress = Progress(**content["progress"])
            network.load_state_dict(read_weights(newest / _NETWORK))
            if average is not None:
                average.load_state_dict(read_weights(newest / _AVERAGE))
            restore_optimizer(optimizer, read_weights(newest / "optimizer.safetensors"))
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, BundleError) as error:
            raise BundleError(
                f"{newest}: the checkpoint of this run is damaged ({error}); "
                f"delete {self.folder} to train from the start"
            ) from error
        return progress, self._differences(content["about"])

    def save_best(self, network: nn.Module) -> None:
        """Keep the present weights as the best so far."""
        with whole_file(self.folder / _BEST) as partial:
            save_file(plain_weights(network), partial)

    def best(self) -> dict[str, Tensor]:
        """Return the best weights so far."""
        return read_weights(self.folder / _BEST)

    def remove(self) -> None:
        """Delete the state of a run whose result is published."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _all(self) -> list[Path]:
        return sorted(self.folder.glob("checkpoint-*"))

    def _differences(self, before: dict[str, Any]) -> list[str]:
        return [
            f"{key} was {before.get(key)!r} and is {value!r} now"
            for key, value in self.about.items()
            if before.get(key) != value
        ]
