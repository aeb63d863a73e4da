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
from segpipe.runtime.memory import allocator_words, is_out_of_memory
from segpipe.training.state.checkpoint import Progress


class OutOfMemory(TrainingError):  # noqa: N818 (as torch names it)
    """Memory fell short in a training step or a validation."""


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
    except (MemoryError, RuntimeError, OSError) as error:
        if not is_out_of_memory(error):
            raise
        available, said = own_memory(device), allocator_words(error)
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


def _foreseen(forecast: Callable[[], dict[str, Any]]) -> dict[str, Any] | None:
    try:
        return forecast()
    except (MemoryError, RuntimeError):
        return None  # what fell short before falls short again
