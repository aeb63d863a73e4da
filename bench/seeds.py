"""How often the intervals of several seeds hold the true score, by the number of images and of seeds.

The data sets are those of bench/coverage.py, of 8 classes. A run has a seed that moves the ease of all
images, and one that moves each image and class by itself. The truth is the mean over all images and
all seeds. Beside each score the difference to a second network of as many seeds on the same images, and
the images' share of the variance of a single run: the median and the range of nine in ten families.

Shapes: N images, R runs, K classes; Z hidden values of an image.

Example: python -m bench.seeds --images 100 --seeds 3 5 --draws 200
"""

import argparse

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from bench.coverage import by_image, scored_images, whole
from segpipe.metrics.image_scores import mean_of_sums
from segpipe.metrics.repeats import difference_interval, mean_interval, variances
from segpipe.metrics.scores import miou, pixel_accuracy

Floats = NDArray[np.float64]
_KIND = (8, 0.3)
_VALUES = 3 + 5 * _KIND[0]
_POPULATION, _QUANTILES = 20_000, 9
_GAIN = 0.1  # of the second network, of the ease, in logits


def runs_on(hidden_NZ: Floats, seeds_R: Floats, random: np.random.Generator) -> Floats:
    """Return true pixels, predicted pixels and hits of runs, (N, R, K, 3).

    seeds_R: what the seed of each run adds to the ease of every image, in logits.
    """
    runs, classes = [], _KIND[0]
    recalls = slice(3 + 3 * classes, 3 + 4 * classes)
    for seed in seeds_R:
        own_NZ = hidden_NZ.copy()
        # The network's own part of an image has the weight 0.3 there, that of a class 0.5.
        own_NZ[:, 1] = 0.7 * own_NZ[:, 1] + 0.7 * random.normal(size=len(own_NZ)) + seed / 0.3
        own_NZ[:, recalls] *= 0.7
        own_NZ[:, recalls] += 0.7 * random.normal(size=(len(own_NZ), classes))
        runs.append(scored_images(own_NZ, *_KIND)[:, 0])
    return np.stack(runs, 1)


SCORES = {
    "mIoU": (whole, miou),
    "pixel accuracy": (whole, pixel_accuracy),
    "mIoU by image": (by_image, mean_of_sums),
}


def truths(spread: float) -> dict[str, tuple[float, float]]:
    """Return by score the mean over images and seeds, of the first network and of the second."""
    random = np.random.default_rng(0)
    hidden_NZ = random.normal(size=(_POPULATION, _VALUES))
    seeds_Q = spread * ndtri((np.arange(_QUANTILES) + 0.5) / _QUANTILES)
    found: dict[str, list[float]] = {name: [] for name in SCORES}
    for gain in (0.0, _GAIN):
        counts = runs_on(hidden_NZ, seeds_Q + gain, random)
        for name, (sums, statistic) in SCORES.items():
            found[name].append(float(statistic(sums(counts).sum(0)).mean()))
    return {name: (one, other) for name, (one, other) in found.items()}


def measured(images: int, seeds: int, spread: float, draws: int) -> list[str]:
    """Return the cells of a row: coverage in percent of each score and its difference, and shares."""
    random, true = np.random.default_rng(images + seeds), truths(spread)
    held: dict[str, list[bool]] = {f"{name}{end}": [] for name in SCORES for end in ("", " d")}
    shares: list[float] = []
    for _ in range(draws):
        hidden_NZ = random.normal(size=(images, _VALUES))
        seeds_R = spread * random.normal(size=2 * seeds)
        seeds_R[seeds:] += _GAIN
        counts = runs_on(hidden_NZ, seeds_R, random)
        for name, (sums, statistic) in SCORES.items():
            first, second = true[name]
            both = sums(counts)
            parts = variances(both[:, :seeds], _alone(images), statistic)
            if name == "mIoU":
                shares.append(parts.images_share)
            found = mean_interval(parts, seeds)
            if found.known:
                held[name].append(found.low <= first <= found.high)
            found = difference_interval(both, _alone(images), statistic, first=seeds)
            if found.known:
                held[f"{name} d"].append(found.low <= second - first <= found.high)
    cells = [f"{100 * np.mean(one):.1f}" for one in held.values()]
    return [
        *cells,
        "{:.0f} ({:.0f}-{:.0f})".format(*100 * np.nanquantile(shares, (0.5, 0.05, 0.95))),
    ]


def _alone(images: int) -> list[str]:
    return [str(n) for n in range(images)]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, nargs="+", default=[30, 100, 500])
    parser.add_argument("--seeds", type=int, nargs="+", default=[3, 5, 10])
    parser.add_argument(
        "--spread",
        type=float,
        nargs="+",
        default=[0.02, 0.1],
        help="standard deviation of what a seed adds to the ease of all images, in logits",
    )
    parser.add_argument("--draws", type=int, default=500, help="families for each row")
    options = parser.parse_args()
    head = [f"{name}{end}" for name in SCORES for end in ("", ", diff.")]
    print(" | ".join(["images", "seeds", "spread", *head, "images' share"]))
    for spread in options.spread:
        for images in options.images:
            for seeds in options.seeds:
                cells = measured(images, seeds, spread, options.draws)
                print(" | ".join([str(images), str(seeds), str(spread), *cells]), flush=True)


if __name__ == "__main__":
    main()
