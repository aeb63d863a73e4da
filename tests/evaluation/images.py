"""Scored images with given counts, and evaluations of them."""

from collections.abc import Iterable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from segpipe.evaluation.counts import EvaluationCounts
from segpipe.evaluation.measure import ScoredImage
from segpipe.inference.views import Views
from segpipe.raw.sample import Sample

# In place of a network whose output is as large as its input.
SAME_SIZE: Any = SimpleNamespace(missing_pixels=lambda side: 0)


def scored_image(name: str, confusion_KK: ArrayLike, file: str | None = None) -> ScoredImage:
    """An image whose pixels have this confusion matrix, and one void pixel more; its file is its group."""
    counts_KK = np.asarray(confusion_KK)
    truth, prediction = np.indices(counts_KK.shape).reshape(2, -1).repeat(counts_KK.ravel(), axis=1)
    return ScoredImage(
        sample=Sample(name, file or name, file or f"{name}.png", f"{name}_mask.png"),
        truth_hw=np.append(truth, 255).astype(np.uint8)[None],
        prediction_hw=np.append(prediction, 0).astype(np.uint8)[None],
        scored_mask_hw=np.ones((1, len(truth) + 1), np.bool_),
        classes=len(counts_KK),
    )


def counts_of(classes: Sequence[str], images: Iterable[ScoredImage]) -> EvaluationCounts:
    """What an evaluation of a network with a logit for each class has counted."""
    counts = EvaluationCounts.of(classes, False)
    for image in images:
        counts.update(image)
    return counts


def stand_in(scheme: Any) -> Any:
    """As much of a predictor as the report of an evaluation asks for."""
    spec = SimpleNamespace(height=8, width=8, fit="stretch")
    bundle = SimpleNamespace(lineage={"data": "x"}, threshold=None, model=SAME_SIZE)
    return SimpleNamespace(
        scheme=scheme, precision="fp32", input=spec, bundle=bundle, views=Views()
    )
