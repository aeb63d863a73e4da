"""Run-length masks of the tools: the same masks back, and no other length than the image's."""

import warnings
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco_masks

from segpipe.importing.run_lengths import coco_mask, cvat_mask, label_studio_mask, label_studio_runs
from segpipe.runtime.errors import DataError
from tests.importing.exports import brush_bytes


@pytest.mark.parametrize("seed", range(30))
def test_cocos_text_is_read_as_pycocotools_reads_it(seed: int) -> None:
    random = np.random.default_rng(seed)
    height, width = (int(side) for side in random.integers(1, 60, 2))
    mask = random.random((height, width)) < random.random()
    runs = coco_masks.encode(np.asfortranarray(mask.astype(np.uint8)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pycocotools and NumPy 2
        np.testing.assert_array_equal(coco_masks.decode(runs).astype(bool), mask)
    text = {"size": [height, width], "counts": runs["counts"].decode()}
    np.testing.assert_array_equal(coco_mask(text, height, width), mask)
    changes = np.flatnonzero(np.diff(np.r_[False, mask.T.ravel()])).tolist()
    counts = np.diff([0, *changes, mask.size]).tolist()
    plain = {"size": [height, width], "counts": counts}
    np.testing.assert_array_equal(coco_mask(plain, height, width), mask)


@pytest.mark.parametrize("density", [0.02, 0.5])
def test_label_studios_brush_comes_back(density: float) -> None:
    mask = np.random.default_rng(1).random((13, 17)) < density
    np.testing.assert_array_equal(label_studio_mask(brush_bytes(mask), 13, 17), mask)


@pytest.mark.parametrize("side", [1, 7, 300])
def test_what_is_written_for_label_studio_is_read_back(side: int) -> None:
    """Also runs of more values than one block holds."""
    random = np.random.default_rng(side)
    for density in (0, 0.001, 0.5, 1):
        mask = random.random((side, side + 1)) < density
        runs = label_studio_runs(mask)
        assert all(0 <= value <= 255 for value in runs)
        np.testing.assert_array_equal(label_studio_mask(runs, side, side + 1), mask)


def test_cvats_runs_go_along_the_rows() -> None:
    mask = cvat_mask([2, 3, 1], 2, 3)
    np.testing.assert_array_equal(mask, [[0, 0, 1], [1, 1, 0]])


@pytest.mark.parametrize(
    "counts",
    [
        [],
        [5],
        [30, 1],
        [-5, 35],
        [2**62, 2**62],
        [10, 10, 9],
        "",
        "0" * 5,
        "P",
        "zzz",
        "oooooooooooooooo",
    ],
)
def test_runs_of_another_length_are_refused(counts: Any) -> None:
    with pytest.raises(DataError, match="a run-length mask"):
        coco_mask({"size": [5, 6], "counts": counts}, 5, 6)
    if isinstance(counts, list):
        with pytest.raises(DataError, match="a run-length mask"):
            cvat_mask(counts, 5, 6)


def test_runs_of_another_image_are_refused() -> None:
    with pytest.raises(DataError, match="is of 5 x 7, but the image is 5 x 6"):
        coco_mask({"size": [5, 7], "counts": [35]}, 5, 6)


def test_a_brush_that_is_cut_off_or_of_another_image_is_refused() -> None:
    content = brush_bytes(np.eye(6) > 0)
    for wrong in ([], content[:3], content[:-2], [255] * 40):
        with pytest.raises(DataError, match="a run-length mask"):
            label_studio_mask(wrong, 6, 6)
    with pytest.raises(DataError, match="four for each"):
        label_studio_mask(content, 6, 7)
