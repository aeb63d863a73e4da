"""Which of the prepared samples are used: all, or a few that stand for them."""

from segpipe.dataset.reader import Dataset, Split
from segpipe.params.train import TrainParams

_NAMED = 8  # samples in a message


def evenly_spaced(total: int, number: int) -> list[int]:
    """Return `number` of the places 0 to total - 1, evenly spaced from 0 on; all where they are fewer."""
    number = min(number, total)
    return [place * total // number for place in range(number)]


def chosen_samples(dataset: Dataset, train: TrainParams) -> tuple[Split, Split]:
    """Return the samples to train on and those to validate on.

    `train.limit` takes so many of each split, `train.overfit` so many originals (no copies) of the
    training split for both, evenly spaced in its order; where there are fewer, all.
    """
    train_split = dataset.split("train")
    if train.overfit is not None:
        originals = [place for place, row in enumerate(train_split.rows) if row.copy == 0]
        chosen = evenly_spaced(len(originals), train.overfit)
        few = train_split.subset([originals[place] for place in chosen])
        return few, few
    val_split = dataset.split("val")
    if train.limit is None:
        return train_split, val_split
    return _limited(train_split, train.limit), _limited(val_split, train.limit)


def selection_notes(
    train: TrainParams, dataset: Dataset, train_split: Split, val_split: Split
) -> list[str]:
    """Return the lines that tell a person that not all samples are used; none where all are."""
    whole = {name: dataset.splits[name]["rows"] for name in ("train", "val")}
    statistics = "  class weights, mean and std are those of the whole training split"
    if train.overfit is not None:
        return [
            f"ATTENTION, train.overfit: {len(train_split)} of {whole['train']} training samples are "
            "learnt by heart, whole and without augmentation, and validated on the very same; the "
            "scores of this training say nothing about other images:",
            *(f"  {row.sample.name}" for row in train_split.rows[:_NAMED]),
            *([f"  ... and {len(train_split) - _NAMED} more"] if len(train_split) > _NAMED else []),
            statistics,
        ]
    if train.limit is not None:
        return [
            f"ATTENTION, train.limit: only {len(train_split)} of {whole['train']} training and "
            f"{len(val_split)} of {whole['val']} validation samples are used; a quick try, no result",
            statistics,
        ]
    return []


def sample_counts(train: TrainParams, train_split: Split, val_split: Split) -> dict[str, int]:
    """Return how many samples were used, and `limit` or `overfit` where that chose them."""
    asked = {"limit": train.limit, "overfit": train.overfit}
    chosen = {name: number for name, number in asked.items() if number is not None}
    return {"train_samples": len(train_split), "val_samples": len(val_split), **chosen}


def _limited(split: Split, number: int) -> Split:
    return split.subset(evenly_spaced(len(split), number))
