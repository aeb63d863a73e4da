"""Cutting the centre out of pictures, masks and feature maps alike."""

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import numpy as np
    import torch

    # Quoted, so that this leaf drags neither library into floors that do without it.
    Array = TypeVar("Array", torch.Tensor, np.ndarray[Any, Any])


def centre_crop(array: "Array", height: int, width: int) -> "Array":
    """Return the central `height` x `width` of the last two axes, as a view.

    Where the number of rows to drop is odd, the bottom loses one more than the top (columns: the
    right). A network with valid padding places its output in its input by the same rule, so that
    a mask cut here lies on its logits.

    Raises ValueError when the array is smaller than what is asked for.
    """
    rows, columns = array.shape[-2:]
    if height > rows or width > columns:
        raise ValueError(f"cannot cut {height}x{width} pixels out of {rows}x{columns}")
    if (height, width) == (rows, columns):
        return array
    top, left = (rows - height) // 2, (columns - width) // 2
    return array[..., top : top + height, left : left + width]
