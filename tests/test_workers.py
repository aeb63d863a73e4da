"""Jobs that are shared out to worker processes."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from segpipe.runtime.workers import begun_ahead, ordered_map


@pytest.mark.parametrize("processes", [1, 2])
def test_results_come_in_the_order_of_the_jobs_and_are_not_all_held_at_once(processes: int) -> None:
    begun = []

    def jobs() -> Iterator[int]:
        for job in range(40):
            begun.append(job)
            yield -job

    results = ordered_map(abs, jobs(), processes)
    assert next(results) == 0
    assert len(begun) <= 3 * processes + 1
    assert [*results] == list(range(1, 40))


@pytest.mark.parametrize("processes", [1, 2])
def test_what_goes_wrong_in_a_job_is_raised(processes: int) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        list(ordered_map(int, ["1", "two", "3"], processes))


def test_work_is_begun_in_bounds_and_comes_in_order() -> None:
    begun = []
    with ThreadPoolExecutor(2) as pool:
        made = begun_ahead(pool, lambda item: -item, (begun.append(k) or k for k in range(9)), 3)
        assert [next(made)[0], len(begun)] == [0, 4]
        assert [future.result() for _, future in made] == [-k for k in range(1, 9)]
