"""Street: the plan of a road and its pavements, before anything stands on it.

The camera drives in a right-hand lane along x = 0; z runs along the street.
"""

from dataclasses import dataclass

import numpy as np

from segpipe.sources.synthetic.mesh import Colour, tinted

Draw = np.random.Generator
LANE = 3.2
TRACK = 3.0
# The street begins behind the camera, because earlier frames of a sequence were taken there.
BEGIN, END = -24.0, 150.0

_PLASTERS = (
    (206, 190, 160), (186, 112, 88), (152, 150, 146), (224, 214, 196), (126, 118, 110),
    (196, 166, 118), (170, 132, 100), (216, 196, 190), (150, 88, 70), (180, 186, 188),
    (232, 222, 170), (110, 108, 112),
)  # fmt: skip


@dataclass(frozen=True)
class City:
    """What the streets of a city share: plasters, ground, season, white balance."""

    plasters: tuple[Colour, ...]
    asphalt: Colour
    paving: Colour
    autumn: float
    tint: Colour


@dataclass(frozen=True)
class Side:
    """One side of the road, outwards from the kerb; `sign` is -1 left, 1 right; widths in metres.

    parking: between lanes and kerb. verge: grass between kerb and pavement. line: x where the
    pavement ends and the plots begin.
    """

    sign: int
    kerb: float
    parking: float
    verge: float
    line: float

    @property
    def walk(self) -> tuple[float, float]:
        """From where to where the pavement goes, x ascending."""
        low, high = sorted((self.kerb + self.sign * self.verge, self.line))
        return low, high


@dataclass(frozen=True)
class Street:
    """The plan. lanes: x of the middle of each lane. junction: z from where to where, or None."""

    district: str
    own_lanes: tuple[float, ...]
    oncoming_lanes: tuple[float, ...]
    track: tuple[float, float] | None
    left: Side
    right: Side
    junction: tuple[float, float] | None

    @property
    def sides(self) -> tuple[Side, Side]:
        """Both sides, the left one first."""
        return self.left, self.right


def found_city(draw: Draw) -> City:
    """Draw what is peculiar to a city."""
    plasters = tuple(_PLASTERS[k] for k in draw.permutation(len(_PLASTERS))[:6].tolist())
    grey = draw.uniform(78, 112)
    paving = draw.uniform(112, 152)
    warm = draw.uniform(-6, 12)
    balance = 1 + draw.normal(0, 0.035, 3)
    return City(
        plasters=plasters,
        asphalt=(grey + 1, grey + 1, grey + 4),
        paving=(paving + warm, paving + warm * 0.5, paving - warm * 0.3),
        autumn=draw.uniform(0, 0.5),
        tint=(float(balance[0]), float(balance[1]), float(balance[2])),
    )


def plan_street(district: str, junction: bool, track: bool, draw: Draw) -> Street:
    """Draw the plan of a street of a district; `track` asks for a tram track where it is wide."""
    wide = district == "boulevard"
    own = 2 if (wide or draw.random() < 0.15) and draw.random() < 0.75 else 1
    inner = own == 2 and draw.random() < 0.5
    right = LANE / 2 + (LANE if inner else 0.0)
    left = right - own * LANE
    rails = (left - TRACK, left) if track and wide else None
    middle = left - (TRACK if rails else 0.0)
    oncoming = own if wide else 1
    far = middle - oncoming * LANE
    start = draw.uniform(14, 60)
    return Street(
        district=district,
        own_lanes=tuple(right - LANE * (k + 0.5) for k in range(own)),
        oncoming_lanes=tuple(middle - LANE * (k + 0.5) for k in range(oncoming)),
        track=rails,
        left=_side(-1, far, district, draw),
        right=_side(1, right, district, draw),
        junction=(start, start + draw.uniform(8, 12)) if junction else None,
    )


def plaster_of(city: City, draw: Draw) -> Colour:
    """Draw the colour of a building of a city."""
    colour = city.plasters[int(draw.integers(len(city.plasters)))]
    return tinted(colour, draw.uniform(0.85, 1.1))


def _side(sign: int, edge: float, district: str, draw: Draw) -> Side:
    parking = (
        2.2 if draw.random() < {"old_town": 0.5, "industrial": 0.5}.get(district, 0.75) else 0.0
    )
    green = {"residential": 0.5, "boulevard": 0.3, "industrial": 0.4}.get(district, 0.0)
    verge = draw.uniform(1.0, 2.5) if draw.random() < green else 0.0
    widths = {
        "old_town": (1.6, 3.4),
        "boulevard": (3.0, 6.0),
        "residential": (1.8, 3.2),
        "industrial": (1.5, 2.8),
    }
    walk = draw.uniform(*widths[district])
    kerb = edge + sign * (parking + 0.3)
    return Side(sign, kerb, parking, verge, kerb + sign * (verge + walk))
