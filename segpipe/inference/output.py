"""What is predicted of an image: labels, the maps that are asked for, and of pictures and tiles the PNGs.

Shapes: K classes; H, W of the image; h, w of its truth; R rows of a strip.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import log
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from segpipe.inference.predictor import Predictor
from segpipe.inference.strips import Strip
from segpipe.inference.targets import (
    OVERLAYS,
    PROBABILITIES,
    SOFTWARE,
    UNCERTAINTY,
    class_folders,
)
from segpipe.metrics.class_probabilities import class_probabilities
from segpipe.raw.input_spec import at_image_size, picture_of
from segpipe.raw.pictures.palette import palette_of_ids
from segpipe.rendering.overlay import overlay
from segpipe.rendering.png import png_bytes

# Below it a probability adds nothing to the entropy, and its logarithm is finite.
_TINY = torch.finfo(torch.float32).tiny


@dataclass(frozen=True)
class Output:
    """What predict writes for each image.

    opacity: of the overlay's colours, 0..1; rasters have no overlay. probabilities: whether to write
    the probability of the class that was chosen (of one logit, that of train id 1). uncertainty: whether
    to write the entropy of the probabilities. submission: labels alone, as grey PNGs without a
    palette, as the official evaluator of Cityscapes takes them. class_ids: the train ids of the classes
    whose probability is written as a map of its own. bits: 8 or 16 a pixel, of all these maps.
    """

    opacity: float
    probabilities: bool = False
    uncertainty: bool = False
    submission: bool = False
    class_ids: tuple[int, ...] = ()
    bits: Literal[8, 16] = 8


@dataclass(frozen=True)
class Maps:
    """labels_hw: train ids, uint8. others_hw: further maps by folder, as `quantised` makes them."""

    labels_hw: NDArray[np.uint8]
    others_hw: dict[str, NDArray[Any]]


def read_maps(
    predictor: Predictor,
    strips: Iterator[Strip],
    output: Output,
    add: Callable[[torch.Tensor], None] | None = None,
) -> Maps:
    """Return the labels, and what else `output` asks for but the maps by class, of an image's strips.

    add: takes the probabilities of each strip, (K, R, w), from top to bottom.
    """
    labels: list[NDArray[np.uint8]] = []
    others: dict[str, list[NDArray[Any]]] = {}
    for _, logits_KRw in strips:
        labels.append(predictor.train_ids(logits_KRw))
        if not (output.probabilities or output.uncertainty or add):
            continue
        chance_KRw = class_probabilities(logits_KRw, predictor.bundle.temperature)
        if add is not None:
            add(chance_KRw)
        if output.probabilities:
            one_logit = len(logits_KRw) == 1
            chosen_Rw = chance_KRw[1] if one_logit else chance_KRw.amax(0)
            others.setdefault(PROBABILITIES, []).append(quantised(chosen_Rw, output.bits))
        if output.uncertainty:
            entropy_Rw = -(chance_KRw * chance_KRw.clamp_min(_TINY).log()).sum(0)
            entropy_Rw /= log(len(chance_KRw))
            others.setdefault(UNCERTAINTY, []).append(quantised(entropy_Rw, output.bits))
    return Maps(
        np.concatenate(labels), {folder: np.concatenate(parts) for folder, parts in others.items()}
    )


def read_window(predictor: Predictor, image_HWC: NDArray[Any], output: Output) -> Maps:
    """Return the labels of a raster's window and all that `output` asks for, the maps by class too."""
    [strips] = predictor.score_strips([image_HWC[None]])
    chances: list[torch.Tensor] = []
    found = read_maps(predictor, strips, output, chances.append if output.class_ids else None)
    folders = class_folders(predictor.scheme.classes, output.class_ids)
    for folder, train_id in zip(folders, output.class_ids, strict=True):
        chance_hw = torch.cat([chance_KRw[train_id] for chance_KRw in chances])
        found.others_hw[folder] = quantised(chance_hw, output.bits)
    return found


def output_files(
    predictor: Predictor, image_HWC: NDArray[Any], maps: Maps, name: str, output: Output
) -> dict[Path, bytes]:
    """Return the content of each PNG for an image, by its path below the output folder."""
    files, scheme = predictor.input.files, predictor.scheme
    labels_HW = at_image_size(maps.labels_hw, files)
    palette = None if output.submission else palette_of_ids(scheme)
    label = Path(f"{name}.png")
    found = {label: png_bytes(scheme.decode(labels_HW), str(label), SOFTWARE, palette)}
    if not output.submission:
        painted = overlay(picture_of(image_HWC, files), labels_HW, scheme, output.opacity)
        found[Path(OVERLAYS, label)] = png_bytes(painted, str(label), SOFTWARE)
    for folder, map_hw in maps.others_hw.items():
        map_HW = at_image_size(map_hw, files)
        found[Path(folder, label)] = png_bytes(map_HW, str(label), SOFTWARE)
    return found


def quantised(fraction_Rw: torch.Tensor, bits: int) -> NDArray[Any]:
    """Return fractions 0..1 as whole numbers, uint8 0..255 or uint16 0..65535."""
    most = 2**bits - 1
    rounded_Rw = (fraction_Rw * most).round_().clamp_(0, most).to(torch.int32)
    whole_Rw: NDArray[Any] = rounded_Rw.cpu().numpy().astype(np.uint8 if bits == 8 else np.uint16)
    return whole_Rw
