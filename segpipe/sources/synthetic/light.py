"""Light: weather, sun and the camera's answer to them."""

import math
from dataclasses import dataclass

import numpy as np

from segpipe.sources.synthetic.mesh import Colour
from segpipe.sources.synthetic.world import Sensor


@dataclass(frozen=True)
class Light:
    """How a scene is lit and recorded.

    ambient, sun: factors on colours, by channel. toward_sun: unit vector. shadow: 0..1.
    visibility: metres after which haze leaves 37 % of a colour. clouds: share of sky covered.
    lamps: whether windows and headlights are lit. wet: 0..1. gain, noise, blur: of the sensor.
    """

    sky_high: Colour
    sky_low: Colour
    ambient: Colour
    sun: Colour
    toward_sun: Colour
    shadow: float
    visibility: float
    clouds: float
    lamps: bool
    wet: float
    gain: Colour
    noise: float
    blur: float


@dataclass(frozen=True)
class _Kind:
    sky_high: Colour
    sky_low: Colour
    ambient: Colour
    sun: Colour
    elevation: tuple[float, float]
    shadow: float
    visibility: tuple[float, float]
    clouds: tuple[float, float]
    lamps: float
    wet: float


_KINDS = {
    "clear": _Kind(
        (78, 130, 205), (196, 215, 232), (0.56, 0.60, 0.68), (0.66, 0.60, 0.50),
        (0.35, 1.0), 0.5, (250, 600), (0.0, 0.25), 0.0, 0.0,
    ),
    "cloudy": _Kind(
        (105, 145, 200), (205, 214, 224), (0.66, 0.68, 0.72), (0.40, 0.37, 0.33),
        (0.4, 1.0), 0.3, (200, 450), (0.45, 0.8), 0.0, 0.0,
    ),
    "overcast": _Kind(
        (176, 182, 190), (214, 216, 219), (0.86, 0.87, 0.89), (0.06, 0.06, 0.06),
        (0.6, 1.2), 0.0, (120, 300), (0.9, 1.0), 0.05, 0.0,
    ),
    "dusk": _Kind(
        (62, 78, 122), (236, 170, 120), (0.36, 0.37, 0.46), (0.34, 0.22, 0.12),
        (0.08, 0.25), 0.25, (150, 350), (0.2, 0.6), 1.0, 0.0,
    ),
    "fog": _Kind(
        (196, 199, 202), (203, 205, 207), (0.84, 0.85, 0.86), (0.02, 0.02, 0.02),
        (0.6, 1.2), 0.0, (28, 70), (1.0, 1.0), 0.3, 0.2,
    ),
    "rain": _Kind(
        (132, 139, 149), (176, 181, 187), (0.62, 0.64, 0.68), (0.02, 0.02, 0.02),
        (0.6, 1.2), 0.0, (70, 160), (0.95, 1.0), 0.5, 1.0,
    ),
}  # fmt: skip


def light_of(weather: str, sensor: Sensor, tint: Colour, draw: np.random.Generator) -> Light:
    """Draw the light of a scene; `tint` is the white balance of its city."""
    kind = _KINDS[weather]
    azimuth, elevation = draw.uniform(0, 2 * math.pi), draw.uniform(*kind.elevation)
    flat = math.cos(elevation)
    exposure = draw.uniform(0.95, 1.32)
    balance = draw.normal(0, 0.025, 3)
    return Light(
        sky_high=_varied(kind.sky_high, 10, draw),
        sky_low=_varied(kind.sky_low, 8, draw),
        ambient=kind.ambient,
        sun=kind.sun,
        toward_sun=(flat * math.sin(azimuth), math.sin(elevation), flat * math.cos(azimuth)),
        shadow=kind.shadow,
        visibility=draw.uniform(*kind.visibility),
        clouds=draw.uniform(*kind.clouds),
        lamps=bool(draw.random() < kind.lamps),
        wet=kind.wet * draw.uniform(0.6, 1.0),
        gain=tuple(exposure * tint[k] * (1 + float(balance[k])) for k in range(3)),  # type: ignore[arg-type]
        noise=sensor.noise * draw.uniform(0.2, 1.0) * (1.4 if weather == "dusk" else 1.0),
        blur=sensor.blur * draw.uniform(0.0, 1.0),
    )


def _varied(colour: Colour, spread: float, draw: np.random.Generator) -> Colour:
    red, green, blue = np.clip(np.array(colour) + draw.normal(0, spread), 0, 255).tolist()
    return (red, green, blue)
