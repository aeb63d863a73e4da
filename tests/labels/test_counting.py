import numpy as np
import pytest

from segpipe.labels.counting import value_counts


@pytest.mark.parametrize("run", [1, 2, 3, 7, 50])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_it_counts_as_bincount_does_in_runs_and_in_noise(run: int, dtype: type) -> None:
    values = np.random.default_rng(run).integers(0, 20, 300).astype(dtype).repeat(run)
    found = value_counts(values, 30)
    assert found.dtype == np.int64
    np.testing.assert_array_equal(found, np.bincount(values, minlength=30))


def test_nothing_one_value_and_one_run() -> None:
    assert value_counts(np.zeros(0, np.uint8), 3).tolist() == [0, 0, 0]
    assert value_counts(np.array([2], np.uint8), 3).tolist() == [0, 0, 1]
    assert value_counts(np.ones(9, np.uint8), 3).tolist() == [0, 9, 0]
