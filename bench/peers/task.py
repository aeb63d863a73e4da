"""The task that all peers train on: data, network, lengths, and a log of what each step saw.

It has what a resume must restore: an order of samples that is drawn, augmentation drawn in the workers of
a data loader, dropout, batch norm, an optimizer with moments and a falling learning rate.
"""

import argparse
import json
import os
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from segpipe.params.model import UNetParams

SAMPLES, BATCH, EPOCHS = 40, 8, 6
EPOCH_STEPS = SAMPLES // BATCH
STEPS = EPOCHS * EPOCH_STEPS
CHECKPOINT_STEPS = 3  # of five an epoch, so most checkpoints lie within an epoch
HEIGHT, WIDTH, CROP_HEIGHT, CROP_WIDTH = 96, 128, 80, 96
CLASSES = {"ground": (90, 110, 90), "square": (170, 60, 50), "block": (60, 80, 170)}
SEED, LR, WORKERS = 0, 0.003, 2
# With group norm and without dropout nothing differs but the order of samples and of additions.
UNETS = {
    "batch": UNetParams(width=8, depth=2, norm="batch", dropout=0.1),
    "group": UNetParams(width=8, depth=2, norm="group", dropout=0.0),
}


def script_options() -> argparse.Namespace:
    """Return the options of the peers' scripts, which write into the working directory."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--norm", choices=tuple(UNETS), default="batch")
    parser.add_argument("--stateful", action="store_true", help="torchdata's StatefulDataLoader")
    parser.add_argument("--by-hand", action="store_true", help="all randomness by (epoch, sample)")
    return parser.parse_args()


def rank_and_world() -> tuple[int, int]:
    """Return this process's number and how many there are, as torchrun says."""
    return int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))


def scene(index: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return a generated image (H, W, 3) and its mask (H, W): two rectangles on a ground."""
    random = np.random.default_rng(index)
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    for label in (1, 2):
        top, left = random.integers(0, HEIGHT // 2), random.integers(0, WIDTH // 2)
        mask[top : top + HEIGHT // 3, left : left + WIDTH // 3] = label
    image = np.array(list(CLASSES.values()))[mask] + random.integers(-40, 41, (HEIGHT, WIDTH, 3))
    return image.clip(0, 255).astype(np.uint8), mask


class Scenes(Dataset[tuple[Tensor, Tensor, int]]):
    """The scenes, cropped and flipped at random; an item is image, mask and the sample's number.

    A key is a number, and torch's generator draws, as in torchvision's transforms; or it is (epoch,
    number), and the draw is a function of these.
    """

    def __len__(self) -> int:
        return SAMPLES

    def __getitem__(self, key: int | tuple[int, int]) -> tuple[Tensor, Tensor, int]:
        epoch, index = key if isinstance(key, tuple) else (None, key)
        random = None
        if epoch is not None:
            random = torch.Generator().manual_seed(epoch * SAMPLES + index)
        flip, top, left = torch.rand(3, generator=random).tolist()
        y, x = int(top * (HEIGHT - CROP_HEIGHT + 1)), int(left * (WIDTH - CROP_WIDTH + 1))
        image, mask = (
            torch.from_numpy(array[y : y + CROP_HEIGHT, x : x + CROP_WIDTH])
            for array in scene(index)
        )
        if flip < 0.5:
            image, mask = image.flip(1), mask.flip(1)
        return image.permute(2, 0, 1).float() / 255 - 0.5, mask.long(), index


class EpochBatches:
    """By hand: what is left of an epoch, as keys (epoch, number) of this process's part of each batch."""

    def __init__(self, steps_done: int) -> None:
        self._epoch, self._done = divmod(steps_done, EPOCH_STEPS)

    def __len__(self) -> int:
        return EPOCH_STEPS  # of the whole epoch: Lightning counts those that it skips

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        rank, world = rank_and_world()
        order = np.random.default_rng((SEED, self._epoch)).permutation(SAMPLES).tolist()
        for step in range(self._done, EPOCH_STEPS):
            batch = order[step * BATCH : (step + 1) * BATCH]
            yield [(self._epoch, index) for index in np.array_split(batch, world)[rank].tolist()]


class StepLog:
    """Notes each step of this process in seen-RANK.jsonl, a line at once, so that a kill tears none."""

    def __init__(self) -> None:
        name = f"seen-{rank_and_world()[0]}.jsonl"
        self._file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def add(self, step: int, samples: list[int], loss: float) -> None:
        """Note a step, from 0: the numbers of its samples in this process, and its loss."""
        line = json.dumps({"step": step, "samples": samples, "loss": loss})
        os.write(self._file, (line + "\n").encode())
