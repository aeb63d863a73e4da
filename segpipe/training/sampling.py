"""Picking training samples for classes: the centroids, and what is said of them."""

from segpipe.dataset.reader import Dataset, Split
from segpipe.loading.centroids import Centroids, find_centroids
from segpipe.params.train import TrainParams
from segpipe.runtime.console import progress

# Seconds; most data sets are searched by then.
_BAR_AFTER = 2.0


def class_centroids(
    train: TrainParams, dataset: Dataset, split: Split, shown: bool
) -> Centroids | None:
    """Return the centroids of the classes in the prepared training masks; None where none are asked for.

    Nor are there any where samples are learnt by heart (`train.overfit`): these come up alike. Every
    process makes the same table by itself. shown: whether a progress bar is.
    Raises DataError when no training pixel shows a class.
    """
    if train.sampler != "class_centroids" or train.overfit is not None:
        return None
    masks = split.masks_Nhw
    return find_centroids(
        progress(masks, "centroids", "mask", len(masks), _BAR_AFTER) if shown else masks,
        dataset.scheme.num_classes,
        train.class_centroids.cell,
        dataset.truth_ratio,
    )


def centroid_counts(centroids: Centroids, dataset: Dataset) -> dict[str, int]:
    """Return how many centroids each class has, by name."""
    return dict(zip(dataset.scheme.classes, centroids.found_K, strict=True))


def centroid_table(
    centroids: Centroids, train: TrainParams, dataset: Dataset, crop: tuple[int, int]
) -> list[str]:
    """Return the lines that tell a person how the samples are picked."""
    counts, pixels = centroid_counts(centroids, dataset), dataset.splits["train"]["class_pixels"]
    total, width = sum(pixels.values()), max(map(len, counts))
    share, present = train.class_centroids.share, len(centroids.present)
    lines = [
        f"{100 * share:g} % of the samples are picked for a class, {100 * share / present:.3g} % for each "
        "one; the classes by share of the training pixels, and their centroids:"
    ]
    for name, count in counts.items():
        left_out = "" if count else "  none in the samples, so it is left out"
        lines.append(
            f"  {name:<{width}}  {100 * pixels[name] / total:7.3f} %  {count:9d}{left_out}"
        )
    if crop == (dataset.input.height, dataset.input.width) and train.augmentation.scale[1] <= 1:
        lines.append("  the window is the whole image, so the centroids choose among images alone")
    return lines
