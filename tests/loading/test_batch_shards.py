"""The same samples with the same variations in each step, whatever the number of processes (law 5)."""

from dataclasses import fields

import numpy as np
import pytest
import torch

from segpipe.augment.draw import draw_specs
from segpipe.loading.order import BatchShard, epoch_specs
from segpipe.params.train import AugmentParams

SIDES = {"image_height": 64, "image_width": 96, "crop_height": 32, "crop_width": 48}
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
                    draws = draw_specs(augment, SEED, epoch, piece, **SIDES)
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
