"""Out of memory: what did not fit, against what was forecast, and what to change."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from segpipe.loading.order import Share, divisors
from segpipe.runtime.errors import TrainingError
from segpipe.runtime.hardware import own_memory
from segpipe.training.setup import Job
from segpipe.training.state.checkpoint import Progress

# torch has a class of error for GPUs only; on CPUs its allocator, and the libraries', say these.
_SIGNS = (
    "can't allocate memory",
    "not enough memory",
    "bad_alloc",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)
# oneDNN says these of a lack of memory, and of what it cannot do.
_ONEDNN = ("could not create a primitive", "could not execute a primitive")
_PROBE = 1 << 28


@dataclass(frozen=True)
class Shortage:
    """What one process was doing when memory fell short.

    step: of the training, from 1. share: the part of the global batch. height, width: of what the
    network sees of a sample. said: the allocator's own words. available: bytes that the process had
    and could have had.
    """

    step: int
    share: Share
    height: int
    width: int
    device: str
    said: str
    available: int


class OutOfMemory(TrainingError):  # noqa: N818 (as torch names it)
    """Memory fell short in a training step or a validation."""

    def __init__(self, shortage: Shortage) -> None:
        super().__init__(shortage.said)
        self.shortage = shortage


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that memory fell short, on a GPU or a CPU."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    if not isinstance(error, RuntimeError):
        return False
    text = str(error)
    starved = any(sign in text for sign in _ONEDNN) and not _has_room()
    return starved or any(sign in text for sign in _SIGNS)


def _has_room() -> bool:
    """Whether this process could have 256 MB more now, while it holds what it needs for a step."""
    try:
        torch.empty(_PROBE, dtype=torch.uint8)
    except RuntimeError:
        return False
    return True


@contextlib.contextmanager
def memory_watched(job: Job, progress: Progress) -> Iterator[None]:
    """Raise OutOfMemory in place of whatever error says so."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise OutOfMemory(_shortage(job, progress.step + 1, error)) from error


def explanation(shortage: Shortage, forecast: dict[str, Any] | None) -> str:
    """Return what a person needs to know: what did not fit, what was foreseen, what to change."""
    share, sides = shortage.share, f"{shortage.height}x{shortage.width}"
    own = share.batch_size // share.processes
    samples = own // share.accumulation
    foreseen = (
        f"the forecast for it is {forecast['total_mb']:,.0f} MB a process, and "
        if forecast
        else "there was no memory left for a forecast, and "
    )
    larger = [n for n in divisors(own) if n > share.accumulation]
    first = (
        f"raise train.accumulation to {' or '.join(map(str, larger))}, which keeps train.batch_size and "
        "with it the result but for batch norm (train.auto_accumulate: true does so by itself)"
        if larger
        else "one sample at a time is the least there is (train.accumulation cannot be raised)"
    )
    return (
        f"out of memory at step {shortage.step}, with {samples} sample(s) of {sides} at a time in each "
        f"process (train.batch_size {share.batch_size}, {share.processes} process(es), "
        f"train.accumulation {share.accumulation}); {foreseen}"
        f"{shortage.available / 2**20:,.0f} MB were available on the {shortage.device}. The allocator "
        f"said: {shortage.said}\nEither {first}, or lower train.augment.crop_height and crop_width "
        f"(prepare.height and width where those are null); the state of the last checkpoint is kept"
    )


def _shortage(job: Job, step: int, error: BaseException) -> Shortage:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return Shortage(
        step=step,
        share=job.share,
        height=job.crop[0],
        width=job.crop[1],
        device=job.device.type.replace("cuda", "GPU").replace("cpu", "CPU"),
        said=lines[0][:300],
        available=own_memory(job.device),
    )
