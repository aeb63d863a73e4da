"""The order of an epoch that is partly chosen by class (`epoch_specs` of segpipe/loading/order.py)."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segpipe.augment.draw import SAMPLE_SPEC, SampleSpecs, plain_specs
from segpipe.loading.centroids import POINT, Centroids
from segpipe.loading.order import BatchShard, epoch_batches, epoch_specs

SAMPLES, BATCH = 50, 8
# Of class 0 every row has a point, of class 1 three rows have, class 2 is absent, of class 3 one has.
COUNTS = [50, 3, 0, 1]
SIZE = SAMPLES // BATCH * BATCH


def points(rows: list[int], k: int) -> np.ndarray:
    """The class is to be read off the points: y is 10 times it."""
    return np.array([(row, 10 * k, row) for row in rows], POINT)


TABLE = Centroids(
    [points(list(range(50)), 0), points([4, 4, 9], 1), points([], 2), points([7], 3)], COUNTS, 1
)


def epoch_of(
    seed: int = 0, epoch: int = 0, fraction: float = 0.5, table: Centroids = TABLE
) -> SampleSpecs:
    return epoch_specs(seed, epoch, SAMPLES, BATCH, table, fraction)


def same(first: SampleSpecs, second: SampleSpecs) -> bool:
    return first.shape == second.shape and first.tobytes() == second.tobytes()


def classes(specs: SampleSpecs) -> Counter[int]:
    aimed = specs[specs["repeat"] > 0]
    return Counter(((aimed["y"] - 0.5) / 10).astype(int).tolist())


@given(st.integers(0, 2**40), st.integers(0, 500))
def test_without_centroids_the_order_is_the_plain_one(seed: int, epoch: int) -> None:
    rows = epoch_batches(seed, epoch, SAMPLES, BATCH)
    for specs in (epoch_specs(seed, epoch, SAMPLES, BATCH), epoch_of(seed, epoch, fraction=0.0)):
        assert same(specs, plain_specs(rows))
        assert (specs["row"] == rows).all() and not specs["repeat"].any()
        assert np.isnan(specs["y"]).all() and np.isnan(specs["x"]).all()


def test_the_plain_order_is_the_one_written_down_before_there_were_points() -> None:
    rows = epoch_specs(3, 1, 20, 5)["row"].tolist()
    assert rows == [[11, 19, 14, 13, 5], [16, 7, 1, 12, 9], [8, 17, 18, 15, 6], [2, 3, 0, 10, 4]]


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 100), st.floats(0, 1))
def test_each_class_has_its_part_in_every_epoch(seed: int, epoch: int, fraction: float) -> None:
    specs = epoch_of(seed, epoch, fraction).reshape(-1)
    number = round(fraction * SIZE)
    aimed = specs["repeat"] > 0
    assert specs.size == SIZE and aimed.sum() == number
    assert sorted(specs["repeat"][aimed]) == list(range(1, number + 1)), "no two are alike"
    counts = [classes(specs)[k] for k in (0, 1, 3)]
    assert sum(counts) == number and max(counts) - min(counts) <= 1
    # The others are the plain order, none twice.
    plain = epoch_batches(seed, epoch, SAMPLES, BATCH).reshape(-1)
    assert specs["row"][~aimed].tolist() == plain[: SIZE - number].tolist()
    assert same(specs.reshape(-1, BATCH), epoch_of(seed, epoch, fraction))


def test_over_the_epochs_classes_are_equal_and_so_are_the_centroids_of_each() -> None:
    epochs = [epoch_of(epoch=epoch, fraction=0.4) for epoch in range(600)]
    specs = np.concatenate([epoch.reshape(-1) for epoch in epochs])
    counts = classes(specs)
    assert 2 not in counts
    # round(0.4 * 48) = 19: 6 of each class and one more of a class by chance.
    extra = np.array([counts[k] - 6 * 600 for k in (0, 1, 3)])
    assert extra.sum() == 600
    assert ((extra - 200) ** 2 / 200).sum() < 13.8, "chi-square, 2 degrees of freedom, p = 0.001"
    rows = np.bincount(specs["row"][specs["y"] == 0.5], minlength=50)
    expected = counts[0] / 50
    assert ((rows - expected) ** 2 / expected).sum() < 85.4, "49 degrees of freedom, p = 0.001"


def test_no_centroid_comes_again_before_all_have_come() -> None:
    for epoch in range(20):
        specs = epoch_of(epoch=epoch, fraction=1.0)
        of_one = Counter(specs["row"][specs["y"] == 10.5].tolist())
        # 16 samples of three centroids, two of which are in row 4.
        assert of_one[4] + of_one[9] == 16 and of_one[9] in (5, 6)


def test_samples_by_class_stand_anywhere_in_the_epoch() -> None:
    aimed = np.mean([epoch_of(epoch=e)["repeat"].reshape(-1) > 0 for e in range(400)], axis=0)
    assert abs(aimed - 0.5).max() < 0.11
    # And of any class: the first place sees all three.
    firsts = Counter(int(epoch_of(epoch=e, fraction=1.0)["y"][0, 0]) for e in range(300))
    assert min(firsts[y] for y in (0, 10, 30)) > 60


def test_seeds_and_epochs_differ() -> None:
    seen = {epoch_of(seed, epoch).tobytes() for seed in range(3) for epoch in range(4)}
    assert len(seen) == 12


def test_points_are_the_middles_of_their_pixels_in_the_image() -> None:
    table = Centroids([points([1], 0), points([2], 1)], [1, 1], 50)
    specs = epoch_of(fraction=1.0, table=table).reshape(-1)
    assert {(p["row"], p["y"], p["x"]) for p in specs} == {(1, 25.0, 75.0), (2, 525.0, 125.0)}


@pytest.mark.parametrize(("processes", "accumulation"), [(2, 1), (1, 4), (4, 2)])
def test_all_processes_together_take_the_samples_of_one(processes: int, accumulation: int) -> None:
    for batch in epoch_of():
        shards = [
            BatchShard(BATCH, processes, r, accumulation).pieces(batch) for r in range(processes)
        ]
        assert same(np.concatenate([piece for pieces in shards for piece in pieces]), batch)
        assert shards[0][0].dtype == SAMPLE_SPEC


def test_a_run_that_goes_on_in_mid_epoch_takes_what_was_left() -> None:
    whole, again = epoch_of(3, 5), epoch_of(3, 5)
    assert same(np.concatenate([whole[:2], again[2:]]), whole)
