"""Land: what the synthetic satellite tiles show, as written in data/synthetic_esd.yaml."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from segpipe.errors import ParameterError
from segpipe.params.load import read_yaml
from segpipe.params.section import Fraction, Section

Share = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]
Mean = Annotated[float, Field(ge=0, le=200, allow_inf_nan=False)]
Brightness = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]
Length = Annotated[float, Field(gt=0, le=10, allow_inf_nan=False)]


class Shares(Section):
    """Where people live and where there is electricity, as shares of the truth pixels."""

    settled: Share
    lit_if_settled: Share
    lit_if_empty: Share
    patch: Annotated[float, Field(ge=1, le=16, allow_inf_nan=False)]


class Buildings(Section):
    """Mean number of buildings in a truth pixel, and their size in image pixels."""

    settled: Mean
    empty: Mean
    lit: Annotated[float, Field(gt=0, le=4, allow_inf_nan=False)]
    side: Annotated[float, Field(ge=1, le=12, allow_inf_nan=False)]


class Light(Section):
    """Night light in units of the background; `spread` in truth pixels."""

    settled: Brightness
    empty: Brightness
    variation: Fraction
    spread: Length
    noise: Brightness


class Weather(Section):
    """What makes one date differ from the next."""

    cloudy: Fraction
    cover: Fraction
    season: Fraction


class Sensors(Section):
    """Faults of the instruments."""

    noise: Fraction
    looks: Annotated[float, Field(ge=1, le=100, allow_inf_nan=False)]
    border: Fraction


class Land(Section):
    """The whole of data/synthetic_esd.yaml."""

    shares: Shares
    buildings: Buildings
    light: Light
    weather: Weather
    sensors: Sensors


def read_land(path: Path) -> Land:
    """Read and validate a description of the land.

    Raises ParameterError when it is missing, is no YAML, or with one line for each faulty key.
    """
    if not path.is_file():
        raise ParameterError(
            f"params.yaml: source.path is {path}, but there is no such file; for the synthetic_esd "
            "source it names the description of the land, usually data/synthetic_esd.yaml"
        )
    content = read_yaml(path)
    if not isinstance(content, dict):
        sections = ", ".join(Land.model_fields)
        raise ParameterError(f"{path}: must hold the sections {sections}, not {content!r}")
    try:
        return Land.model_validate(content)
    except ValidationError as error:
        faults = [f"{path}: {_explain(fault)}" for fault in error.errors()]
        raise ParameterError("\n".join(faults)) from error


def _explain(fault: Any) -> str:
    place = ".".join(str(part) for part in fault["loc"])
    match fault["type"]:
        case "missing":
            return f"{place} is missing; add it"
        case "extra_forbidden":
            return f"{place} is no key of the land; {_siblings(fault['loc'])}"
        case _:
            wanted = fault["msg"].removeprefix("Input should be ").removeprefix("a valid ")
            return f"{place} is {fault['input']!r}; it must be {wanted}"


def _siblings(place: tuple[str | int, ...]) -> str:
    section: Any = Land
    for key in place[:-1]:
        section = section.model_fields[key].annotation
    owner = ".".join(str(part) for part in place[:-1]) or "the file"
    return f"{owner} has: {', '.join(section.model_fields)}"
