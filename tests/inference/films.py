"""Small films for tests."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray


def grey(value: int, height: int = 32, width: int = 48) -> NDArray[np.uint8]:
    return np.full((height, width, 3), value, np.uint8)


def write_film(
    path: Path,
    pictures: Sequence[NDArray[np.uint8]],
    rate: Fraction | int = 25,
    codec: str = "libx264",
    times: Sequence[int] | None = None,
    **options: str,
) -> Path:
    """Write a film of the suffix's kind; times: of the frames, in frames, where they are uneven."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", options=options) as container:
        stream: Any = container.add_stream(codec, rate=rate)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "bgr0" if codec == "ffv1" else "yuv420p"
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = number if times is None else times[number]
            frame.time_base = 1 / Fraction(rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def read_film(path: Path) -> tuple[list[NDArray[np.uint8]], list[float], Fraction]:
    """Pictures, times in seconds and mean rate of a film, read by PyAV alone."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = [*container.decode(stream)]
        pictures = [frame.to_ndarray(format="rgb24") for frame in frames]
        times = [float(frame.time or 0) for frame in frames]
        return pictures, times, Fraction(stream.average_rate or 0)


def turn_sideways(path: Path) -> None:
    """Write the display matrix of a phone held upright: shown turned by 90 degrees clockwise."""
    content = bytearray(path.read_bytes())
    place = (
        content.index(b"tkhd") + 4 + 40
    )  # version 0: the matrix follows 40 bytes (ISO 14496-12, 8.3.2)
    one, unit = 1 << 16, 1 << 30
    width = 32
    values = [0, one, 0, -one, 0, 0, width * one, 0, unit]
    for number, value in enumerate(values):
        content[place + 4 * number : place + 4 * number + 4] = value.to_bytes(4, "big", signed=True)
    path.write_bytes(content)
