"""Posts: what lamps, traffic lights and signs are fixed to."""

import numpy as np

from segpipe.sources.synthetic.mesh import BOTH_SIDES, DETAIL, Colour, Mesh, flat, tinted

Draw = np.random.Generator
STEEL = ((118, 122, 124), (92, 96, 98), (66, 74, 70), (140, 142, 142))


def add_post(mesh: Mesh, half: float, height: float, colour: Colour) -> None:
    """Add an upright post, darker on its right side; `half` is half its thickness."""
    mesh.face(
        flat([(-half, 0), (half, 0), (half * 0.8, height), (-half * 0.8, height)]),
        colour,
        BOTH_SIDES,
        4,
    )
    mesh.face(
        flat([(half * 0.2, 0), (half, 0), (half * 0.8, height), (half * 0.2, height)]),
        tinted(colour, 0.7),
        BOTH_SIDES | DETAIL,
        4,
    )


def pick(colours: tuple[Colour, ...], draw: Draw) -> Colour:
    """Draw one of the colours."""
    return colours[int(draw.integers(len(colours)))]
