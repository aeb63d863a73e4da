"""Counts of each image, from which measures of labels are made.

Shapes: N images, K classes.
"""

from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray

from segpipe.evaluation.measure import ScoredImage
from segpipe.raw.sample import Sample


class CountsByImage:
    """Keeps the counts of the classes of each image, K x 3 whole numbers; a base of measures.

    They are those of `segpipe.metrics.scores.class_counts`, enough for all scores of labels; a confusion
    matrix of each image would take K / 3 times as much memory. classes: their names, in the order of
    train ids.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        self.classes = classes
        self.by_sample: dict[Sample, NDArray[np.int64]] = {}

    def update(self, image: ScoredImage) -> None:
        """Count an image."""
        self.by_sample[image.sample] = image.counts_K3

    def merge(self, other: Self) -> None:
        """Add what another one has counted on images that come after."""
        self.by_sample |= other.by_sample

    @property
    def samples(self) -> list[Sample]:
        """The samples in the order in which they were counted."""
        return list(self.by_sample)

    @property
    def counts_NK3(self) -> NDArray[np.int64]:
        """The counts of each sample, in the order of `samples`."""
        shape = (len(self.by_sample), len(self.classes), 3)
        return np.array(list(self.by_sample.values()), np.int64).reshape(shape)
