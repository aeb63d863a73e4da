"""Land: what the synthetic satellite tiles show, as written in data/synthetic_esd.yaml."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from segpipe.params.section import Fraction, Section
from segpipe.sources.description import read_description

Share = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]
Mean = Annotated[float, Field(ge=0, le=200, allow_inf_nan=False)]
Brightness = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]


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
    spread: Annotated[float, Field(gt=0, le=10, allow_inf_nan=False)]
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
    """Read and validate a description of the land; ParameterError as `read_description` says."""
    return read_description(path, Land, "data/synthetic_esd.yaml")
