"""All lengths of a training in one unit: optimizer steps."""

from dataclasses import dataclass

from segpipe.params.length import Length
from segpipe.params.train import TrainParams
from segpipe.runtime.errors import ParameterError


@dataclass(frozen=True)
class StepLengths:
    """The lengths of a training in optimizer steps.

    total: of the training. warmup: 0 to below total. validate_every, halve_every: 1 or more.
    reasons: for each length that is used, a line that says what it was made from.
    """

    total: int
    warmup: int
    validate_every: int
    halve_every: int
    reasons: tuple[str, ...]


def lengths_in_steps(train: TrainParams, steps_per_epoch: int) -> StepLengths:
    """Convert the lengths of `train`, once; each becomes the nearest whole number of steps.

    The warm-up leaves at least one step. Raises ParameterError when it is as long as the training.
    """
    unit = steps_per_epoch, train.batch_size
    total = train.length.steps(*unit)
    if train.warmup.exact_steps(*unit) >= train.length.exact_steps(*unit):
        raise ParameterError(
            f"params.yaml: train.warmup ({_made(train.warmup, unit)}) must be below train.length "
            f"({_made(train.length, unit)})"
        )
    used = {"length": train.length, "validate_every": train.validate_every}
    if train.schedule != "one_cycle":
        used["warmup"] = train.warmup
    if train.schedule == "halving":
        used["halving.every"] = train.halving.every
    return StepLengths(
        total,
        min(train.warmup.steps(*unit), total - 1),
        train.validate_every.steps(*unit),
        train.halving.every.steps(*unit),
        tuple(f"train.{name}: {_made(length, unit)}" for name, length in used.items()),
    )


def _made(length: Length, unit: tuple[int, int]) -> str:
    steps_per_epoch, batch_size = unit
    steps = length.steps(*unit)
    match length.unit:
        case "epochs":
            return f"{length} of {steps_per_epoch} steps = {_steps(steps)}"
        case "steps":
            return _steps(steps)
        case "samples":
            return f"{length} by {batch_size} = {_steps(steps)}"


def _steps(number: int) -> str:
    return "1 step" if number == 1 else f"{number} steps"
