"""Out of memory: what did not fit, against what was forecast, and what to change."""

import contextlib
import gc
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import torch

from segpipe.loading.order import BatchShard, divisors
from segpipe.runtime.errors import TrainingError
from segpipe.runtime.hardware import own_memory
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


class OutOfMemory(TrainingError):  # noqa: N818 (as torch names it)
    """Memory fell short in a training step or a validation."""


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
def memory_watched(
    shard: BatchShard,
    crop: tuple[int, int],
    device: torch.device,
    progress: Progress,
    forecast: Callable[[], dict[str, Any]],
) -> Iterator[None]:
    """Raise OutOfMemory, which explains itself, in place of whatever error says that memory fell short.

    crop: height and width of what the network sees of a sample. forecast: makes the forecast of what
    fell short, as `segpipe.training.forecast` returns it.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        available, said = own_memory(device), _first_line(error)
        # What the step held is let go of, or the forecast would fall short too.
        traceback.clear_frames(error.__traceback__)
        gc.collect()
        text = explanation(
            step=progress.step + 1,
            shard=shard,
            crop=crop,
            device=device,
            said=said,
            available=available,
            forecast=_foreseen(forecast),
        )
        raise OutOfMemory(text) from error


def explanation(
    *,
    step: int,
    shard: BatchShard,
    crop: tuple[int, int],
    device: torch.device,
    said: str,
    available: int,
    forecast: dict[str, Any] | None,
) -> str:
    """Return what a person needs to know: what did not fit, what was foreseen, what to change.

    step: of the training, from 1. said: the allocator's own words. available: bytes that the process
    had and could have had. forecast: None where there was no memory left to make one.
    """
    own = shard.batch_size // shard.processes
    foreseen = (
        f"the forecast for it is {forecast['total_mb']:,.0f} MB a process, and "
        if forecast
        else "there was no memory left for a forecast, and "
    )
    name, parts = ("lanes", shard.lanes) if shard.lanes else ("accumulation", shard.accumulation)
    possible = divisors(shard.batch_size if shard.lanes else own)
    larger = [n for n in possible if n > parts and (not shard.lanes or n.bit_count() == 1)]
    first = (
        f"raise train.{name} to {' or '.join(map(str, larger))}, which keeps train.batch_size and "
        + (
            "starts another training"
            if shard.lanes
            else "with it the result, except for batch norm"
        )
        if larger
        else f"one sample at a time is the least there is (train.{name} cannot be raised)"
    )
    place = device.type.replace("cuda", "GPU").replace("cpu", "CPU")
    return (
        f"out of memory at step {step}, with {own // shard.accumulation} sample(s) of "
        f"{crop[0]}x{crop[1]} at a time in each process (train.batch_size {shard.batch_size}, "
        f"{shard.processes} process(es), train.{name} {parts}); {foreseen}"
        f"{available / 2**20:,.0f} MB were available on the {place}. The allocator said: {said}\n"
        f"Either {first}, or lower train.augment.crop_height and crop_width "
        f"(prepare.height and width where those are null); the state of the last checkpoint is kept"
    )


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:300]


def _foreseen(forecast: Callable[[], dict[str, Any]]) -> dict[str, Any] | None:
    try:
        return forecast()
    except (MemoryError, RuntimeError):
        return None  # what fell short before falls short again
