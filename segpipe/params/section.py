"""The ground of every section of params.yaml: strict types, no unknown keys, no change after reading."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field


class Section(BaseModel):
    """A section of params.yaml.

    Every field has its usual value as default, but a parameter file must spell all of them out:
    DVC sees only what stands in the file (`segpipe.params.load` refuses a file with gaps).
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, protected_namespaces=())


def pair(value: object) -> object:
    """YAML has lists, the sections hold tuples; strict pydantic does not convert by itself."""
    return tuple(value) if isinstance(value, list) else value


def _ascending(ends: tuple[float, float]) -> tuple[float, float]:
    if ends[0] > ends[1]:
        raise ValueError(f"{list(ends)} has its upper end before its lower one")
    return ends


def strictly_ascending(ends: tuple[float, float]) -> tuple[float, float]:
    """Refuse an interval without extent."""
    if ends[0] >= ends[1]:
        raise ValueError(f"{list(ends)} has no extent; the lower end must come first")
    return ends


Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Pixels = Annotated[int, Field(ge=8, le=65536)]
_Two = (BeforeValidator(pair), AfterValidator(_ascending))
_Factor = Annotated[float, Field(ge=0.1, le=10, allow_inf_nan=False)]
_Turn = Annotated[float, Field(ge=0, le=180, allow_inf_nan=False)]
_Step = Annotated[float, Field(ge=0, le=255, allow_inf_nan=False)]
# Lower and upper end of a uniform draw: of a factor, a share, an angle, a number of steps.
Range = Annotated[tuple[Positive, Positive], *_Two]
Spread = Annotated[tuple[Fraction, Fraction], *_Two]
Zoom = Annotated[tuple[_Factor, _Factor], *_Two]
Degrees = Annotated[tuple[_Turn, _Turn], *_Two]
Steps = Annotated[tuple[_Step, _Step], *_Two]
