"""How often the 95 % intervals hold the true score, by the number of images.

Data sets are simulated of which the score of all images is known: classes from one in every image to a
rare one, shares of pixels and difficulties that differ between images. Independent images, groups of
ten images of which each has half of the variance, and frames of one drive, whose hidden values are
series in which neighbours correlate. Beside each score the difference to a second model on the same
images. Prints the share of data sets with an interval, and of them the share whose interval holds the
truth; 95 % would be right.

Shapes: N images, K classes; Z hidden values of an image.

Example: python -m bench.coverage --images 20 100 --draws 200
"""

import argparse
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtr

from segpipe.metrics.image_scores import image_means, iou_of_present, mean_of_sums, sums_of_defined
from segpipe.metrics.jackknife import Statistic, jackknife
from segpipe.metrics.scores import miou, pixel_accuracy, ratio

Floats = NDArray[np.float64]
DataSet = tuple[Floats, Sequence[str]]  # hidden values, (N, Z), and the group of each image
Hidden = Callable[[np.random.Generator], DataSet]
_PIXELS, _POPULATION = 20_000, 50_000
# Classes and the share of images that hold the rarest: CamVid's are like the first, Cityscapes' the second.
_KINDS = ((8, 0.3), (19, 0.03))


@dataclass(frozen=True)
class Case:
    """A score as the evaluation finds it. counts: what adds up over images, from (N, 2, K, 3)."""

    name: str
    counts: Callable[[Floats], Floats]
    statistic: Statistic
    difference: bool = False


def scored_images(hidden_NZ: Floats, classes: int, rarest: float) -> Floats:
    """Return the true pixels, predicted pixels and hits of two models, (N, 2, K, 3)."""
    shares, seen, wrong, *recalls = np.split(hidden_NZ[:, 3:], 5, axis=1)
    held_K, size_K = np.geomspace(1, rarest, classes), np.geomspace(1, 0.02, classes)
    present_NK = ndtr(seen) < held_K
    pixels_NK = size_K * np.exp(0.8 * shares) * present_NK
    pixels_NK = np.rint(_PIXELS * pixels_NK / pixels_NK.sum(1, keepdims=True))
    # The largest class is in every image, so that none is empty.
    ease_N1, models = 1.5 + 0.8 * hidden_NZ[:, :1], []
    for model, own_NK in enumerate(recalls):
        own_N1 = 0.3 * hidden_NZ[:, 1 + model : 2 + model] + 0.1 * model
        difficulty_NK = 1.5 * np.linspace(0, 1, classes) - 0.6 * shares - 0.5 * own_NK
        hits_NK = np.rint(pixels_NK * expit(ease_N1 + own_N1 - difficulty_NK))
        weights_NK = (pixels_NK + 1000 * size_K * held_K) * np.exp(0.5 * own_NK)
        weights_NK *= present_NK | (ndtr(wrong) < 0.05)
        missed_N1 = (pixels_NK - hits_NK).sum(1, keepdims=True)
        more_NK = np.rint(missed_N1 * weights_NK / weights_NK.sum(1, keepdims=True))
        models.append(np.stack([pixels_NK, hits_NK + more_NK, hits_NK], -1))
    return np.stack(models, 1)


def series(images: int, values: int, neighbours: float, random: np.random.Generator) -> Floats:
    """Return standard normal values of consecutive images whose neighbours correlate, (N, Z)."""
    hidden_NZ = random.normal(size=(images, values))
    for place in range(1, images):
        hidden_NZ[place] *= math.sqrt(1 - neighbours**2)
        hidden_NZ[place] += neighbours * hidden_NZ[place - 1]
    return hidden_NZ


