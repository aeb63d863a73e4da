import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix as sklearn_confusion
from torch import Tensor

from segpipe.labels.scheme import VOID
from segpipe.metrics.confusion import confusion_by_image, confusion_matrix
from segpipe.runtime.errors import DataError


def batch(seed: int, samples: int = 3, classes: int = 5) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(seed)
    prediction = torch.randint(0, classes, (samples, 6, 7), generator=random)
    truth = torch.randint(0, classes, (samples, 6, 7), generator=random)
    void = torch.rand(truth.shape, generator=random) < 0.25
    return prediction, truth.masked_fill(void, VOID).to(torch.uint8)


def loop(prediction: Tensor, truth: Tensor, classes: int) -> list[list[int]]:
    counts = [[0] * classes for _ in range(classes)]
    for true, found in zip(truth.flatten().tolist(), prediction.flatten().tolist(), strict=True):
        if true != VOID:
            counts[true][found] += 1
    return counts


def test_hand_case():
    truth = torch.tensor([[[0, 0, 1, 1], [2, VOID, 0, 1]]], dtype=torch.uint8)
    prediction = torch.tensor([[[0, 1, 1, 1], [0, 2, 0, 2]]])
    expected = [[2, 1, 0], [0, 2, 1], [1, 0, 0]]
    found = confusion_matrix(prediction, truth, 3)
    assert found.tolist() == expected and found.dtype == torch.int64


def test_it_is_the_loop_and_scikit_learns():
    prediction, truth = batch(0)
    found = confusion_matrix(prediction, truth, 5)
    assert found.tolist() == loop(prediction, truth, 5)
    valid = truth != VOID
    expected = sklearn_confusion(truth[valid], prediction[valid], labels=range(5))
    assert found.tolist() == expected.tolist()


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 6), st.integers(1, 6))
def test_the_sum_of_the_parts_is_the_whole(seed, samples, classes):
    prediction, truth = batch(seed, samples, classes)
    whole = confusion_matrix(prediction, truth, classes)
    by_image = confusion_by_image(prediction, truth, classes)
    assert by_image.shape == (samples, classes, classes)
    assert torch.equal(by_image.sum(0), whole)
    for index in range(samples):
        part = confusion_matrix(prediction[index, None], truth[index, None], classes)
        assert torch.equal(part, by_image[index])
    assert whole.sum() == (truth != VOID).sum()


@pytest.mark.parametrize("kind", [torch.uint8, torch.int32, torch.int64])
def test_any_integer_type_will_do(kind):
    prediction, truth = batch(1)
    expected = confusion_matrix(prediction, truth, 5)
    assert torch.equal(confusion_matrix(prediction.to(kind), truth.to(kind), 5), expected)


def test_255_classes_fit_beside_void():
    truth = torch.tensor([[[254, 0, VOID, 254]]], dtype=torch.uint8)
    prediction = torch.tensor([[[254, 254, 7, 0]]], dtype=torch.uint8)
    found = confusion_matrix(prediction, truth, 255)
    assert found.nonzero().tolist() == [[0, 254], [254, 0], [254, 254]] and found.sum() == 3


def test_all_void_counts_nothing_whatever_is_predicted_there():
    truth = torch.full((2, 3, 4), VOID, dtype=torch.uint8)
    assert confusion_by_image(torch.full((2, 3, 4), 99), truth, 3).sum() == 0


def test_it_counts_on_where_float32_stops():
    side = 4097
    pixels = torch.zeros(1, side, side, dtype=torch.uint8)
    found = int(confusion_matrix(pixels, pixels, 2)[0, 0])
    assert found == side * side > 2**24
    assert int(np.float32(found)) != found


@pytest.mark.parametrize("wrong", [-1, 5, 255])
def test_a_prediction_outside_of_the_classes_is_refused(wrong):
    prediction, truth = batch(2)
    truth[0, 0, 0], prediction[0, 0, 0] = 1, wrong
    with pytest.raises(
        ValueError, match=rf"a prediction holds train id {wrong}, outside of 0\.\.4"
    ):
        confusion_matrix(prediction, truth, 5)


def test_a_truth_outside_of_the_classes_is_refused():
    prediction, truth = batch(2)
    truth[1, 0, 0] = 5
    with pytest.raises(DataError, match=r"a mask holds train id 5.*run the prepare stage"):
        confusion_matrix(prediction, truth, 5)


def test_shapes_that_differ_are_refused():
    prediction, truth = batch(2)
    with pytest.raises(ValueError, match=r"must both be \(B, H, W\)"):
        confusion_matrix(prediction[:, :-1], truth, 5)
