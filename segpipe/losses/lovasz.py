"""Lovász losses of each image: the convex continuation of 1 - IoU.

Shapes: B batch, K classes, P pixels of an image; K = 1 is the binary case.
"""

import torch
from torch import Tensor

from segpipe.losses.aligned import Aligned, class_members, probabilities


def lovasz_sum(aligned: Aligned) -> Tensor:
    """Return the sum over images (float32 scalar) of the Lovász loss, times the image's valid pixels.

    (Berman, Triki and Blaschko 2018, "The Lovász-softmax loss: a tractable surrogate for the
    optimization of the intersection-over-union measure in neural networks".) The error of a pixel
    towards a class is |truth - p| with p from the softmax. The errors of an image are sorted, and
    each is multiplied by what its pixel adds to the Jaccard loss 1 - IoU when the pixels before it
    are wrong already. The mean is taken over the classes that the image's truth holds.

    One logit: the Lovász hinge. The error is max(0, 1 - s logit), with s = 1 where the truth is
    train id 1 and -1 elsewhere; an image without that class counts too, by its largest error.

    An image without valid pixels gives 0 with gradient 0. Sizes and precision are treated as in
    `cross_entropy_sum`.
    """
    logits_BKHW = aligned.logits_BKHW
    members_BKHW = class_members(aligned.target_BHW, logits_BKHW.shape[1])
    if logits_BKHW.shape[1] == 1:
        errors_BKHW = (1 - torch.where(members_BKHW, logits_BKHW, -logits_BKHW)).relu()
    else:
        errors_BKHW = (members_BKHW.to(logits_BKHW) - probabilities(logits_BKHW)).abs()
    # The order, and so the slopes, are constant around the logits: no gradient goes through a sort.
    slopes_BKHW = torch.stack(
        [
            _image_slopes(errors_KHW, members_KHW, valid_HW)
            for errors_KHW, members_KHW, valid_HW in zip(
                errors_BKHW.detach(), members_BKHW, aligned.valid_BHW, strict=True
            )
        ]
    )
    return (errors_BKHW * slopes_BKHW).sum()


def _image_slopes(errors_KHW: Tensor, members_KHW: Tensor, valid_HW: Tensor) -> Tensor:
    """What each error counts in the loss of its image, times the image's valid pixels."""
    members_KP, valid_P = members_KHW.flatten(1), valid_HW.flatten()
    chosen_K = members_KP.any(1) if len(members_KP) > 1 else torch.ones_like(members_KP[:, 0])
    errors_KP = errors_KHW.flatten(1)[chosen_K].masked_fill(~valid_P, -1)
    order_KP = _descending(errors_KP)
    ranked_KP = jaccard_slopes(members_KP[chosen_K].gather(1, order_KP)).to(errors_KP)
    slopes_KP = torch.zeros_like(errors_KP).scatter_(1, order_KP, ranked_KP)
    slopes_KP *= valid_P * (valid_P.sum() / chosen_K.sum().clamp_min(1))
    of_all_KP = errors_KP.new_zeros(members_KP.shape)
    of_all_KP[chosen_K] = slopes_KP
    return of_all_KP.view(members_KHW.shape)


def jaccard_slopes(members_KP: Tensor) -> Tensor:
    """Return what each pixel adds to the Jaccard loss when those before it are wrong already.

    members_KP: whether the pixels belong to the class, those of the largest error first.

    Equals the differences of 1 - (G - m) / (G + n) along the pixels, with G members in all, m
    members and n others so far (the paper's algorithm 1), written out: 1 / (G + n) for a member, and
    (G - m) / ((G + n)(G + n - 1)) for another pixel. Differences of float32 would keep one or
    two digits at a million pixels.
    """
    among_KP = members_KP.cumsum(1)
    places_P = torch.arange(1, members_KP.shape[1] + 1, device=members_KP.device)
    total_K1 = among_KP[:, -1:]
    union_KP = total_K1 + places_P - among_KP
    slopes_KP = torch.where(
        members_KP, 1 / union_KP, (total_K1 - among_KP) / (union_KP * (union_KP - 1))
    )
    # Without any member the first pixel makes the loss 1, and the others add nothing.
    return slopes_KP.where(members_KP | (union_KP > 1), 1)


def _descending(values_KP: Tensor) -> Tensor:
    """Return the places of the values from the largest to the smallest, of equals the first first."""
    if values_KP.device.type != "cpu" or values_KP.dtype != torch.float32:
        return values_KP.sort(dim=1, descending=True, stable=True).indices
    # Sorting (value, place) packed in one whole number is 5 to 10 times faster on a CPU than torch's
    # sort. The bits of floats of 0 and more rise with them, and -1 (void) has the sign bit set.
    places_P = torch.arange(values_KP.shape[1])
    keys_KP = -(values_KP.contiguous().view(torch.int32).long() << 32) + places_P
    keys_KP.numpy().sort(axis=1)
    return keys_KP & 0xFFFFFFFF
