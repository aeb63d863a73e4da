"""Logits and mask brought together: what every loss begins with.

Shapes: B batch, K classes; one channel of logits (K = 1) is the binary case, whose mask holds the
train ids 0 (rest) and 1 (the class).
"""

from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from segpipe.labels.scheme import VOID
from segpipe.models.parts.cropping import centre_crop


@dataclass(frozen=True)
class Aligned:
    """Logits of at least float32, and the train ids (int64, with VOID) on their grid.

    valid_BHW: true where the pixel counts.
    """

    logits_BKHW: Tensor
    target_BHW: Tensor
    valid_BHW: Tensor

    @cached_property
    def cross_entropy_BHW(self) -> Tensor:
        """-log p(true class) of each pixel, 0 where VOID; computed once for all losses of a sum."""
        if self.logits_BKHW.shape[1] > 1:
            # torch's own sum over pixels uses atomic additions on CUDA, whose order varies.
            return F.cross_entropy(
                self.logits_BKHW, self.target_BHW, ignore_index=VOID, reduction="none"
            )
        logits_BHW = self.logits_BKHW[:, 0]
        truth_BHW = (self.target_BHW == 1).to(logits_BHW)
        loss_BHW = F.binary_cross_entropy_with_logits(logits_BHW, truth_BHW, reduction="none")
        return loss_BHW.masked_fill(~self.valid_BHW, 0)

    def weighted(self, loss_BHW: Tensor, weights_K: Tensor | None) -> Tensor:
        """Return the loss of each pixel times the weight of its true class, where there are weights."""
        if weights_K is None:
            return loss_BHW
        return loss_BHW * pixel_weights(self.target_BHW, weights_K.to(loss_BHW))


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
