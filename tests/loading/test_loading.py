"""Which samples make which step, and their way into memory."""

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segpipe.loading.batches import Prefetch
from segpipe.loading.order import BatchShard, epoch_batches, steps_per_epoch
from segpipe.runtime.errors import LaunchError


@given(
    seed=st.integers(0, 2**40),
    epoch=st.integers(0, 500),
    samples=st.integers(1, 200),
    size=st.integers(1, 20),
)
def test_an_epoch_has_no_sample_twice(seed: int, epoch: int, samples: int, size: int) -> None:
    if samples < size:
        with pytest.raises(LaunchError, match=f"set it to {samples} or less"):
            steps_per_epoch(samples, size)
        return
    batches = epoch_batches(seed, epoch, samples, size)
    assert batches.shape == (samples // size, size)
    assert len(np.unique(batches)) == batches.size
    assert (batches == epoch_batches(seed, epoch, samples, size)).all()


def test_epochs_and_seeds_differ() -> None:
    orders = {
        tuple(epoch_batches(seed, epoch, 50, 5).ravel()) for seed in (0, 1) for epoch in range(5)
    }
    assert len(orders) == 10


@pytest.mark.parametrize(("processes", "accumulation"), [(1, 1), (2, 1), (1, 4), (4, 2), (2, 4)])
def test_all_shares_together_are_the_batch(processes: int, accumulation: int) -> None:
    batch = epoch_batches(0, 0, 30, 8)[0]
    shards = [
        BatchShard(8, processes, rank, accumulation).pieces(batch) for rank in range(processes)
    ]
    assert [len(pieces) for pieces in shards] == [accumulation] * processes
    together = np.concatenate([piece for pieces in shards for piece in pieces])
    assert sorted(together) == sorted(batch)


def test_a_batch_that_does_not_divide_names_those_that_do() -> None:
    with pytest.raises(
        LaunchError, match="3 processes with 2 accumulation steps each; it can be 6 or 12"
    ):
        BatchShard(8, 3, 0, 2)
    with pytest.raises(LaunchError, match=r"it can be 8$"):
        BatchShard(4, 8, 0, 1)


def test_prefetching_keeps_the_order_and_counts_the_waiting() -> None:
    batches = Prefetch(range(20), lambda number: number * number)
    assert list(batches) == [number * number for number in range(20)]
    assert batches.waited >= 0


def test_an_error_while_reading_comes_out_where_it_is_consumed() -> None:
    def make(number: int) -> int:
        if number == 3:
            raise OSError("gone")
        return number

    seen = []
    with pytest.raises(OSError, match="gone"):
        for number in Prefetch(range(9), make):
            seen.append(number)
    assert seen == [0, 1, 2]


def test_leaving_early_ends_the_thread() -> None:
    before = threading.active_count()
    iterator = iter(Prefetch(range(1000), lambda number: number))
    next(iterator)
    iterator.close()
    assert threading.active_count() == before
