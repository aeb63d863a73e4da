"""Logits and mask brought together: what every loss begins with.

Shapes: B batch, K classes; one channel of logits (K = 1) is the binary case, whose mask holds the
train ids 0 (rest) and 1 (the class).
"""

from typing import NamedTuple

import torch
from torch import Tensor

from segpipe.labels.scheme import VOID
from segpipe.models.parts.cropping import centre_crop


class Aligned(NamedTuple):
    """Logits of at least float32, and the train ids (int64, with VOID) on their grid.

    valid_BHW: true where the pixel counts.
    """

    logits_BKHW: Tensor
    target_BHW: Tensor
    valid_BHW: Tensor


def align(logits_BKHW: Tensor, mask_BHW: Tensor) -> Aligned:
    """Cut the mask to the centre that the logits cover, and widen logits of lower precision.

    Raises IndexError on the CPU when the mask holds a train id beyond the classes that is not VOID
    (on other devices the question alone would make the program wait).
    """
    num_classes, height, width = logits_BKHW.shape[1:]
    target_BHW = centre_crop(mask_BHW, height, width).long()
    valid_BHW = target_BHW != VOID
    if target_BHW.device.type == "cpu":
        _refuse_beyond(target_BHW, valid_BHW, max(num_classes, 2))
    dtype = torch.promote_types(logits_BKHW.dtype, torch.float32)
    return Aligned(logits_BKHW.to(dtype), target_BHW, valid_BHW)


def _refuse_beyond(target_BHW: Tensor, valid_BHW: Tensor, num_classes: int) -> None:
    beyond_BHW = valid_BHW & (target_BHW >= num_classes)
    if beyond_BHW.any():
        ids = ", ".join(map(str, sorted(set(target_BHW[beyond_BHW].tolist()))))
        raise IndexError(f"the mask holds the train ids {ids}, but there are {num_classes} classes")


def class_members(target_BHW: Tensor, channels: int) -> Tensor:
    """Return for each channel of logits whether the pixel is of its class, (B, K, H, W) bool.

    VOID is of no class. With one channel that class is train id 1.
    """
    first = 1 if channels == 1 else 0
    ids_K = torch.arange(first, first + channels, device=target_BHW.device)
    return target_BHW[:, None] == ids_K[:, None, None]


def probabilities(logits_BKHW: Tensor) -> Tensor:
    """Return the probability of each channel's class: softmax, or sigmoid for one channel."""
    return logits_BKHW.sigmoid() if logits_BKHW.shape[1] == 1 else logits_BKHW.softmax(dim=1)


def pixel_weights(target_BHW: Tensor, weights_K: Tensor) -> Tensor:
    """Return the weight of each pixel by its true class, (B, H, W); of no meaning where VOID."""
    return weights_K.to(target_BHW.device)[target_BHW.masked_fill(target_BHW == VOID, 0)]
