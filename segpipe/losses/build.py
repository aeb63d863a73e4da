"""The losses by name, and weighted sums of them.

Every loss is a function of logits and mask, brought together by `align`, that returns a sum over the
samples of the batch. The sum over the global batch, divided by the global number of valid pixels, is
the loss (law 6); neither the number of processes nor accumulation changes it.

- A loss that is a mean over pixels (cross_entropy, bce, focal, boundary) is summed over the valid
  pixels.
- A loss that is none (dice, lovasz) is computed for each image, and counts as many times as the image
  has valid pixels; so it is a mean over images, each weighted by its valid pixels.
- ohem is a mean over the kept pixels of each image, and counts likewise.

Class weights multiply the pixel losses (cross_entropy, bce, focal, ohem, boundary); dice and lovasz
give each class present the same say by themselves and take none.

Shapes: B batch, K classes.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from segpipe.losses.aligned import Aligned, align
from segpipe.losses.binary_cross_entropy import binary_cross_entropy_sum
from segpipe.losses.boundary import boundary_sum
from segpipe.losses.cross_entropy import cross_entropy_sum
from segpipe.losses.dice import dice_sum
from segpipe.losses.focal import focal_sum
from segpipe.losses.lovasz import lovasz_sum
from segpipe.losses.ohem import ohem_sum
from segpipe.params.loss import LossName, LossParams

# (logits_BKHW, mask_BHW) -> sum over the samples, float32 scalar
Loss = Callable[[Tensor, Tensor], Tensor]


def build_loss(params: LossParams, weights_K: Tensor | None = None) -> Loss:
    """Return the named loss, a sum over the samples and the centre that the logits cover.

    weights_K: of the classes, with a mean of 1 over the training pixels; for a binary loss of train
    ids 0 and 1. Best kept on the device of the logits. None weighs all alike.
    """
    losses = [(weight, _named(name, params, weights_K)) for name, weight in params.terms.items()]

    def weighted_sum(logits_BKHW: Tensor, mask_BHW: Tensor) -> Tensor:
        aligned = align(logits_BKHW, mask_BHW)
        return torch.stack([weight * loss(aligned) for weight, loss in losses]).sum()

    return weighted_sum


def is_binary(params: LossParams) -> bool:
    """Whether the network must end in one logit a pixel, of train id 1 against 0."""
    return "bce" in params.terms


def logits_a_pixel(params: LossParams, classes: int) -> int:
    """Return the channels of logits that a loss needs: one for each class, or one for the second."""
    return 1 if is_binary(params) else classes


def _named(
    name: LossName, params: LossParams, weights_K: Tensor | None
) -> Callable[[Aligned], Tensor]:
    match name:
        case "cross_entropy":
            smoothing = params.cross_entropy.label_smoothing
            return partial(cross_entropy_sum, weights_K=weights_K, label_smoothing=smoothing)
        case "bce":
            return partial(binary_cross_entropy_sum, weights_2=weights_K)
        case "dice":
            return partial(dice_sum, smooth=params.dice.smooth)
        case "lovasz":
            return lovasz_sum
        case "focal":
            return partial(focal_sum, gamma=params.focal.gamma, weights_K=weights_K)
        case "ohem":
            ohem = params.ohem
            return partial(
                ohem_sum,
                share=ohem.share,
                threshold=ohem.threshold,
                min_kept=ohem.min_kept,
                weights_K=weights_K,
            )
        case "boundary":
            distance, strength = params.boundary.distance, params.boundary.strength
            return partial(boundary_sum, distance=distance, strength=strength, weights_K=weights_K)
