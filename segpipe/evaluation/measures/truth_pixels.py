"""What the truth of the scored images is like, for the protocol: void pixels and sizes."""

from collections import Counter
from typing import Self

import numpy as np

from segpipe.evaluation.measure import MeasureSummary, ScoredImage


class TruthPixels:
    """Counts images, the pixels that void left out, and images by size."""

    def __init__(self) -> None:
        self._void_pixels = 0
        self._sizes = Counter[str]()

    def update(self, image: ScoredImage) -> None:
        """Count an image. Void is counted in the window that a pixel belongs to, and only there."""
        height, width = image.scored_mask_hw.shape
        scored = int(np.count_nonzero(image.scored_mask_hw))
        self._void_pixels += scored - int(image.confusion_KP.sum())
        self._sizes[f"{height}x{width}"] += 1

    def merge(self, other: Self) -> None:
        """Add what another one has counted."""
        self._void_pixels += other._void_pixels
        self._sizes += other._sizes

    def summary(self) -> MeasureSummary:
        """Return these keys of the protocol."""
        return MeasureSummary(
            scores={
                "protocol": {
                    "images": self._sizes.total(),
                    "void_pixels": self._void_pixels,
                    "image_sizes": dict(sorted(self._sizes.items())),
                }
            }
        )
