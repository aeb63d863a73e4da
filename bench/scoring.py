"""Seconds to score pairs of label images from disk, against decoding the same files alone.

Decoding is Pillow's, in as many processes. Both run in turns on the same files; the medians and the
spread of their ratio are printed, for one process and for one a core. All measures of labels are
counted but those of boundaries. The clock starts after the first results, when all workers have begun:
the start of a worker, which imports torch, is not in the figures.

Example: python -m bench.scoring --pairs 100
"""

import argparse
import os
import statistics
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TypeVar

import numpy as np
from PIL import Image

from segpipe.evaluation.counts import EvaluationCounts
from segpipe.evaluation.label_folders import paired_samples
from segpipe.evaluation.label_pair import PairContext, count_pair, no_counts
from segpipe.labels.load import scheme_at
from segpipe.raw.sample import Sample
from segpipe.runtime.workers import ordered_map

T = TypeVar("T")
_HEIGHT, _WIDTH = 1024, 2048


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=40, help="at least 20 (40)")
    parser.add_argument("--rounds", type=int, default=5, help="turns of both (5)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        _make_files(Path(folder), options.pairs)
        for processes in dict.fromkeys((1, os.cpu_count() or 1)):
            _measure(Path(folder), processes, options.rounds)


def _measure(folder: Path, processes: int, rounds: int) -> None:
    scheme = scheme_at("cityscapes19")
    context = PairContext(
        predictions=folder / "predicted",
        truth=folder / "true",
        scheme=scheme,
        written=scheme,
        train_ids=False,
        boundaries=(),
    )
    samples = paired_samples(context.predictions, context.truth, (False, False), None)
    decode, count = partial(_decode, context=context), partial(_count, context=context)
    decoding, scoring = [], []
    for _ in range(rounds):
        decoding.append(_seconds(decode, samples, processes))
        scoring.append(_seconds(count, samples, processes))
    ratios = [ours / limit for ours, limit in zip(scoring, decoding, strict=True)]
    print(f"{len(samples)} pairs of {_HEIGHT}x{_WIDTH}, {processes} process(es)")
    print(f"decode alone     {1000 * statistics.median(decoding):8.1f} ms a pair")
    print(f"decode and count {1000 * statistics.median(scoring):8.1f} ms a pair")
    print(f"ratio {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")


def _seconds(function: Callable[[Sample], T], samples: list[Sample], processes: int) -> float:
    """Return the seconds for each of the results that come after the first."""
    results = ordered_map(function, samples, processes)
    first = 4 * processes
    for _ in range(first):
        next(results)
    start = perf_counter()
    left = sum(1 for _ in results)
    return (perf_counter() - start) / left


def _decode(sample: Sample, context: PairContext) -> None:
    for path in (context.predictions / sample.image, context.truth / str(sample.mask)):
        with Image.open(path) as picture:
            picture.load()


def _count(sample: Sample, context: PairContext) -> EvaluationCounts:
    """Count a pair and merge it, as score does."""
    counts, found = no_counts(context), count_pair(sample, context).counts
    assert found is not None
    counts.merge(found)
    return counts


def _make_files(folder: Path, pairs: int) -> None:
    """Write label images of 512 wavy regions, and predictions whose outlines are off."""
    random = np.random.default_rng(0)
    rows_HW, columns_HW = np.mgrid[:_HEIGHT, :_WIDTH]
    for name in ("true", "predicted"):
        (folder / name).mkdir()
    for number in range(pairs):
        coarse = random.integers(0, 34, (_HEIGHT // 64, _WIDTH // 64)).astype(np.uint8)
        large_HW = np.asarray(Image.fromarray(coarse).resize((_WIDTH, _HEIGHT), 0))
        for name, waves in (("true", 17), ("predicted", 13)):
            y_HW = rows_HW + (8 * np.sin(columns_HW / waves)).astype(int)
            x_HW = columns_HW + (8 * np.sin(rows_HW / waves)).astype(int)
            labels_HW = large_HW[y_HW.clip(0, _HEIGHT - 1), x_HW.clip(0, _WIDTH - 1)]
            Image.fromarray(labels_HW).save(folder / name / f"{number}.png")


if __name__ == "__main__":
    main()
