"""What training minimises: the section `loss` of params.yaml."""

import difflib
from typing import Annotated, Literal, cast, get_args

from pydantic import Field, field_validator, model_validator

from segpipe.params.section import (
    Fraction,
    Positive,
    PositiveInt,
    Section,
)

# The losses that can stand alone or in a sum.
LossName = Literal["cross_entropy", "bce", "dice", "lovasz", "focal", "ohem", "boundary"]


class CrossEntropyParams(Section):
    """Cross-entropy: the fraction of the truth that is spread evenly over all classes."""

    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """0 to below 1; fraction of the truth that is spread over all classes"""


class DiceParams(Section):
    """Soft Dice: pixels added above and below the fraction, which keep it defined."""

    smooth: Annotated[float, Field(ge=1e-6, allow_inf_nan=False)] = 1.0
    """pixels added above and below the fraction, 0.000001 or more"""


class FocalParams(Section):
    """Focal loss: how much less the pixels count that are right already."""

    gamma: Annotated[float, Field(ge=0, le=10)] = 2.0
    """0..10; how much less the pixels count that are right already; 0: cross-entropy"""


class OhemParams(Section):
    """Hard pixels of each image: those below a probability, and at least a fraction or a number."""

    threshold: Fraction = 0.7
    """0..1; those whose true class has a lower probability"""
    share: Fraction = 0.0625
    """0..1; at least this fraction of the valid pixels"""
    min_kept: PositiveInt = 256
    """pixels, 1 or more; at least as many"""


class BoundaryParams(Section):
    """Weight near class borders: how far it reaches (standard deviation), how much it adds."""

    distance: Annotated[float, Field(gt=0, le=32)] = 5.0
    """pixels, above 0 up to 32; standard deviation of the fall with the distance"""
    strength: Annotated[float, Field(ge=0, le=1000)] = 10.0
    """0..1000; what a pixel on the border counts beyond 1"""


class LossParams(Section):
    """What training minimises; only the options of the named loss are used."""

    name: Literal[LossName, "sum"] = "cross_entropy"
    """cross_entropy | bce | dice | lovasz | focal | ohem | boundary | sum; only the options of the
    named one are used"""
    sum: dict[str, Positive] = Field(default_factory=lambda: {"cross_entropy": 1.0, "dice": 1.0})
    """when name is sum: losses by name and their weights, above 0; not bce beside cross_entropy"""
    class_weights: Literal["none", "inverse", "median", "enet", "effective", "given"] = "none"
    """none | inverse | median | enet | effective (from the training pixels) | given; not for dice
    and lovasz"""
    given: dict[str, Annotated[float, Field(ge=0, allow_inf_nan=False)]] = Field(
        default_factory=dict
    )
    """when class_weights is given: a weight for each class, such as {road: 1.0, pole: 5.0}; scaled
    to a mean of 1 over the training pixels"""
    auxiliary: Fraction = 0.4
    """0..1; weight of the loss of auxiliary heads, where the model has some"""
    cross_entropy: CrossEntropyParams = CrossEntropyParams()
    dice: DiceParams = DiceParams()
    focal: FocalParams = FocalParams()
    ohem: OhemParams = OhemParams()
    """only the hardest pixels of each image count"""
    boundary: BoundaryParams = BoundaryParams()
    """pixels near a border between classes count more"""

    @field_validator("sum")
    @classmethod
    def _sum_of_losses(cls, weights: dict[str, float]) -> dict[str, float]:
        known = get_args(LossName)
        faults = [_unknown_loss(name, known) for name in weights if name not in known]
        if faults:
            raise ValueError(f"{'; '.join(faults)}. The losses are {', '.join(known)}")
        if "bce" in weights and "cross_entropy" in weights:
            raise ValueError(
                "bce has one logit for the class, cross_entropy one for each of two or more; "
                "take one of the two out (all others go with either)"
            )
        return weights

    @model_validator(mode="after")
    def _named_has_its_values(self) -> "LossParams":
        faults = []
        if self.name == "sum" and not self.sum:
            faults.append(
                "name is sum, but sum is empty; add losses with their weights, such as "
                "{cross_entropy: 1.0, dice: 1.0}"
            )
        if self.class_weights == "given" and not any(self.given.values()):
            faults.append(
                "class_weights is given, but given holds no weight above 0; add one for each class, "
                "such as {road: 1.0, pole: 5.0}"
            )
        if faults:
            raise ValueError("; ".join(faults))
        return self

    def unused(self) -> frozenset[str]:
        """Return the options of losses that are not added up, and of weights that are not given."""
        idle = {"cross_entropy", "dice", "focal", "ohem", "boundary"} - self.terms.keys()
        idle |= set() if self.name == "sum" else {"sum"}
        idle |= set() if self.class_weights == "given" else {"given"}
        return frozenset(idle)

    @property
    def terms(self) -> dict[LossName, float]:
        """The losses that are added up, and their weights; one of weight 1 unless name is sum."""
        if self.name == "sum":
            return cast(dict[LossName, float], self.sum)
        return {self.name: 1.0}


def _unknown_loss(name: str, known: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"{name} is not a loss" + (f"; did you mean {near[0]}?" if near else "")
