"""Images per second of segpipe's training step against a plain PyTorch loop, and against dummy data.

The plain loop is what a tutorial shows: PNG files, a Dataset that opens, resizes and flips them with
Pillow, a DataLoader with two workers, float32 (or autocast to bf16), default memory format, Adam. Model,
size, batch and machine are the same. Each loop has a process of its own, as in use, and they run in turns;
medians, and the spread of the ratios, are printed.

Examples:
  python -m bench.training --height 256 --width 512 --batch 8
  python -m bench.training --compile
  python -m bench.training --height 512 --width 1024 --model-width 32 --plain bf16 --workers 8
"""

import argparse
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader

from bench.noise import noise_files, noise_job, noise_scheme
from bench.plain_files import PlainFiles
from bench.turns import print_ratio, print_speeds, speeds_in_turns, turns_parser
from segpipe.augment.draw import plain_specs
from segpipe.loading.batches import Batch, Prefetch, read_batch
from segpipe.loading.order import epoch_batches
from segpipe.models.build import build_model
from segpipe.params.model import ModelParams, UNetParams
from segpipe.params.train import TrainParams
from segpipe.raw.sample import Sample
from segpipe.runtime.allocation import keep_freed_memory
from segpipe.runtime.hardware import best_device
from segpipe.training.job import Job
from segpipe.training.step import train_step

_PLAIN, _SEGPIPE, _DUMMY = _LOOPS = ("plain PyTorch loop", "segpipe", "segpipe, dummy data")


def main() -> None:
    """Measure and print."""
    options = _options()
    speeds = speeds_in_turns(_LOOPS, partial(_make_loop, options=options), options.rounds)
    print_speeds(options, speeds)
    print_ratio("segpipe / plain", speeds[_SEGPIPE], speeds[_PLAIN])
    print_ratio("real / dummy data", speeds[_SEGPIPE], speeds[_DUMMY])


def _make_loop(name: str, folder: Path, options: argparse.Namespace) -> Callable[[], float]:
    raw, sides = folder / "raw", (options.height, options.width)
    samples = noise_files(raw, 4 * options.batch, *sides)
    if name == _PLAIN:
        steps = _plain(raw, samples, options)
    else:
        keep_freed_memory()
        train = TrainParams(batch_size=options.batch, compile=options.compile)
        job = noise_job(folder, samples, sides, _model(options), train)
        steps = _segpipe(job, dummy=name == _DUMMY)
    return partial(_speed, steps, options)


def _options() -> argparse.Namespace:
    parser = turns_parser(__doc__)
    parser.add_argument("--steps", type=int, default=3, help="optimizer steps in a turn")
    parser.add_argument(
        "--plain",
        choices=("fp32", "bf16"),
        default="fp32",
        help="precision of the plain loop (fp32)",
    )
    parser.add_argument("--workers", type=int, default=2, help="of the plain loop's loader (2)")
    parser.add_argument("--compile", action="store_true", help="compile segpipe's steps")
    return parser.parse_args()


def _speed(steps: Iterator[None], options: argparse.Namespace) -> float:
    start = perf_counter()
    for _ in islice(steps, options.steps):
        pass
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return float(options.steps * options.batch / (perf_counter() - start))


def _model(options: argparse.Namespace) -> ModelParams:
    return ModelParams(unet=UNetParams(width=options.model_width))


def _segpipe(job: Job, dummy: bool) -> Iterator[None]:
    """Steps without end, over prepared data or over one batch that is there already."""

    def read(rows: NDArray[np.int64]) -> list[Batch]:
        picks = plain_specs(rows)
        return [
            read_batch(
                job.data.train_split, picks, job.data.frames, job.processes.device.type == "cuda"
            )
        ]

    def rows_without_end() -> Iterator[NDArray[np.int64]]:
        epoch = 0
        while True:
            yield from epoch_batches(0, epoch, len(job.data.train_split), job.train.batch_size)
            epoch += 1

    fixed = read(np.arange(job.train.batch_size))
    batches: Iterator[list[Batch]] = iter(Prefetch(rows_without_end(), read))
    step = 0
    while True:
        train_step(job, fixed if dummy else next(batches), epoch=0, step=step, lr=1e-3)
        step += 1
        yield


def _plain(raw: Path, samples: list[Sample], options: argparse.Namespace) -> Iterator[None]:
    device = best_device()
    model = build_model(_model(options), 3, noise_scheme().num_classes).to(device)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    criterion: Callable[[Tensor, Tensor], Tensor] = nn.CrossEntropyLoss(ignore_index=255)
    files = PlainFiles(raw, samples, options.height, options.width, flips=True)
    loader = DataLoader(
        files, options.batch, shuffle=True, num_workers=options.workers, persistent_workers=True
    )
    while True:
        for image, mask in loader:
            optimizer.zero_grad()
            with torch.autocast(device.type, torch.bfloat16, enabled=options.plain == "bf16"):
                loss = criterion(model(image.to(device)), mask.to(device))
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            yield


if __name__ == "__main__":
    main()
