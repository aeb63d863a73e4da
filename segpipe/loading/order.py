"""Which samples make which step: a function of (seed, epoch), not a state (law 5)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segpipe.errors import LaunchError
from segpipe.randomness import generator


@dataclass(frozen=True)
class Share:
    """The part of every global batch that one process works on, and in how many pieces.

    batch_size: samples of the global batch. processes, rank: of the run. accumulation: pieces.
    """

    batch_size: int
    processes: int
    rank: int
    accumulation: int

    def __post_init__(self) -> None:
        if self.batch_size % (self.processes * self.accumulation):
            raise LaunchError(
                f"params.yaml: train.batch_size ({self.batch_size}) is the batch of all processes "
                f"together and cannot be shared by {self.processes} processes with "
                f"{self.accumulation} accumulation steps each; it can be "
                f"{' or '.join(map(str, self._fitting()))}"
            )

    def pieces(self, batch: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """Return this process's samples of a global batch, cut into micro-batches."""
        own = batch.reshape(self.processes, -1)[self.rank]
        return list(own.reshape(self.accumulation, -1))

    def _fitting(self) -> Sequence[int]:
        unit = self.processes * self.accumulation
        below = self.batch_size // unit * unit
        return [below, below + unit] if below else [unit]


def steps_per_epoch(samples: int, batch_size: int) -> int:
    """Return how many whole batches an epoch has; what is left over comes up in other epochs.

    Raises LaunchError when there are fewer samples than one batch takes.
    """
    if samples < batch_size:
        raise LaunchError(
            f"params.yaml: train.batch_size is {batch_size}, but there are only {samples} training "
            f"samples; set it to {samples} or less"
        )
    return samples // batch_size


def epoch_batches(seed: int, epoch: int, samples: int, batch_size: int) -> NDArray[np.int64]:
    """Return the sample numbers of an epoch's global batches, (steps, batch_size), none twice."""
    order = generator(seed, "order", epoch).permutation(samples)
    steps = steps_per_epoch(samples, batch_size)
    return order[: steps * batch_size].astype(np.int64).reshape(steps, batch_size)
