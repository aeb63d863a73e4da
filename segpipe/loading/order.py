"""Which samples make which step: a function of (seed, epoch), not a state (law 5)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segpipe.augment.draw import SAMPLE_SPEC, SampleSpecs, plain_specs
from segpipe.loading.centroids import Centroids, Points
from segpipe.runtime.errors import LaunchError
from segpipe.runtime.randomness import generator


@dataclass(frozen=True)
class BatchShard:
    """The part of every global batch that one process works on, and in how many pieces.

    batch_size: samples of the global batch. processes, rank: of the run. accumulation: pieces.
    lanes: all pieces of all processes, where `train.lanes` fixes their number; else 0.
    """

    batch_size: int
    processes: int
    rank: int
    accumulation: int
    lanes: int = 0

    def __post_init__(self) -> None:
        if self.lanes % self.processes:
            raise LaunchError(
                f"params.yaml: train.lanes ({self.lanes}) cannot be shared by {self.processes} processes; "
                f"start {' or '.join(map(str, divisors(self.lanes)))}"
            )
        if self.batch_size % (self.processes * self.accumulation):
            raise LaunchError(
                f"params.yaml: train.batch_size ({self.batch_size}) is the batch of all processes "
                f"together and cannot be shared by {self.processes} processes with "
                f"{self.accumulation} accumulation steps each; it can be "
                f"{' or '.join(map(str, self._fitting()))}"
            )

    def pieces(self, batch: NDArray[Any]) -> list[NDArray[Any]]:
        """Return this process's samples of a global batch, cut into micro-batches."""
        own = batch.reshape(self.processes, -1)[self.rank]
        return list(own.reshape(self.accumulation, -1))

    def _fitting(self) -> Sequence[int]:
        unit = self.processes * self.accumulation
        below = self.batch_size // unit * unit
        return [below, below + unit] if below else [unit]


def divisors(number: int) -> list[int]:
    """Return the whole numbers that divide `number`, the smallest first."""
    return [n for n in range(1, number + 1) if number % n == 0]


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


def epoch_specs(
    seed: int,
    epoch: int,
    samples: int,
    batch_size: int,
    centroids: Centroids | None = None,
    class_fraction: float = 0.0,
) -> SampleSpecs:
    """Return the samples of an epoch's global batches, (steps, batch_size).

    They are the rows of `epoch_batches`, unless there are `centroids`: then the fraction
    `class_fraction` of the epoch is chosen for the classes that occur, each as often as the others but
    for one, and must show a centroid of its class, none of which comes up again before all others
    have. Chance decides where in the epoch these stand; the places between them take the first rows
    of `epoch_batches`.
    """
    plain = plain_specs(epoch_batches(seed, epoch, samples, batch_size))
    number = round(class_fraction * plain.size)
    if centroids is None or not number:
        return plain
    places = generator(seed, "places by class", epoch).permutation(plain.size)[:number]
    by_itself = np.ones(plain.size, np.bool_)
    by_itself[places] = False
    specs = np.empty(plain.size, SAMPLE_SPEC)
    specs[by_itself] = plain.reshape(-1)[: plain.size - number]
    specs[places] = _by_class(seed, epoch, number, centroids)
    return specs.reshape(plain.shape)


def _by_class(seed: int, epoch: int, number: int, centroids: Centroids) -> SampleSpecs:
    """Return so many specs, class after class."""
    order = generator(seed, "classes", epoch).permutation(centroids.present)
    each, rest = divmod(number, len(order))
    chosen = [
        _points_of_class(seed, epoch, k, each + (place < rest), centroids.points_K[k])
        for place, k in enumerate(order.tolist())
    ]
    points = np.concatenate(chosen)
    specs = np.empty(number, SAMPLE_SPEC)
    specs["row"], specs["repeat"] = points["row"], np.arange(1, number + 1)
    for axis in ("y", "x"):
        specs[axis] = (points[axis].astype(np.float64) + 0.5) * centroids.ratio
    return specs


def _points_of_class(seed: int, epoch: int, k: int, number: int, points_M: Points) -> Points:
    """Return so many points of class k, each once before one comes up again."""
    order = generator(seed, "centroids", epoch, k).permutation(len(points_M))
    picked: Points = points_M[np.resize(order, number)]
    return picked
