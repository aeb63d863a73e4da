"""What is shown of an image: its prediction beside the truth, in the size of the page, and its scores.

Shapes: H and W as shown, 3 colour channels, K classes. Masks are uint8 train ids, VOID where nothing
counts.
"""

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from segpipe.dashboard.image_list import ImageChoice, readable
from segpipe.inference.pictures import PredictedSample, predict_sample
from segpipe.inference.predictor import Predictor
from segpipe.labels.scheme import VOID, LabelScheme
from segpipe.metrics.confusion import confusion_matrix
from segpipe.metrics.scores import Scores, scores
from segpipe.rendering import layout
from segpipe.rendering.layout import LegendEntry, Mask, Picture
from segpipe.rendering.overlay import WRONG, error_panel, overlay

_LEAST, _MOST = 384, 960  # pixels of the width at which images are shown
_FRAME = 320  # pixels of the width of an earlier frame


@dataclass(frozen=True)
class Look:
    """An image as it is shown. frames: of a clip, the earlier ones, in order.

    truth_HW, scores: None where there is no truth. height, width: of the image itself, in pixels.
    unknown: values of the truth that the model's scheme does not know, with their pixels.
    """

    image_HW3: Picture
    truth_HW: Mask | None
    prediction_HW: Mask
    frames: Sequence[Picture]
    scores: Scores | None
    height: int
    width: int
    unknown: dict[int, int]


def look_at(choice: ImageChoice, predictor: Predictor) -> Look:
    """Predict an image and score it where it has truth; SegpipeError where a file cannot be read."""
    whole = readable(choice, predictor)
    found = predict_sample(whole.sample, whole.root, predictor)
    height, width = found.prediction_HW.shape
    shown = _shown_size(height, width)
    truth_HW = found.truth_HW
    return Look(
        image_HW3=layout.scaled(found.pictures_THW3[-1], *shown, Image.Resampling.LANCZOS),
        truth_HW=None if truth_HW is None else _mask(truth_HW, shown),
        prediction_HW=_mask(found.prediction_HW, shown),
        frames=[_frame(frame_HW3) for frame_HW3 in found.pictures_THW3[:-1]],
        scores=_scores(found, predictor.scheme),
        height=height,
        width=width,
        unknown=found.unknown,
    )


def _scores(found: PredictedSample, scheme: LabelScheme) -> Scores | None:
    """Return the scores at full size; None without truth, or without a pixel of it that counts."""
    truth_HW = found.truth_HW
    if truth_HW is None or not (truth_HW != VOID).any():
        return None
    prediction_1HW = torch.from_numpy(found.prediction_HW[None].copy())
    truth_1HW = torch.from_numpy(truth_HW[None].copy())
    return scores(confusion_matrix(prediction_1HW, truth_1HW, scheme.num_classes).numpy())


def _shown_size(height: int, width: int) -> tuple[int, int]:
    """Return height and width on the page: small images are enlarged by a whole factor."""
    if width < _LEAST:
        factor = max(1, min(math.ceil(_LEAST / width), _MOST // max(height, width)))
        return height * factor, width * factor
    factor_down = min(1.0, _MOST / max(height, width))
    return max(1, round(height * factor_down)), max(1, round(width * factor_down))


def _mask(mask_HW: Mask, shown: tuple[int, int]) -> Mask:
    return layout.scaled(mask_HW, *shown, Image.Resampling.NEAREST)


def _frame(frame_HW3: Picture) -> Picture:
    height, width = frame_HW3.shape[:2]
    if width <= _FRAME:
        return frame_HW3
    sides = max(1, round(height * _FRAME / width)), _FRAME
    return layout.scaled(frame_HW3, *sides, Image.Resampling.LANCZOS)


def panels(
    look: Look, scheme: LabelScheme, opacity: float, classes: Sequence[str]
) -> dict[str, Picture]:
    """Return the pictures that stand beside each other, by caption: truth, prediction, errors.

    opacity: of the classes' colours, 0..1. classes: those that are coloured, and whose errors are
    marked: pixels that truly belong to one of them, or are taken for one. Without truth the image
    stands beside the prediction.
    """
    ids = [place for place, name in enumerate(scheme.classes) if name in classes]
    prediction_HW3 = overlay(look.image_HW3, _kept(look.prediction_HW, ids), scheme, opacity)
    if look.truth_HW is None:
        return {"Image": look.image_HW3, "Prediction": prediction_HW3}
    concerned_HW = np.isin(look.truth_HW, ids) | np.isin(look.prediction_HW, ids)
    marked_HW = np.where(concerned_HW, look.prediction_HW, look.truth_HW)
    return {
        "Truth": overlay(look.image_HW3, _kept(look.truth_HW, ids), scheme, opacity),
        "Prediction": prediction_HW3,
        "Errors": error_panel(look.image_HW3, look.truth_HW, marked_HW),
    }


def _kept(mask_HW: Mask, ids: Sequence[int]) -> NDArray[np.uint8]:
    return np.where(np.isin(mask_HW, ids), mask_HW, VOID).astype(np.uint8)


def legend_html(look: Look, scheme: LabelScheme, classes: Sequence[str]) -> str:
    """Return the legend of the classes in an image, as HTML that suits light and dark pages."""
    masks = [look.prediction_HW] if look.truth_HW is None else [look.truth_HW, look.prediction_HW]
    entries = [one for one in layout.present_classes(scheme, *masks) if one.name in classes]
    if look.truth_HW is not None:
        entries += [LegendEntry("wrong", WRONG), *layout.void_entry(look.truth_HW)]
    return "".join(_chip(entry) for entry in entries)


def _chip(entry: LegendEntry) -> str:
    stripes = f"repeating-linear-gradient(135deg,rgb{layout.VOID_DARK} 0 4px,rgb{layout.VOID_LINE} 4px 6px)"
    ground = stripes if entry.colour is None else f"rgb{entry.colour}"
    box = (
        "display:inline-block;width:.9em;height:.9em;margin-right:.4em;border-radius:2px;"
        f"vertical-align:-.08em;border:1px solid #8888;background:{ground}"
    )
    return (
        '<span style="display:inline-block;margin:0 1.1em .3em 0;font-size:.875rem">'
        f'<span style="{box}"></span>{html.escape(entry.name)}</span>'
    )
