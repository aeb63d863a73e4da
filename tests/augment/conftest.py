"""Draws of rows of which any window will do, of sizes one by one."""

from collections.abc import Iterable

from segpipe.augment import draw as drawing
from segpipe.augment.draw import Draws, plain_specs
from segpipe.params.augment import AugmentParams


def draw(
    params: AugmentParams,
    seed: int,
    epoch: int,
    rows: Iterable[int],
    height: int,
    width: int,
    crop_height: int,
    crop_width: int,
    step: int = 1,
) -> Draws:
    image, crop = (height, width), (crop_height, crop_width)
    return drawing.draw(params, seed, epoch, plain_specs(rows), image=image, crop=crop, step=step)
