"""World: what the procedural streets are made of, as written in data/synthetic.yaml."""

import re
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, model_validator

from segpipe.params.section import Fraction, Section, pair
from segpipe.sources.description import read_description

Names = Annotated[tuple[str, ...], Field(min_length=1), BeforeValidator(pair)]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Mean = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]


class Cities(Section):
    """The cities of each split; a city belongs to one split only."""

    train: Names
    val: Names
    test: Names

    @model_validator(mode="after")
    def _names_are_usable(self) -> "Cities":
        every = [*self.train, *self.val, *self.test]
        for city in every:
            if not re.fullmatch(r"[a-z]+(-[a-z]+)*", city):
                raise ValueError(
                    f"{city!r} is no usable city name; file names need lower-case letters, "
                    "with hyphens between words"
                )
            if every.count(city) > 1:
                raise ValueError(f"{city} appears twice; a city belongs to one split only")
        return self


class _Weights(Section):
    """Relative weights of alternatives; they need not add up to 1."""

    @model_validator(mode="after")
    def _something_can_happen(self) -> "_Weights":
        if sum(self.model_dump().values()) <= 0:
            raise ValueError("all weights are 0; at least one must be above")
        return self


class Weather(_Weights):
    """How often each weather and hour comes."""

    clear: Weight
    cloudy: Weight
    overcast: Weight
    dusk: Weight
    fog: Weight
    rain: Weight


class Districts(_Weights):
    """How often each kind of street comes."""

    old_town: Weight
    boulevard: Weight
    residential: Weight
    industrial: Weight


class Density(Section):
    """Mean number of things in a street of 120 m; the number itself is a Poisson draw."""

    parked_cars: Mean
    moving_cars: Mean
    trucks: Mean
    buses: Mean
    trams: Mean
    people: Mean
    cyclists: Mean
    motorcyclists: Mean
    bicycles: Mean
    trees: Mean
    lamps: Mean
    signs: Mean
    clutter: Mean


class Chances(Section):
    """Probabilities of what a street or a picture either has or has not."""

    junction: Fraction
    traffic_lights: Fraction
    tram_track: Fraction
    bend: Fraction
    hood: Fraction
    border: Fraction


class Sensor(Section):
    """The camera's faults: noise and blur at their worst, 0 for a perfect camera."""

    noise: Annotated[float, Field(ge=0, le=50, allow_inf_nan=False)]
    blur: Annotated[float, Field(ge=0, le=5, allow_inf_nan=False)]


class World(Section):
    """The whole of data/synthetic.yaml."""

    cities: Cities
    weather: Weather
    districts: Districts
    density: Density
    chances: Chances
    sensor: Sensor


def read_world(path: Path) -> World:
    """Read and validate a world file; ParameterError as `read_description` says."""
    return read_description(path, World, "data/synthetic.yaml")
