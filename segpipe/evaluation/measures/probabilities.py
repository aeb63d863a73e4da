"""Scores of one logit at every threshold, from counts of its probabilities.

Shapes: K = 1 logit, T ranges of probability, and as many thresholds; h and w of an image's truth.
"""

from math import isnan
from typing import Self

import numpy as np
import torch
from torch import Tensor

from segpipe.evaluation.measure import MeasureSummary, ScoredImage, rounded
from segpipe.metrics.precision_recall import (
    PROBABILITIES,
    Curve,
    average_precision,
    best_threshold,
    count_probabilities,
    curve,
)
from segpipe.results.evaluation_tables import PrecisionRecallPoint


class Probabilities:
    """Average precision, best threshold and the precision-recall curve of the foreground.

    The counts, 2 x T whole numbers as `count_probabilities` gives them, add up over images. The best
    threshold is what the evaluated split itself would choose; it is reported, and used nowhere.
    """

    def __init__(self, foreground: str) -> None:
        """foreground: the name of the class that the logit scores."""
        self._foreground = foreground
        self._counts_2T = np.zeros((2, PROBABILITIES), np.int64)

    def update(self, image: ScoredImage, logits_Khw: Tensor) -> None:
        """Count the probabilities of an image's valid pixels."""
        truth_1hw = torch.from_numpy(image.truth_hw)[None].to(logits_Khw.device)
        self._counts_2T += count_probabilities(logits_Khw[None], truth_1hw).cpu().numpy()

    def merge(self, other: Self) -> None:
        """Add what another one has counted."""
        self._counts_2T += other._counts_2T

    def summary(self) -> MeasureSummary:
        """Return what `foreground` says of thresholds, and precision_recall.csv."""
        drawn, chosen = curve(self._counts_2T), best_threshold(self._counts_2T)
        best = float(drawn.iou_T[drawn.threshold_T == chosen].item())
        found = {
            "average_precision": rounded(average_precision(self._counts_2T)),
            "best_threshold": None if isnan(best) else chosen,
            "best_iou": rounded(best),
            "best_dice": rounded(2 * best / (1 + best)),
        }
        return MeasureSummary(
            scores={"foreground": found}, tables={PrecisionRecallPoint: self._points(drawn)}
        )

    def _points(self, drawn: Curve) -> list[PrecisionRecallPoint]:
        columns = (drawn.threshold_T, drawn.precision_T, drawn.recall_T)
        return [
            PrecisionRecallPoint(
                class_name=self._foreground,
                threshold=threshold,
                precision=rounded(precision),
                recall=rounded(recall),
            )
            for threshold, precision, recall in zip(*columns, strict=True)
        ]
