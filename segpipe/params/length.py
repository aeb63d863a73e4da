"""Lengths of a training: given in epochs, optimizer steps or samples; one unit inside: steps."""

import re
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import AfterValidator, PlainSerializer, PlainValidator

from segpipe.runtime.errors import excerpt

Unit = Literal["epochs", "steps", "samples"]
_FORM = re.compile(r"\s*([0-9.eE+-]+)\s*(epoch|step|sample)s?\s*")
_WANTED = "it must be a number of epochs, or text such as 2.5 epochs, 1250 steps or 100000 samples"


@dataclass(frozen=True)
class Length:
    """So many epochs, optimizer steps or samples; only epochs may be a fraction."""

    amount: float
    unit: Unit = "epochs"

    def __str__(self) -> str:
        unit = self.unit.removesuffix("s") if self.amount == 1 else self.unit
        return f"{_plain(self.amount)} {unit}"

    def exact_steps(self, steps_per_epoch: int, batch_size: int) -> float:
        """Return the length in optimizer steps of `batch_size` samples, not rounded."""
        match self.unit:
            case "epochs":
                return self.amount * steps_per_epoch
            case "steps":
                return self.amount
            case "samples":
                return self.amount / batch_size

    def steps(self, steps_per_epoch: int, batch_size: int) -> int:
        """Return the length in whole optimizer steps: the nearest, but of no length above 0 none."""
        exact = self.exact_steps(steps_per_epoch, batch_size)
        return max(round(exact), 1) if exact > 0 else 0


def read_length(value: object) -> Length:
    """Return what a parameter file says: a number means epochs; ValueError for anything else."""
    if isinstance(value, Length):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _checked(float(value), "epochs", value)
    found = _FORM.fullmatch(value) if isinstance(value, str) else None
    if not found:
        raise ValueError(f"is {excerpt(value)}; {_WANTED}")
    units: dict[str, Unit] = {"epoch": "epochs", "step": "steps", "sample": "samples"}
    try:
        amount = float(found[1])
    except ValueError as error:
        raise ValueError(f"is {excerpt(value)}; {_WANTED}") from error
    return _checked(amount, units[found[2]], value)


def write_length(length: Length) -> int | float | str:
    """Return the value of a parameter file that `read_length` reads back; equal for equal lengths."""
    return _plain(length.amount) if length.unit == "epochs" else str(length)


def _checked(amount: float, unit: Unit, given: object) -> Length:
    if not 0 <= amount < 1e15:
        raise ValueError(f"is {excerpt(given)}; a length is a finite number from 0")
    if unit != "epochs" and not amount.is_integer():
        raise ValueError(f"is {excerpt(given)}; only epochs can be a fraction, {unit} are whole")
    return Length(amount, unit)


def _above_zero(length: Length) -> Length:
    if not length.amount:
        raise ValueError(f"is {write_length(length)!r}; it must be above 0")
    return length


def _read_optional(value: object) -> Length | None:
    return None if value is None else _above_zero(read_length(value))


def _write_optional(length: Length | None) -> int | float | str | None:
    return None if length is None else write_length(length)


def _read_or_all(value: object) -> Length | Literal["all"]:
    if value == "all":
        return "all"
    try:
        return read_length(value)
    except ValueError as error:
        raise ValueError(f"{error}; or all") from error


def _write_or_all(length: Length | Literal["all"]) -> int | float | str:
    return length if length == "all" else write_length(length)


def _plain(amount: float) -> int | float:
    return int(amount) if float(amount).is_integer() else amount


# As parameters: from 0, above 0, from 0 or all of the training, and none or above 0.
AnyLength = Annotated[Length, PlainValidator(read_length), PlainSerializer(write_length)]
PositiveLength = Annotated[AnyLength, AfterValidator(_above_zero)]
LengthOrAll = Annotated[
    Length | Literal["all"], PlainValidator(_read_or_all), PlainSerializer(_write_or_all)
]
OptionalLength = Annotated[
    Length | None, PlainValidator(_read_optional), PlainSerializer(_write_optional)
]
