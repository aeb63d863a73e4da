"""How often the 95 % percentile bootstrap interval holds the score of all images, by number of images.

Drawn from a population of images of which the score is known: classes of very different size that are
absent in many images, and images of very different difficulty. A nominal interval would hold it in
95 of 100 draws. Prints a row for each number of images.

Shapes: P images of the population, N drawn images, K classes.

Example: python -m bench.coverage --images 3 10 30
"""

import argparse
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segpipe.metrics.bootstrap import Statistic, bootstrap_interval
from segpipe.metrics.scores import mean_iou, pixel_accuracy

_SCORES: dict[str, Statistic] = {"mIoU": mean_iou, "pixel accuracy": pixel_accuracy}
_POPULATION, _PIXELS = 5000, 10_000


def population(classes: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Return confusion matrices of images, (P, K, K)."""
    usual_K = 0.5 ** np.arange(classes)
    shares_PK = random.dirichlet(3 * usual_K / usual_K.sum(), _POPULATION)
    # Difficulty is shared by an image's classes, and differs between images.
    ease_P1 = random.normal(1.5, 1.0, (_POPULATION, 1))
    logits_PK = ease_P1 - 0.3 * np.arange(classes) + random.normal(0, 0.7, shares_PK.shape)
    recall_PK = 1 / (1 + np.exp(-logits_PK))
    guesses_PKK = np.broadcast_to(shares_PK[:, None] + 0.02, (_POPULATION, classes, classes)).copy()
    guesses_PKK[:, range(classes), range(classes)] = 0
    guesses_PKK *= ((1 - recall_PK) / guesses_PKK.sum(2))[..., None]
    guesses_PKK[:, range(classes), range(classes)] = recall_PK
    counts_PKK = np.rint(_PIXELS * shares_PK[..., None] * guesses_PKK)
    return counts_PKK.astype(np.int64)


def coverage(counts_PKK: NDArray[np.int64], images: int, draws: int, score: str) -> float:
    """Return the fraction of draws of so many images whose interval holds the population's score."""
    statistic, random = _SCORES[score], np.random.default_rng(images)
    truth = float(statistic(counts_PKK.sum(0)[None].astype(np.float64))[0])
    held = 0
    for draw in range(draws):
        rows_N = random.integers(0, len(counts_PKK), images)
        found = bootstrap_interval(counts_PKK[rows_N], statistic, samples=500, seed=draw)
        held += found is not None and found[0] <= truth <= found[1]
    return held / draws


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    numbers: dict[str, Any] = {"type": int, "nargs": "+"}
    images = [3, 5, 8, 10, 15, 20, 30, 50, 100]
    parser.add_argument("--images", **numbers, default=images, help="how many are drawn each time")
    parser.add_argument("--classes", **numbers, default=[2, 8, 19], help="of each population")
    parser.add_argument("--draws", type=int, default=1000, help="for each row of the table")
    options = parser.parse_args()
    for classes in options.classes:
        counts_PKK = population(classes, np.random.default_rng(classes))
        for images in options.images:
            found = (f"{s} {coverage(counts_PKK, images, options.draws, s):.3f}" for s in _SCORES)
            print(f"{classes} classes, {images} images: {', '.join(found)}", flush=True)


if __name__ == "__main__":
    main()
