import numpy as np
import pytest
import torch

from segpipe.models.parts.cropping import centre_crop


def test_the_bottom_and_right_lose_the_odd_pixel():
    array = np.arange(30).reshape(5, 6)
    assert centre_crop(array, 2, 3).tolist() == [[7, 8, 9], [13, 14, 15]]


def test_arrays_and_tensors_are_cut_alike_on_their_last_axes():
    tensor = torch.arange(2 * 3 * 7 * 8).reshape(2, 3, 7, 8)
    found = centre_crop(tensor, 4, 8)
    assert found.tolist() == centre_crop(tensor.numpy(), 4, 8).tolist()
    assert torch.equal(found, tensor[:, :, 1:5])


def test_nothing_is_copied_where_nothing_is_cut():
    array = np.zeros((4, 4))
    assert centre_crop(array, 4, 4) is array


def test_more_than_there_is_cannot_be_cut():
    with pytest.raises(ValueError, match="cannot cut 5x4 pixels out of 4x4"):
        centre_crop(np.zeros((4, 4)), 5, 4)
