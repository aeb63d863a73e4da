"""The ground of every section of params.yaml: strict types, no unknown keys, no change after reading."""

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.fields import FieldInfo


class Section(BaseModel):
    """A section of params.yaml.

    Every field has its default, but a parameter file must spell all of them out: DVC sees only what
    stands in the file (`segpipe.params.load` refuses a file with gaps). The string below a field
    describes it: it is the comment in params.yaml and the row in docs/parameters.md.
    """

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        protected_namespaces=(),
        use_attribute_docstrings=True,
    )

    def unused(self) -> frozenset[str]:
        """Return the parameters, by dotted key, that belong to alternatives that were not chosen."""
        return frozenset()


@dataclass(frozen=True)
class Since:
    """Marks a parameter that a later version of segpipe brought; its default changes nothing.

    A parameter file of an older version, which lacks it, is read at the default, and at the default
    the parameter is part of no fingerprint, bundle or comparison.
    """

    version: str


def since(field: FieldInfo) -> str | None:
    """Return the version that brought a parameter; None for those of the first version."""
    return next((one.version for one in field.metadata if isinstance(one, Since)), None)


def is_neutral(field: FieldInfo, value: Any) -> bool:
    """Return whether a later parameter has the value at which it changes nothing."""
    return since(field) is not None and value == field.get_default(call_default_factory=True)


def section_of(field: FieldInfo) -> type[Section] | None:
    """Return the section that a field is, or None for a single parameter."""
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, Section) else None


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
PositiveInt = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Pixels = Annotated[int, Field(ge=8, le=65536)]
_Two = (BeforeValidator(pair), AfterValidator(_ascending))
_Factor = Annotated[float, Field(ge=0.1, le=10, allow_inf_nan=False)]
_Turn = Annotated[float, Field(ge=0, le=180, allow_inf_nan=False)]
_Step = Annotated[float, Field(ge=0, le=255, allow_inf_nan=False)]
# Lower and upper end of a uniform draw: of a factor, a fraction, an angle, a number of steps.
Range = Annotated[tuple[Positive, Positive], *_Two]
FractionRange = Annotated[tuple[Fraction, Fraction], *_Two]
Zoom = Annotated[tuple[_Factor, _Factor], *_Two]
Degrees = Annotated[tuple[_Turn, _Turn], *_Two]
Steps = Annotated[tuple[_Step, _Step], *_Two]
