"""Jobs that are shared out to worker processes."""

from collections.abc import Iterator

import pytest

from segpipe.runtime.workers import ordered_map


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
