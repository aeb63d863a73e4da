"""Counting: which class was predicted where which is true (law 7).

Shapes: B batch, K classes. In a confusion matrix rows are the truth, columns the prediction.
"""

import torch
from torch import Tensor

from segpipe.labels.scheme import VOID
from segpipe.runtime.errors import DataError


def confusion_matrix(prediction_BHW: Tensor, truth_BHW: Tensor, num_classes: int) -> Tensor:
    """Return the counts of a batch, (K, K) int64 on its device; see `confusion_by_image`."""
    return confusion_by_image(prediction_BHW, truth_BHW, num_classes).sum(dim=0)


def confusion_by_image(prediction_BHW: Tensor, truth_BHW: Tensor, num_classes: int) -> Tensor:
    """Return the counts of each image, (B, K, K) int64 on its device.

    Both hold train ids in any integer type. Pixels whose truth is VOID count nowhere, whatever is
    predicted there. Counting is in integers: exact above 2^24, where float32 stops counting, and
    the same in every run, also on CUDA (bincount without weights adds integers, and the order of
    integer additions does not show).

    Raises ValueError for shapes that differ and for a prediction outside of 0..K-1 on a valid
    pixel, DataError for such a truth.
    """
    if prediction_BHW.shape != truth_BHW.shape or truth_BHW.ndim != 3:
        shapes = f"{tuple(prediction_BHW.shape)} and {tuple(truth_BHW.shape)}"
        raise ValueError(f"prediction and truth must both be (B, H, W), not {shapes}")
    batch, cells = truth_BHW.shape[0], num_classes**2
    truth, prediction = truth_BHW.flatten(1).int(), prediction_BHW.flatten(1).int()
    valid = truth != VOID
    _check(prediction, truth, valid, num_classes)
    image = torch.arange(batch, device=truth.device, dtype=torch.int32)[:, None]
    cell = image * cells + truth * num_classes + prediction
    # Void goes to one cell more, which is cut off: cheaper than picking the valid pixels out.
    cell = torch.where(valid, cell, batch * cells)
    counts = torch.bincount(cell.flatten(), minlength=batch * cells + 1)
    return counts[:-1].reshape(batch, num_classes, num_classes)


def _check(prediction: Tensor, truth: Tensor, valid: Tensor, num_classes: int) -> None:
    for name, value in (("mask", truth), ("prediction", prediction)):
        wrong = valid & ((value < 0) | (value >= num_classes))
        if wrong.any():
            found = f"train id {int(value[wrong][0])}, outside of 0..{num_classes - 1}"
            if name == "prediction":
                raise ValueError(f"a prediction holds {found}")
            raise DataError(
                f"a mask holds {found}: it was prepared for another label scheme than the model's; "
                "run the prepare stage again, or use the model with its own data"
            )
