"""What a data set holds, counted from its samples' statistics: the numbers of the report.

K classes.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segpipe.labels.class_weights import KINDS, class_weights
from segpipe.labels.scheme import VOID, LabelScheme
from segpipe.preflight.wording import size
from segpipe.preparation.sample_stats import SampleStats, Survey
from segpipe.raw.sample import SPLITS


def summarise(survey: Survey, scheme: LabelScheme) -> dict[str, Any]:
    """Return plain values for report.json: splits, classes, sizes, modes, what was left out.

    Pixels are those of the masks at their own resolution; values outside the scheme count as void.
    """
    samples = survey.kept
    by_split = {split: [stats for stats in samples if stats.split == split] for split in SPLITS}
    return {
        "splits": {split: _split(members) for split, members in by_split.items()},
        "classes": _classes(by_split, scheme),
        "image_sizes": _counts(size(stats.image_side) for stats in samples if stats.image_side),
        "image_modes": _counts(stats.image_mode for stats in samples if stats.image_mode),
        "mask_modes": _counts(stats.mask_mode for stats in samples if stats.mask_mode),
        "left_out": len(survey.samples) - len(samples),
        "excluded": survey.excluded,
    }


def _split(samples: Sequence[SampleStats]) -> dict[str, Any]:
    pixels = sum(sum(stats.train_pixels.values()) for stats in samples)
    void = sum(stats.train_pixels.get(VOID, 0) for stats in samples)
    seen = [stats.brightness for stats in samples if stats.brightness is not None]
    return {
        "samples": len(samples),
        "masks": sum(stats.sample.mask is not None for stats in samples),
        "groups": len({stats.sample.group for stats in samples}),
        "pixels": pixels,
        "void_pixels": void,
        "void_share": round(void / pixels, 6) if pixels else None,
        "mean_brightness": round(sum(seen) / len(seen), 6) if seen else None,
    }


def _classes(by_split: dict[str, list[SampleStats]], scheme: LabelScheme) -> list[dict[str, Any]]:
    """Return for each class its pixels and images by split, and the weights that would balance it."""
    pixels = {split: _pixels_K(members, scheme) for split, members in by_split.items()}
    weights = _weights(by_split["train"], pixels["train"], scheme)
    rows = []
    for k, name in enumerate(scheme.classes):
        splits = {}
        for split, members in by_split.items():
            valid = int(pixels[split].sum())
            splits[split] = {
                "pixels": int(pixels[split][k]),
                "share": round(int(pixels[split][k]) / valid, 8) if valid else None,
                "images": sum(stats.train_pixels.get(k, 0) > 0 for stats in members),
            }
        rows.append(
            {
                "name": name,
                "splits": splits,
                "weights": {kind: round(float(w_K[k]), 6) for kind, w_K in weights.items()},
            }
        )
    return rows


def _pixels_K(samples: Sequence[SampleStats], scheme: LabelScheme) -> NDArray[np.int64]:
    pixels_K = np.zeros(scheme.num_classes, np.int64)
    for stats in samples:
        for k, pixels in stats.train_pixels.items():
            if k != VOID:
                pixels_K[k] += pixels
    return pixels_K


def _weights(
    samples: Sequence[SampleStats], pixels_K: NDArray[np.int64], scheme: LabelScheme
) -> dict[str, NDArray[np.float64]]:
    """Return the weights of each kind; none where no training pixel shows a class."""
    present_K = np.zeros(scheme.num_classes, np.int64)
    for stats in samples:
        valid = sum(pixels for k, pixels in stats.train_pixels.items() if k != VOID)
        for k, pixels in stats.train_pixels.items():
            if k != VOID and pixels:
                present_K[k] += valid
    if not pixels_K.any():
        return {}
    return {kind: class_weights(kind, pixels_K, present_K) for kind in KINDS}


def _counts(values: Any) -> dict[str, int]:
    """Return how often each value occurs, the most frequent first."""
    return dict(Counter(values).most_common())
