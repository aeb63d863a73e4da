"""Images with truth, prediction and errors inside an HTML page."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from segpipe.rendering.layout import Picture

_SIDE, _FRAME_SIDE = (
    480,
    240,
)  # pixels, of the longer side of a panel and of an earlier frame of a clip
_BUDGET = 3_000_000  # bytes of all pictures of a page, as base64
_QUALITIES = (84, 70, 50, 30)  # of JPEG


@dataclass(frozen=True)
class Example:
    """An image of the report. kind: what it stands for, such as `worst`. name: of its sample.

    panels: pictures of the same size by caption. frames: of a clip, the earlier ones, in order.
    """

    kind: str
    name: str
    panels: dict[str, Picture]
    frames: Sequence[Picture] = ()


@dataclass(frozen=True)
class EmbeddedPicture:
    """A picture as a `data:` address. width, height: in pixels."""

    caption: str
    address: str
    width: int
    height: int


@dataclass(frozen=True)
class EmbeddedExample:
    """An example as the page holds it."""

    kind: str
    name: str
    panels: list[EmbeddedPicture]
    frames: list[EmbeddedPicture]


def embedded_examples(examples: Sequence[Example]) -> list[EmbeddedExample]:
    """Return the examples with their pictures as JPEG, which together take at most 3 MB.

    Where they take more, as many large pictures of noise do, the quality of all is lowered; only what
    passes even at the lowest quality is left out, from the last example on.
    """
    for quality in _QUALITIES:
        found = [_embedded(example, quality) for example in examples]
        sizes = [sum(len(one.address) for one in (*each.panels, *each.frames)) for each in found]
        if sum(sizes) <= _BUDGET:
            return found
    return [each for place, each in enumerate(found) if sum(sizes[: place + 1]) <= _BUDGET]


def _embedded(example: Example, quality: int) -> EmbeddedExample:
    frames = enumerate(example.frames, start=-len(example.frames))
    return EmbeddedExample(
        kind=example.kind,
        name=example.name,
        panels=[
            _picture(caption, panel, _SIDE, quality) for caption, panel in example.panels.items()
        ],
        frames=[_picture(f"frame {at}", frame, _FRAME_SIDE, quality) for at, frame in frames],
    )


def _picture(caption: str, picture_HW3: Picture, side: int, quality: int) -> EmbeddedPicture:
    image, content = Image.fromarray(np.ascontiguousarray(picture_HW3)), io.BytesIO()
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    image.save(content, "JPEG", quality=quality, optimize=True)
    address = f"data:image/jpeg;base64,{base64.b64encode(content.getvalue()).decode()}"
    return EmbeddedPicture(caption, address, image.width, image.height)