def in_groups(images: int, values: int, size: int, random: np.random.Generator) -> Floats:
    """Return standard normal values, half of whose variance is that of their group, (N, Z)."""
    of_group = random.normal(size=(-(-images // size), values)).repeat(size, axis=0)[:images]
    return math.sqrt(0.5) * of_group + math.sqrt(0.5) * random.normal(size=(images, values))


def whole(counts_NK3: Floats) -> Floats:
    """Return the counts themselves, also those of several runs, (N, R, K, 3)."""
    return counts_NK3


def by_image(counts_NK3: Floats) -> Floats:
    """Return what adds up to the mean over images of their mean IoU, (N, 2); of runs, (N, R, 2)."""
    return sums_of_defined(image_means(iou_of_present(counts_NK3)))


def cases(classes: int) -> Iterator[Case]:
    """Yield the scores that are measured, each followed by the difference of the two models."""

    def one_class(counts_NK3: Floats) -> Floats:
        return counts_NK3[:, [classes // 2]]

    for name, counts, statistic in (
        ("mIoU", whole, miou),
        ("pixel accuracy", whole, pixel_accuracy),
        ("class IoU", one_class, miou),
        ("mIoU by image", by_image, mean_of_sums),
    ):
        yield Case(name, partial(_first, counts), statistic)
        yield Case(
            f"{name}, difference", partial(_both, counts), partial(_difference, statistic), True
        )


def _first(counts: Callable[[Floats], Floats], models_N2K3: Floats) -> Floats:
    return counts(models_N2K3[:, 0])


def _both(counts: Callable[[Floats], Floats], models_N2K3: Floats) -> Floats:
    return np.stack([counts(models_N2K3[:, 0]), counts(models_N2K3[:, 1])], 1)


def _difference(statistic: Statistic, sums_S2: Floats) -> Floats:
    return statistic(sums_S2[:, 1]) - statistic(sums_S2[:, 0])


def coverage(
    images: int,
    kind: tuple[int, float],
    hidden: Hidden,
    draws: int,
) -> dict[str, tuple[float, float]]:
    """Return, by score, the share of data sets with an interval and that of intervals that hold."""
    random = np.random.default_rng(images)
    everything = scored_images(random.normal(size=(_POPULATION, 3 + 5 * kind[0])), *kind)
    truths = {
        c.name: float(c.statistic(c.counts(everything).sum(0)[None])[0]) for c in cases(kind[0])
    }
    held: dict[str, list[bool]] = {name: [] for name in truths}
    for _ in range(draws):
        hidden_NZ, groups = hidden(random)
        both = scored_images(hidden_NZ, *kind)
        for case in cases(kind[0]):
            found = jackknife(case.counts(both), groups, case.statistic, case.difference)
            if found.known:
                held[case.name].append(found.low <= truths[case.name] <= found.high)
    return {
        name: (len(one) / draws, float(ratio(np.array(sum(one)), np.array(len(one)))))
        for name, one in held.items()
    }


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    numbers: dict[str, Any] = {"type": int, "nargs": "*"}
    parser.add_argument("--images", **numbers, default=[10, 20, 30, 50, 100, 500, 2000])
    parser.add_argument("--groups", **numbers, default=[20, 50], help="of ten images each")
    parser.add_argument("--frames", **numbers, default=[100, 200, 500], help="of one drive")
    parser.add_argument("--draws", type=int, default=1000, help="data sets for each row")
    options = parser.parse_args()
    for kind in _KINDS:
        print(f"{kind[0]} classes, the rarest in {100 * kind[1]:.0f} % of the images")
        for row, images, data in _rows(options, values=3 + 5 * kind[0]):
            found = coverage(images, kind, data, options.draws)
            cells = [f"{100 * held:.1f} ({100 * known:.0f})" for known, held in found.values()]
            print(f"{row:18}{' '.join(f'{cell:>11}' for cell in cells)}", flush=True)


def _rows(options: argparse.Namespace, values: int) -> Iterator[tuple[str, int, Hidden]]:
    for images in options.images:
        yield f"{images} images", images, partial(_frames, images, values, 0.0)
    for groups in options.groups:
        yield f"{groups} groups", 10 * groups, partial(_groups, 10 * groups, values)
    for frames in options.frames:
        for neighbours in (0.3, 0.6, 0.8, 0.9):
            data = partial(_frames, frames, values, neighbours)
            yield f"{frames} frames, {neighbours}", frames, data


def _frames(images: int, values: int, neighbours: float, random: np.random.Generator) -> DataSet:
    return series(images, values, neighbours, random), [str(n) for n in range(images)]


def _groups(images: int, values: int, random: np.random.Generator) -> DataSet:
    return in_groups(images, values, 10, random), [str(n // 10) for n in range(images)]


if __name__ == "__main__":
    main()
