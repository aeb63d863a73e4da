"""Rules about splits: empty or small ones, groups in two of them."""

from collections.abc import Mapping, Sequence

from segpipe.preparation.sample_stats import SampleStats
from segpipe.raw.sample import SPLITS
from segpipe.runtime.findings import Finding

_HANDFUL = 5


def empty_splits(counts: Mapping[str, int], excluded: int) -> list[Finding]:
    """There must be something to train on and something to validate on.

    counts: samples by split. excluded: images that were left out for the labels in them.
    """
    empty = [split for split in ("train", "val") if not counts[split]]
    if not empty:
        return []
    shown = ", ".join(f"{split} {count}" for split, count in counts.items())
    text = f"the split {' and '.join(empty)} is empty ({shown} samples)"
    repair = "put images there, or share them out by prepare.split (by: ratio) in params.yaml"
    if excluded:
        text += f", after {excluded} images were left out by labels.exclude_images_with"
        repair = "take labels out of labels.exclude_images_with in params.yaml; or " + repair
    return [Finding("empty_split", "error", text, repair, tuple(empty))]


def few_samples(samples: Sequence[SampleStats]) -> list[Finding]:
    """A handful of images neither teaches nor tells."""
    few = [(split, n) for split, n in count_splits(samples).items() if 0 < n < _HANDFUL]
    if not few:
        return []
    text = "a split has hardly any images, so its scores mean little"
    repair = "add images, or share them out by prepare.split (by: ratio) in params.yaml"
    items = tuple(f"{split}: {n}" for split, n in few)
    return [Finding("few_samples", "warning", text, repair, items)]


def torn_groups(samples: Sequence[SampleStats]) -> list[Finding]:
    """A city, drive, scene or tile in two splits lets the model be tested on what it was taught."""
    parts: dict[str, dict[str, int]] = {}
    for stats in samples:
        counts = parts.setdefault(stats.sample.group, {})
        counts[stats.split] = counts.get(stats.split, 0) + 1
    torn = [
        f"{group}: " + ", ".join(f"{n} in {split}" for split, n in counts.items())
        for group, counts in sorted(parts.items())
        if len(counts) > 1
    ]
    if not torn:
        return []
    text = f"{len(torn)} groups (city, drive, scene or tile) stand in more than one split"
    repair = "put all samples of a group into one split, or set prepare.split.by to ratio"
    return [Finding("torn_group", "error", text, repair, tuple(torn))]


def count_splits(samples: Sequence[SampleStats]) -> dict[str, int]:
    """Return how many samples each split has, also those that have none."""
    return {split: sum(stats.split == split for stats in samples) for split in SPLITS}
