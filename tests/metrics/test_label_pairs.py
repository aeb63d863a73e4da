import numpy as np
import pytest
import torch

from segpipe.metrics.confusion import confusion_matrix
from segpipe.metrics.label_pairs import label_confusion, pair_counts
from segpipe.metrics.scores import scores
from segpipe.runtime.errors import DataError


@pytest.mark.parametrize("classes", [1, 2, 19, 254])
def test_it_counts_as_the_training_does(classes: int) -> None:
    rng = np.random.default_rng(classes)
    truth = rng.integers(0, classes, (40, 50)).astype(np.uint8)
    truth[rng.random(truth.shape) < 0.2] = 255
    guess = rng.integers(0, classes, (40, 50)).astype(np.uint8)
    expected = confusion_matrix(
        torch.from_numpy(guess)[None], torch.from_numpy(truth)[None], classes
    )
    found = label_confusion(pair_counts(guess, truth), classes)
    assert found.dtype == np.int64 and found.sum() == (truth != 255).sum()
    assert found.shape == (classes, classes + 1) and not found[:, -1].any()
    np.testing.assert_array_equal(found[:, :-1], expected.numpy())


def test_hand_case_of_2x4_pixels() -> None:
    truth = np.array([[0, 0, 1, 1], [0, 2, 255, 255]], np.uint8)
    guess = np.array([[0, 1, 255, 1], [2, 2, 0, 200]], np.uint8)
    found = label_confusion(pair_counts(guess, truth), 3)
    assert found.tolist() == [[1, 1, 1, 0], [0, 1, 0, 1], [0, 0, 1, 0]]
    # The pixel without an answer misses its class, and is a false alarm of none.
    assert scores(found).iou_K.tolist() == [1 / 3, 1 / 3, 1 / 2]
    assert scores(found).precision_K.tolist() == [1, 1 / 2, 1 / 2]
    assert scores(found).pixel_accuracy == 3 / 6


def test_what_cannot_be_counted_is_refused() -> None:
    zero, three = np.zeros((2, 2), np.uint8), np.full((2, 2), 3, np.uint8)
    with pytest.raises(DataError, match=r"a mask holds train id 3, outside of 0\.\.2"):
        label_confusion(pair_counts(zero, three), 3)
    with pytest.raises(ValueError, match=r"a prediction holds train id 3, outside of 0\.\.2"):
        label_confusion(pair_counts(three, zero), 3)
    with pytest.raises(ValueError, match="differ"):
        pair_counts(zero[:1], three)


@pytest.mark.parametrize("runs", [1, 9])
def test_counts_of_raw_values_become_those_of_their_train_ids(runs: int) -> None:
    """Of noise, and of regions."""
    rng = np.random.default_rng(0)
    guess, truth = rng.integers(0, 256, (2, 30, 40)).astype(np.uint8).repeat(runs, 2)
    by_guess, by_truth = rng.choice([0, 1, 2, 3, 255], (2, 256)).astype(np.uint8)
    counts = pair_counts(guess, truth)
    assert counts.sum(0).tolist() == np.bincount(guess.ravel(), minlength=256).tolist()
    expected = label_confusion(pair_counts(by_guess[guess], by_truth[truth]), 4)
    np.testing.assert_array_equal(label_confusion(counts, 4, by_guess, by_truth), expected)


def test_no_pixels_are_no_counts() -> None:
    none = np.zeros((0, 4), np.uint8)
    assert not label_confusion(pair_counts(none, none), 3).any()
