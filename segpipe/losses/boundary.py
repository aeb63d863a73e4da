"""Cross-entropy that counts more near the borders between classes.

Shapes: B batch, K classes; K = 1 is the binary case.
"""

from math import ceil

import torch
from torch import Tensor

from segpipe.labels.scheme import VOID
from segpipe.losses.aligned import Aligned

# Beyond so many `distance`s a border adds less than 1.2 % of its strength, and is not looked for.
_REACH = 3


def boundary_sum(
    aligned: Aligned,
    distance: float,
    strength: float,
    weights_K: Tensor | None = None,
) -> Tensor:
    """Return the sum (float32 scalar, in nats) of -f log p(true class) over the valid pixels.

    f is the factor of `border_factors`, from the part of the mask under the logits. The divisor
    stays the number of valid pixels, so the loss is larger than a cross-entropy, as in U-Net.

    Void, weights, sizes and precision are treated as in `cross_entropy_sum`.
    """
    loss_BHW = aligned.weighted(aligned.cross_entropy_BHW, weights_K)
    factors_BHW = border_factors(aligned.target_BHW, distance, strength)
    return (loss_BHW * factors_BHW.to(loss_BHW)).sum()


def border_factors(target_BHW: Tensor, distance: float, strength: float) -> Tensor:
    """Return 1 + strength * exp(-d^2 / (2 distance^2)) for each pixel, float32 (B, H, W).

    d: Euclidean distance to the nearest border pixel, one of whose four neighbours is of another
    class; neither of the two may be VOID, and the edge of the image is no border. Beyond three
    times `distance` the factor is 1.

    As the weight map of U-Net (Ronneberger, Fischer and Brox 2015, equation 2, with w0 = 10 and
    sigma = 5 pixels), for semantic truth: d takes the place of the distances to the two nearest
    cells, and the factor multiplies the weight of the class.
    """
    reach = ceil(_REACH * distance)
    squared_BHW = _squared_distances(_borders(target_BHW), reach)
    factors_BHW = 1 + strength * torch.exp(squared_BHW / (-2 * distance**2))
    return factors_BHW.where(squared_BHW <= (_REACH * distance) ** 2, 1)


def _borders(target_BHW: Tensor) -> Tensor:
    """Whether each pixel touches another class above, below, left or right."""
    border_BHW = torch.zeros_like(target_BHW, dtype=torch.bool)
    for axis in (1, 2):
        steps = target_BHW.shape[axis] - 1
        before, after = target_BHW.narrow(axis, 0, steps), target_BHW.narrow(axis, 1, steps)
        differ = (before != after) & (before != VOID) & (after != VOID)
        border_BHW.narrow(axis, 0, steps).logical_or_(differ)
        border_BHW.narrow(axis, 1, steps).logical_or_(differ)
    return border_BHW


def _squared_distances(border_BHW: Tensor, reach: int) -> Tensor:
    """The squared distance to the nearest border pixel; exact up to `reach`, more than that beyond.

    The squares of rows and columns add up, so the nearest is found along one axis after the other
    (Felzenszwalb and Huttenlocher 2012, "Distance transforms of sampled functions").
    """
    nearest_BHW = torch.where(border_BHW, 0.0, torch.inf)
    for axis in (1, 2):
        given_BHW = nearest_BHW
        nearest_BHW = given_BHW.clone()
        side = given_BHW.shape[axis]
        for step in range(1, min(reach, side - 1) + 1):
            for start, source in ((step, 0), (0, step)):
                part = nearest_BHW.narrow(axis, start, side - step)
                moved = given_BHW.narrow(axis, source, side - step) + step**2
                torch.minimum(part, moved, out=part)
    return nearest_BHW
