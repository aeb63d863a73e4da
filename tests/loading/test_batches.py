"""The way of samples into memory, ahead of the step."""

import threading

import pytest

from segpipe.loading.batches import Prefetch


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
