"""Scores at the size of the picture, strip by strip: never all classes of all pixels at once.

Shapes: B batch; T frames; C channels; K scores a pixel; H, W of the picture;
R rows of a strip or of a source.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from segpipe.bundle import all_finite
from segpipe.bundle_format import DESCRIPTION
from segpipe.inference.views import RowSource
from segpipe.metrics.class_probabilities import class_softmax
from segpipe.runtime.errors import DataError

Strip = tuple[slice, Tensor]
# Of a strip, 48 MB as float32: blocks of more than 32 MB glibc gives back to the system at once, while
# the holes that smaller ones leave between what is kept make a process grow.
_VALUES = 3 << 22


def score_strips(
    sources: Sequence[RowSource], scores: int, height: int, width: int, averaged: bool
) -> Iterator[Strip]:
    """Yield the rows of a picture and their logits, (K, R, W) float32, from top to bottom.

    sources: the views of the picture, each brought to its size bilinearly, as `F.interpolate` does.
    scores: K. averaged: whether the sources hold probabilities, whose mean is yielded as the logits
    that stand for it: its logarithm, or of one score log(p / (1 - p)).
    """
    rows = max(1, _VALUES // (scores * width))
    for start in range(0, height, rows):
        stop = min(start + rows, height)
        total_KRW: Tensor | None = None
        for source in sources:
            view_KRW = _resized_rows(source, start, stop, height, width)
            total_KRW = view_KRW if total_KRW is None else total_KRW + view_KRW
        assert total_KRW is not None
        if averaged:
            total_KRW = logits_of(total_KRW / len(sources))
        yield slice(start, stop), total_KRW


def probabilities_of(logits_BKHW: Tensor) -> Tensor:
    """Return the softmax over the scores, or of one score its sigmoid, of the same shape."""
    return class_softmax(logits_BKHW, 1) if logits_BKHW.shape[1] > 1 else logits_BKHW.sigmoid()


def logits_of(probability_KHW: Tensor) -> Tensor:
    """Return finite logits of probabilities, the inverse of `probabilities_of` for one image."""
    tiny = torch.finfo(torch.float32).tiny
    if len(probability_KHW) > 1:
        return probability_KHW.clamp_min(tiny).log()
    # Next to 1 float32 has steps of 6e-8.
    return probability_KHW.double().clamp(tiny, 1 - 2**-40).logit().float()


def _resized_rows(source: RowSource, start: int, stop: int, height: int, width: int) -> Tensor:
    """Return the rows start..stop of a source that is resized to height x width, (K, R, W)."""
    if source.height == height:
        rows_KRw = source.rows(start, stop)
    else:
        # Centres of pixels meet centres (align_corners=False); beyond the first and last they repeat.
        place_R = (torch.arange(start, stop, dtype=torch.float64) + 0.5) * source.height / height
        place_R = (place_R - 0.5).clamp(0, source.height - 1)
        above_R = place_R.long()
        below_R = (above_R + 1).clamp_max(source.height - 1)
        first = int(above_R[0])
        found_KRw = source.rows(first, int(below_R[-1]) + 1)
        fraction_R1 = (place_R - above_R)[:, None].to(found_KRw)
        above_KRw = found_KRw[:, (above_R - first).to(found_KRw.device)]
        below_KRw = found_KRw[:, (below_R - first).to(found_KRw.device)]
        rows_KRw = torch.lerp(above_KRw, below_KRw, fraction_R1)
    if rows_KRw.shape[2] == width:
        return rows_KRw
    resized: Tensor = F.interpolate(
        rows_KRw[None], size=(stop - start, width), mode="bilinear", align_corners=False
    )[0]
    return resized


def refuse_not_finite(
    scores: Tensor, clips_BTHWC: NDArray[Any], precision: Literal["fp32", "bf16"]
) -> None:
    """Raise DataError, with cause and repair, when a score of these clips is NaN or infinite.

    precision: in which the network computed them.
    """
    if all_finite(scores):
        return
    if not np.isfinite(clips_BTHWC).all():
        raise DataError("holds values that are not finite (NaN or infinite); mend the image")
    fault = "the network's scores of it are not finite (NaN or infinite), so they name no class"
    if precision == "bf16":
        raise DataError(
            f"{fault}; they were computed in bf16: set precision to fp32 in the model's "
            f"{DESCRIPTION} and predict again"
        )
    raise DataError(
        f"{fault}; the weights are too large: train again, for instance with a smaller train.lr"
    )
