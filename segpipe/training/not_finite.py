"""Losses and gradients that are not finite: which samples they come from, in all processes.

Shapes: B batch.
"""

from typing import NoReturn, TypeVar

import numpy as np
from accelerate.utils import gather_object
from numpy.typing import NDArray
from torch import Tensor

from segpipe.dataset.reader import Split
from segpipe.runtime.errors import TrainingError, listing
from segpipe.training.distributed.peers import PeerFailed, sample_names
from segpipe.training.job import Processes

T = TypeVar("T")


def suspects(
    split: Split,
    rows: list[NDArray[np.int64]],
    images: list[Tensor],
    losses: list[Tensor],
    processes: Processes,
) -> str:
    """Return the samples of a global batch that a loss or gradient that is not finite comes from.

    rows, images, losses: of each micro-batch of this process: numbers in the split, what the network
    was shown, and its summed loss. All processes call it together and get the same answer: the
    images that are not finite themselves, else the micro-batches whose loss is not, else all.
    """
    own: list[tuple[str, bool, bool]] = []
    for rows_B, image, loss in zip(rows, images, losses, strict=True):
        spoilt = not bool(loss.isfinite().all())
        finite_B = image.flatten(1).isfinite().all(1).tolist()
        for name, finite in zip(_each(split, rows_B), finite_B, strict=True):
            own.append((name, not finite, spoilt))
    found = _of_all(processes, own)
    broken = [name for name, unreadable, _ in found if unreadable]
    if broken:
        return f"the images of these samples hold values that are not finite:\n{listing(broken)}"
    blamed = [name for name, _, spoilt in found if spoilt] or [name for name, *_ in found]
    return f"the batch, as far as it is to blame, is:\n{listing(blamed, shown=64)}"


def validated_suspects(
    split: Split, seen: list[tuple[NDArray[np.int64], Tensor]], processes: Processes
) -> str:
    """Return the validation samples, by batches, whose loss is not finite; as `suspects`."""
    bad = [rows_B for rows_B, loss in seen if not bool(loss.isfinite().all())]
    return listing(_of_all(processes, [name for rows_B in bad for name in _each(split, rows_B)]))


def end_together(processes: Processes, text: str) -> NoReturn:
    """Raise TrainingError in the leading process, which says it for all; PeerFailed in the others."""
    if processes.leads:
        raise TrainingError(text)
    raise PeerFailed(f"rank {processes.rank}: ends with the leading process, which says why")


def _each(split: Split, rows_B: NDArray[np.int64]) -> list[str]:
    return [sample_names(split, rows_B[[place]]) for place in range(len(rows_B))]


def _of_all(processes: Processes, own: list[T]) -> list[T]:
    return list(gather_object(own)) if processes.number > 1 else own
