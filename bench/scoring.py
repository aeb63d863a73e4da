"""Seconds to score pairs of label images from disk, against decoding the same files alone.

Decoding is Pillow's, in the same processes, which have begun before the clock starts: the start of a
worker, which imports torch, is not in the figures. Both run in turns on the same files; the medians and
the spread of their ratio are printed, by the clock and in seconds of the processor, which hold on a busy
machine. All measures of labels are counted but those of boundaries and instances. Two kinds of files:
wavy regions of 64 pixels, and of 4, which are decoded slower. Last, the memory held after more and more
pairs (the same files, under new names).

Example: python -m bench.scoring --pairs 100 --memory 10000
"""

import argparse
import os
import resource
import statistics
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from time import perf_counter, process_time

import numpy as np
import torch
from PIL import Image

from segpipe.evaluation.counts import EvaluationCounts
from segpipe.evaluation.label_folders import paired_samples
from segpipe.evaluation.label_pair import PairContext, count_pair, no_counts
from segpipe.labels.load import scheme_at
from segpipe.raw.sample import Sample
from segpipe.runtime.hardware import device_name
from segpipe.runtime.workers import begun_ahead, worker_pool

_HEIGHT, _WIDTH = 1024, 2048
_CPU = torch.device("cpu")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=40, help="files of each kind (40)")
    parser.add_argument("--rounds", type=int, default=7, help="turns of both (7)")
    parser.add_argument("--memory", type=int, default=1000, help="pairs of the last part (1000)")
    options = parser.parse_args()
    processes = os.cpu_count() or 1
    print(f"{device_name(_CPU)}, {processes} cores; {options.pairs} pairs of {_HEIGHT}x{_WIDTH}")
    with tempfile.TemporaryDirectory() as folder:
        for side in (64, 4):
            context = _make_files(Path(folder) / f"{side}", options.pairs, side)
            for number in dict.fromkeys((1, processes)):
                _measure(context, side, number, options.rounds)
        with worker_pool(1) as pool:  # without the memory in which the files were drawn
            pool.submit(_measure_memory, context, options.memory).result()


@dataclass(frozen=True)
class _Seconds:
    """A pair, by the clock and of all processors."""

    clock: float
    processor: float


def _measure(context: PairContext, side: int, processes: int, rounds: int) -> None:
    samples = paired_samples(context.predictions, context.truth, (False, False), None)
    found: dict[str, list[_Seconds]] = {"decode": [], "score": []}
    with worker_pool(processes) as pool:
        for kind in found:  # begun, and the files' pages are in memory
            list(pool.map(partial(_work, kind=kind, context=context), samples))
        for _ in range(rounds):
            for kind, seconds in found.items():
                work = partial(_work, kind=kind, context=context)
                counts, own, start = no_counts(context), process_time(), perf_counter()
                used = 0.0
                for _, made in begun_ahead(pool, work, samples, 3 * processes):
                    spent, counted = made.result()
                    used += spent
                    if counted is not None:
                        counts.merge(counted)
                clock, used = perf_counter() - start, used + process_time() - own
                seconds.append(_Seconds(clock / len(samples), used / len(samples)))
    print(f"regions of {side}, {processes} process(es):")
    for name in ("clock", "processor"):
        decoding, scoring = ([getattr(one, name) for one in found[kind]] for kind in found)
        ratios = [ours / limit for ours, limit in zip(scoring, decoding, strict=True)]
        print(
            f"  {name:<9} decode {1000 * statistics.median(decoding):6.1f} ms a pair, decode and count "
            f"{1000 * statistics.median(scoring):6.1f}; ratio {statistics.median(ratios):.2f} "
            f"({min(ratios):.2f} to {max(ratios):.2f})",
            flush=True,
        )


def _work(sample: Sample, kind: str, context: PairContext) -> tuple[float, EvaluationCounts | None]:
    """Return the processor's seconds for a pair, and its counts where they are asked for."""
    start, counts = process_time(), None
    if kind == "score":
        counts = count_pair(sample, context).counts
    else:
        for path in (context.predictions / sample.image, context.truth / str(sample.mask)):
            with Image.open(path) as picture:
                picture.load()
    return process_time() - start, counts


def _measure_memory(context: PairContext, pairs: int) -> None:
    samples = paired_samples(context.predictions, context.truth, (False, False), None)
    counts = no_counts(context)
    for number, sample in enumerate(_renamed(samples, pairs), 1):
        found = count_pair(sample, context).counts
        assert found is not None
        counts.merge(found)
        if number in (pairs // 100, pairs // 10, pairs):
            pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
            held = pages * resource.getpagesize() / 2**20
            print(f"memory after {number} pairs: {held:.0f} MB", flush=True)


def _renamed(samples: list[Sample], number: int) -> Iterator[Sample]:
    for place, sample in enumerate(islice(cycle(samples), number)):
        yield replace(sample, name=f"{place}")


def _make_files(folder: Path, pairs: int, side: int) -> PairContext:
    """Write label images of wavy regions, `side` pixels wide, and predictions whose outlines are off."""
    random = np.random.default_rng(0)
    rows_HW, columns_HW = np.mgrid[:_HEIGHT, :_WIDTH]
    for name in ("true", "predicted"):
        (folder / name).mkdir(parents=True)
    for number in range(pairs):
        coarse = random.integers(0, 34, (_HEIGHT // side, _WIDTH // side)).astype(np.uint8)
        large_HW = np.asarray(Image.fromarray(coarse).resize((_WIDTH, _HEIGHT), 0))
        for name, waves in (("true", 17), ("predicted", 13)):
            y_HW = rows_HW + (side / 8 * np.sin(columns_HW / waves)).astype(int)
            x_HW = columns_HW + (side / 8 * np.sin(rows_HW / waves)).astype(int)
            labels_HW = large_HW[y_HW.clip(0, _HEIGHT - 1), x_HW.clip(0, _WIDTH - 1)]
            Image.fromarray(labels_HW).save(folder / name / f"{number}.png")
    scheme = scheme_at("cityscapes19")
    return PairContext(
        predictions=folder / "predicted",
        truth=folder / "true",
        scheme=scheme,
        written=scheme,
        train_ids=False,
        boundaries=(),
    )


if __name__ == "__main__":
    main()
