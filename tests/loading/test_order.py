"""Which samples make which step: the same, varied the same, whatever the number of processes (law 5)."""

from dataclasses import fields

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from segpipe.augment.draw import draw
from segpipe.loading.order import BatchShard, epoch_batches, epoch_specs, steps_per_epoch
from segpipe.params.augment import AugmentParams
from segpipe.runtime.errors import LaunchError

SEED, SAMPLES, BATCH = 3, 21, 8  # two batches an epoch, and five samples left over


def seen(processes: int, accumulation: int) -> list[list[tuple[object, ...]]]:
    """Of each step of two epochs: what the processes see, micro-batch by micro-batch."""
    augment = AugmentParams(scale=(0.5, 2.0), flip_vertical=0.5)
    steps = []
    for epoch in (0, 1):
        for batch in epoch_specs(SEED, epoch, SAMPLES, BATCH):
            step: list[tuple[object, ...]] = []
            for rank in range(processes):
                for piece in BatchShard(BATCH, processes, rank, accumulation).pieces(batch):
                    draws = draw(augment, SEED, epoch, piece, image=(64, 96), crop=(32, 48))
                    values = [getattr(draws, field.name) for field in fields(draws)]
                    columns = [
                        v.tolist() for v in values if isinstance(v, torch.Tensor | np.ndarray)
                    ]
                    step += zip(piece["row"].tolist(), *columns, strict=True)
            steps.append(step)
    return steps


@pytest.mark.parametrize("processes", [1, 2, 4])
@pytest.mark.parametrize("accumulation", [1, 2])
def test_processes_and_accumulation_see_the_same(processes: int, accumulation: int) -> None:
    whole = seen(1, 1)
    assert seen(processes, accumulation) == whole
    assert seen(1, 4) == whole
    assert len(whole) == 4
    rows = [[sample[0] for sample in step] for step in whole]
    assert len(set(rows[0] + rows[1])) == 16, "no sample twice in an epoch"
    drawn = [sample[1:] for step in whole for sample in step]
    assert len(drawn[0]) >= 5
    assert len(set(map(str, drawn))) == 32, "each sample is varied in its own way in each epoch"


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
def test_all_shards_together_are_the_batch(processes: int, accumulation: int) -> None:
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
    with pytest.raises(LaunchError, match=r"train.lanes \(2\) .* 4 processes; start 1 or 2$"):
        BatchShard(8, 4, 0, 1, lanes=2)
