"""Going on in smaller pieces after memory fell short (train.auto_accumulate).

The same global batch is cut into more micro-batches, which keeps the result but for batch norm: that
sees one micro-batch at a time. How many samples at a time to go on with is noted beside the
checkpoints, for every later start; samples, since they mean the same on any number of processes.
"""

import gc
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from segpipe.atomic import write_json
from segpipe.console import say
from segpipe.engine.failure import StartAgain
from segpipe.engine.memory import Shortage, explanation
from segpipe.errors import BundleError, TrainingError
from segpipe.loading.order import divisors
from segpipe.params.train import TrainParams

_NOTE = "micro-batch.json"


def fitting(train: TrainParams, processes: int, state: Path) -> TrainParams:
    """Return `train` with the accumulation that is known to fit, if it was found for this run.

    The smallest from train.accumulation on with which a micro-batch is as small as the one noted
    in the folder `state`; as it is where train.auto_accumulate is off.
    """
    noted = _noted(state) if train.auto_accumulate else None
    own, left_over = divmod(train.batch_size, processes)
    if noted is None or left_over:
        return train
    enough = [n for n in divisors(own) if n >= train.accumulation and own // n <= noted]
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
    if not (train.auto_accumulate and larger):
        raise TrainingError(explanation(shortage, _foreseen(forecast)))
    write_json(state / _NOTE, {"micro_batch": own // larger[0]})
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


def _noted(state: Path) -> int | None:
    path = state / _NOTE
    try:
        return int(json.loads(path.read_text(encoding="utf-8"))["micro_batch"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BundleError(
            f"{path}: cannot be read ({error}); delete it, and the training starts again with "
            "train.accumulation as it stands in params.yaml"
        ) from error
