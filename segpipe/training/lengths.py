"""All lengths of a training in one unit: optimizer steps."""

from dataclasses import dataclass

from segpipe.params.length import Length
from segpipe.params.train import TrainParams
from segpipe.runtime.errors import ParameterError


@dataclass(frozen=True)
class StepLengths:
    """The lengths of a training in optimizer steps.

    epoch: of one epoch. total: of the training. warmup: 0 to below total. validate_every,
    halve_every: 1 or more. partial_every: likewise, of the partial validations; 0 for none. reasons:
    for each length that is used, a line that says what it was made
    from.
    """

    epoch: int
    total: int
    warmup: int
    validate_every: int
    halve_every: int
    reasons: tuple[str, ...]
    partial_every: int = 0

    def validation_is_due(self, taken: int) -> bool:
        """Return whether a validation of the whole split follows so many steps."""
        return taken % self.validate_every == 0 or taken == self.total

    def part_is_due(self, taken: int) -> bool:
        """Return whether a validation of a part of the split follows so many steps."""
        due = self.partial_every > 0 and taken % self.partial_every == 0
        return due and not self.validation_is_due(taken)

    def row_is_due(self, taken: int) -> bool:
        """Return whether the history gets a row after so many steps."""
        validated = self.validation_is_due(taken) or self.part_is_due(taken)
        return taken % self.epoch == 0 or validated


def lengths_in_steps(train: TrainParams, steps_per_epoch: int) -> StepLengths:
    """Convert the lengths of `train`, once; each becomes the nearest whole number of steps.

    The warm-up leaves at least one step. Raises ParameterError when it is as long as the training.
    """
    batch_size = train.batch_size
    total = train.length.steps(steps_per_epoch, batch_size)
    exact_warmup = train.warmup.exact_steps(steps_per_epoch, batch_size)
    if exact_warmup >= train.length.exact_steps(steps_per_epoch, batch_size):
        raise ParameterError(
            f"params.yaml: train.warmup ({_made(train.warmup, steps_per_epoch, batch_size)}) must be "
            f"below train.length ({_made(train.length, steps_per_epoch, batch_size)})"
        )
    used = {"length": train.length, "validate_every": train.validate_every}
    partial_every = train.partial_validation.every
    if partial_every:
        used["partial_validation.every"] = partial_every
    if train.schedule != "one_cycle":
        used["warmup"] = train.warmup
    if train.schedule == "halving":
        used["halving.every"] = train.halving.every
    return StepLengths(
        epoch=steps_per_epoch,
        total=total,
        warmup=min(train.warmup.steps(steps_per_epoch, batch_size), total - 1),
        validate_every=train.validate_every.steps(steps_per_epoch, batch_size),
        halve_every=train.halving.every.steps(steps_per_epoch, batch_size),
        partial_every=partial_every.steps(steps_per_epoch, batch_size) if partial_every else 0,
        reasons=tuple(
            f"train.{name}: {_made(length, steps_per_epoch, batch_size)}"
            for name, length in used.items()
        ),
    )


def _made(length: Length, steps_per_epoch: int, batch_size: int) -> str:
    steps = length.steps(steps_per_epoch, batch_size)
    match length.unit:
        case "epochs":
            return f"{length} of {steps_per_epoch} steps = {_steps(steps)}"
        case "steps":
            return _steps(steps)
        case "samples":
            return f"{length} by {batch_size} = {_steps(steps)}"


def _steps(number: int) -> str:
    return "1 step" if number == 1 else f"{number} steps"
