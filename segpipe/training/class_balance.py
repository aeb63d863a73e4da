"""What makes up for rare classes: their weights in the loss, and samples that are chosen to show them."""

import numpy as np

from segpipe.dataset.reader import Dataset, Split
from segpipe.labels.class_weights import class_weights
from segpipe.loading.centroids import Centroids, find_centroids
from segpipe.params.loss import LossParams
from segpipe.params.train import TrainParams
from segpipe.runtime.console import progress
from segpipe.runtime.errors import ParameterError, listing

# Dice and Lovász give each class the same weight by themselves.
_UNWEIGHTED = {"dice", "lovasz"}
# Seconds after which a progress bar appears; most data sets are searched by then.
_BAR_AFTER = 2.0


def loss_weights(loss: LossParams, dataset: Dataset) -> dict[str, float] | None:
    """Return the weight of each class by name, in the scheme's order; None where all count alike.

    Their mean over the training pixels is 1, those that are given too: only their ratios matter
    then, and the learning rate keeps its meaning. A class without a training pixel weighs 0.

    Raises ParameterError when `given` lacks a class, names one that there is not, or gives none of
    the classes that occur a weight.
    """
    if loss.class_weights == "none" or not loss.terms.keys() - _UNWEIGHTED:
        return None
    classes, about = dataset.scheme.classes, dataset.splits["train"]
    pixels_K = np.array([about["class_pixels"][name] for name in classes], np.int64)
    if loss.class_weights == "given":
        _refuse_other_classes(loss.given, classes)
        raw_K = np.array([loss.given[name] for name in classes])
        weighed = float(raw_K @ pixels_K)
        if not weighed:
            raise ParameterError(
                "params.yaml: loss.given gives no class that occurs in the training images a weight "
                "above 0"
            )
        weights_K = np.where(pixels_K > 0, raw_K * pixels_K.sum() / weighed, 0.0)
    else:
        present_K = np.array([about["class_present_pixels"][name] for name in classes], np.int64)
        weights_K = class_weights(loss.class_weights, pixels_K, present_K)
    return dict(zip(classes, weights_K.tolist(), strict=True))


def weight_table(loss: LossParams, dataset: Dataset, weights: dict[str, float] | None) -> list[str]:
    """Return the lines that tell a person what the classes weigh; none where nothing was asked for."""
    if weights is None:
        if loss.class_weights == "none":
            return []
        terms = " and ".join(loss.terms)
        return [f"loss.class_weights is {loss.class_weights}, but {terms} takes no class weights"]
    pixels = dataset.splits["train"]["class_pixels"]
    total, width = sum(pixels[name] for name in weights), max(map(len, weights))
    lines = [f"class weights ({loss.class_weights}), by fraction of the training pixels:"]
    for name, weight in weights.items():
        lines.append(f"  {name:<{width}}  {100 * pixels[name] / total:7.3f} %  {weight:9.4g}")
    return lines


def class_centroids(
    train: TrainParams, dataset: Dataset, split: Split, shown: bool
) -> Centroids | None:
    """Return the centroids of the classes in the prepared training masks; None where none are asked for.

    There are none either where samples are learnt by heart (`train.overfit`), which come up alike.
    Every process makes the same table by itself. shown: whether a progress bar is.
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
    """Return the lines that tell a person how the samples are chosen."""
    counts, pixels = centroid_counts(centroids, dataset), dataset.splits["train"]["class_pixels"]
    total, width = sum(pixels.values()), max(map(len, counts))
    percent, present = 100 * train.class_centroids.share, len(centroids.present)
    lines = [
        f"{percent:g} % of the samples are chosen for a class, {percent / present:.3g} % for each one; "
        "the classes by fraction of the training pixels, and their centroids:"
    ]
    for name, count in counts.items():
        left_out = "" if count else "  none in the samples, so it is left out"
        lines.append(
            f"  {name:<{width}}  {100 * pixels[name] / total:7.3f} %  {count:9d}{left_out}"
        )
    if crop == (dataset.input.height, dataset.input.width) and train.augmentation.scale[1] <= 1:
        lines.append("  the window is the whole image, so the centroids choose among images alone")
    return lines


def _refuse_other_classes(given: dict[str, float], classes: tuple[str, ...]) -> None:
    missing = [f"{name} is missing" for name in classes if name not in given]
    unknown = [f"{name} is no class" for name in given if name not in classes]
    if missing or unknown:
        raise ParameterError(
            "params.yaml: loss.given must give each class of the label scheme a weight, and nothing "
            f"else:\n{listing(missing + unknown)}\nThe classes are {', '.join(classes)}"
        )
