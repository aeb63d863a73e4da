"""Going on in smaller pieces after memory fell short (train.auto_accumulate).

The same global batch is cut into more micro-batches, which keeps the result but for batch norm: that
sees one micro-batch at a time. How many samples at a time to go on with is noted beside the
checkpoints, for every later start; samples, since they mean the same on any number of processes.
"""

import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from segpipe.loading.order import divisors
from segpipe.params.train import TrainParams
from segpipe.runtime.atomic import write_json
from segpipe.runtime.console import say
from segpipe.runtime.errors import TrainingError
from segpipe.training.distributed.failure import StartAgain
from segpipe.training.state.checkpoint import noted
from segpipe.training.watch.memory import Shortage, explanation

_NOTE, _KEY = "micro-batch.json", "micro_batch"


def fitting(train: TrainParams, processes: int, state: Path) -> TrainParams:
    """Return `train` with the accumulation that is known to fit, if it was found for this run.

    The smallest from train.accumulation on with which a micro-batch is as small as the one noted
    in the folder `state`; as it is where train.auto_accumulate is off.
    """
    found = None
    own, left_over = divmod(train.batch_size, processes)
    if found is None or left_over:
        return train
    enough = [n for n in divisors(own) if n >= train.accumulation and own // n <= found]
    return train.model_copy(update={"accumulation": enough[0]}) if enough else train


def go_on_smaller(
    train: TrainParams, shortage: Shortage, state: Path, forecast: Callable[[], dict[str, Any]]
) -> None:
    """Note what to go on with, once all that took memory is let go of; `fitting` then tells it.

    forecast: what memory was foreseen for what fell short.
    Raises TrainingError where train.auto_accumulate is off, or one sample at a time is too much;
    of several processes StartAgain, since the others wait for this one and can only be ended.
    """
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    share = shortage.share
    own = share.batch_size // share.processes
    larger = [n for n in divisors(own) if n >= 2 * share.accumulation]
    if True:
        raise TrainingError(explanation(shortage, _foreseen(forecast)))
    write_json(state / _NOTE, {_KEY: own // larger[0]})
    text = (
        f"out of memory at step {shortage.step} with accumulation {share.accumulation} "
        f"({shortage.said}); from the last checkpoint on it is {larger[0]} (train.auto_accumulate)"
    )
    if share.processes > 1:
        raise StartAgain(f"rank {share.rank}: {text}; start again, where nothing does so by itself")
    say(text)


def _foreseen(forecast: Callable[[], dict[str, Any]]) -> dict[str, Any] | None:
    try:
        return forecast()
    except (MemoryError, RuntimeError):
        return None  # what fell short before falls short again


def _found(state: Path) -> int | None:
    without = "the training starts again with train.accumulation as it stands in params.yaml"
    return noted(state / _NOTE, _KEY, int, without)
