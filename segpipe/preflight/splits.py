"""Rules about splits: empty or small ones, groups in two of them."""

from collections.abc import Mapping, Sequence

from segpipe.preparation.sample_stats import SampleStats, Survey
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


def kept_and_left_out(survey: Survey) -> tuple[str, str]:
    """Return `13 train, 1 val, 0 test samples`, and which were left out and why ("" for none).

    The first are those that are not left out by labels.exclude_images_with.
    """
    left_out = [stats for stats in survey.samples if stats.excluded]
    kept = f"{_joined(count_splits(survey.kept))} samples"
    if not left_out:
        return kept, ""
    by_split = {split: count for split, count in count_splits(left_out).items() if count}
    labels = ", ".join(f"{name} in {count}" for name, count in survey.excluded.items() if count)
    return kept, (
        f"; {_joined(by_split)} samples are left out by labels.exclude_images_with ({labels})"
    )


def _joined(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {split}" for split, count in counts.items())
