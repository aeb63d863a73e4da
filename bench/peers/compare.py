"""What two runs of a peer have in common: weights, losses by step, and the samples of each batch.

A run is the folder that its script wrote into. A step that was taken again after a kill counts as it was
taken last, for that is what the final weights come from.
"""

import json
from collections import Counter, defaultdict
from itertools import chain
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from bench.peers.task import EPOCH_STEPS, SAMPLES

# By number: the samples of the global batch, sorted, and its mean loss.
Steps = dict[int, tuple[list[int], float]]


def read_steps(folder: Path) -> Steps:
    """Return the steps of a run from the logs of its processes."""
    parts: dict[int, dict[Path, tuple[list[int], float]]] = defaultdict(dict)
    for path in sorted(folder.glob("seen-*.jsonl")):
        for seen in map(json.loads, path.read_text().splitlines()):
            parts[seen["step"]][path] = (seen["samples"], seen["loss"])
    steps: Steps = {}
    for number, by_rank in sorted(parts.items()):
        samples, losses = zip(*by_rank.values(), strict=True)
        steps[number] = sorted(chain(*samples)), sum(losses) / len(losses)
    return steps


def sample_faults(steps: Steps) -> tuple[int, int]:
    """Return how many samples came again within an epoch, and how many were left out of one."""
    epochs: dict[int, Counter[int]] = defaultdict(Counter)
    for number, (samples, _) in steps.items():
        epochs[number // EPOCH_STEPS].update(samples)
    again = sum(count - 1 for seen in epochs.values() for count in seen.values())
    return again, sum(SAMPLES - len(seen) for seen in epochs.values())


def difference(one: Path, other: Path) -> str:
    """Say whether two runs end in the same bits, or how far they lie apart.

    That is the largest difference of a convolution's weights (a bias before a norm has no effect, so
    rounding alone moves it) and of a step's loss, and the number of steps with other samples.
    """
    ours, theirs = load_file(one / "final.safetensors"), load_file(other / "final.safetensors")
    mine, others = read_steps(one), read_steps(other)
    both = mine.keys() & others.keys()
    changed = [number for number in both if mine[number][0] != others[number][0]]
    batches = len(changed) + len(mine.keys() ^ others.keys())
    if not batches and all(np.array_equal(ours[name], theirs[name]) for name in ours):
        return "same bits"
    kernels = [name for name, tensor in ours.items() if tensor.ndim == 4]
    kernel = max(float(np.abs(ours[name] - theirs[name]).max()) for name in kernels)
    loss = max(abs(mine[number][1] - others[number][1]) for number in both)
    samples = f"other samples in {batches} steps" if batches else "same samples"
    return f"kernels {kernel:.0e}, loss {loss:.0e}, {samples}"
