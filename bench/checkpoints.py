"""What checkpoints cost a training: the copy that it waits for, and the writing beside it.

The training is that of the demo (U-Net of width 16 on crops of 96x192, batch 4): noise instead of
pictures, checkpoints as params.yaml has them, which in epochs of a few seconds means one at each
epoch's end. Time the training stands still in `save` and processor time of the writer's thread are
measured in the same run as the steps, and given as shares of it.

Example: python -m bench.checkpoints --epochs 6
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from bench.noise import noise_files, noise_job
from segpipe.augment.draw import plain_specs
from segpipe.bundle import plain_weights
from segpipe.loading.batches import read_batch
from segpipe.params.checkpoint import CheckpointParams
from segpipe.params.model import ModelParams, UNetParams
from segpipe.params.train import TrainParams
from segpipe.runtime.hardware import device_name
from segpipe.training.job import Job
from segpipe.training.state.checkpoint import Checkpoints, Progress, State, copied_state
from segpipe.training.state.saver import Saver
from segpipe.training.step import train_step

_BATCH, _HEIGHT, _WIDTH = 4, 96, 192


class Measured(Checkpoints):
    """Notes the seconds and the processor seconds of each write, and its bytes."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, CheckpointParams().keep)
        self.seconds: list[float] = []
        self.processor: list[float] = []

    def write(self, state: State) -> None:
        """Write as always."""
        begin, used = time.perf_counter(), time.thread_time()
        super().write(state)
        self.seconds.append(time.perf_counter() - begin)
        self.processor.append(time.thread_time() - used)

    def bytes_of_one(self) -> int:
        """Return the size of the newest."""
        newest = max(self.folder.glob("checkpoint-*"))
        return sum(file.stat().st_size for file in newest.iterdir())


def main() -> None:
    """Measure and print."""
    options = _options()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        samples = noise_files(folder / "raw", _BATCH, _HEIGHT, _WIDTH)
        model, train = ModelParams(unet=UNetParams(width=16)), TrainParams(batch_size=_BATCH)
        job = noise_job(folder, samples, (_HEIGHT, _WIDTH), model, train)
        checkpoints = Measured(folder / "checkpoints")
        saver = Saver(checkpoints, CheckpointParams())
        steps: list[float] = []
        saves: list[float] = []
        for epoch in range(options.epochs + 1):
            taken, saved = _epoch(job, saver, options.steps, epoch)
            if epoch:  # the first one warms up
                steps.append(taken)
                saves.append(saved)
        saver.wait()
        size = checkpoints.bytes_of_one()
    step, save = statistics.median(steps) / options.steps, statistics.median(saves)
    processor = statistics.median(checkpoints.processor)
    print(
        f"U-Net of width 16, {_HEIGHT}x{_WIDTH}, batch {_BATCH}, {options.steps} steps an epoch, "
        f"{device_name(job.processes.device)}, {torch.get_num_threads()} threads, {job.processes.precision}"
    )
    print(f"a step {1e3 * step:.1f} ms; a checkpoint {size / 1e6:.1f} MB, one an epoch")
    print(f"the training stands still for {1e3 * save:.1f} ms")
    print(
        f"the writer takes {1e3 * statistics.median(checkpoints.seconds):.0f} ms beside it, "
        f"{1e3 * processor:.1f} ms of a processor"
    )
    epoch_seconds = step * options.steps
    print(f"share of the time, standing still:  {100 * save / epoch_seconds:.2f} %")
    print(f"and all of the writer's processor:  {100 * (save + processor) / epoch_seconds:.2f} %")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=32, help="optimizer steps in an epoch")
    parser.add_argument("--epochs", type=int, default=6)
    return parser.parse_args()


def _epoch(job: Job, saver: Saver, steps: int, epoch: int) -> tuple[float, float]:
    """Return the seconds of an epoch's steps, and those of the checkpoint at its end."""
    best = plain_weights(job.learner.network)  # are there already when a checkpoint is taken
    begin = time.perf_counter()
    for step, rows in zip(range(steps), _rows(job), strict=False):
        batch = read_batch(
            job.data.train_split,
            plain_specs(rows),
            job.data.frames,
            job.processes.device.type == "cuda",
        )
        train_step(job, [batch], epoch=epoch, step=step, lr=1e-3)
    end = time.perf_counter()
    state = copied_state(
        Progress(step=(epoch + 1) * steps),
        job.learner.network,
        job.learner.optimizer,
        None,
        best,
        {},
    )
    saver.save(state)
    return end - begin, time.perf_counter() - end


def _rows(job: Job) -> Iterator[NDArray[np.int64]]:
    while True:
        yield np.arange(_BATCH) % len(job.data.train_split)


if __name__ == "__main__":
    main()
