"""Predictor: an image of any size in, its label image out.

Shapes: T frames; H, W of the image; h, w of what the network sees; C channels; K classes.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from segpipe.augment.apply import normalise_batch
from segpipe.bundle import Bundle, all_finite, load_bundle, predicted_ids
from segpipe.bundle_format import DESCRIPTION, SHIPPED
from segpipe.labels.scheme import LabelScheme
from segpipe.raw.build import build_reader
from segpipe.raw.geometry import resize_image
from segpipe.raw.input_spec import InputSpec
from segpipe.runtime.errors import DataError
from segpipe.runtime.hardware import best_device, choose_precision


class Predictor:
    """A bundle that is ready to predict. It needs nothing but the bundle's folder."""

    def __init__(self, bundle: Bundle, device: torch.device | None = None) -> None:
        self.bundle = bundle
        self.reader = build_reader(bundle.input.files)
        self.device = device or best_device()
        self.precision = choose_precision(bundle.precision, self.device)
        self._mean_C = torch.tensor(bundle.input.mean, device=self.device)
        self._std_C = torch.tensor(bundle.input.std, device=self.device)
        self._model = bundle.model.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    @classmethod
    def load(cls, folder: Path, device: torch.device | None = None) -> "Predictor":
        """Load a bundle; BundleError when it is missing or damaged."""
        return cls(load_bundle(folder), device)

    @property
    def scheme(self) -> LabelScheme:
        """What the predicted train ids mean."""
        return self.bundle.scheme

    @property
    def input(self) -> InputSpec:
        """How the files that it predicts become arrays, and what the network is fed."""
        return self.bundle.input

    @property
    def frames(self) -> int:
        """How many frames it takes: 1 for single images, else those of a clip, the last one scored."""
        return self.input.frames if self.bundle.model.takes_clips else 1

    def predict(self, frames_THWC: NDArray[Any]) -> NDArray[np.uint8]:
        """Return the train ids of the last frame, uint8, at the truth's resolution.

        frames_THWC: uint8 RGB, or float16 in 0..1 of as many bands as in training; `frames` of them,
        or more, of which the last count. The truth's resolution is the image's own (H, W), or
        coarser for data whose truth is. Raises DataError as `logits` does.
        """
        return self.train_ids(self.logits(frames_THWC))

    def train_ids(self, logits_Khw: Tensor) -> NDArray[np.uint8]:
        """Return the train ids, (h, w) uint8, that the scores `logits` of an image stand for."""
        ids_1hw = predicted_ids(logits_Khw[None], self.bundle.threshold)
        return ids_1hw[0].to(torch.uint8).cpu().numpy()

    def probability(self, logits_Khw: Tensor) -> NDArray[np.float32] | None:
        """Return the probability of train id 1, (h, w), where `logits` is one score; else None.

        It is calibrated: the bundle's threshold is that of temperature 1, as `train_ids` takes it.
        """
        if self.bundle.threshold is None:
            return None
        return (logits_Khw[0] / self.bundle.temperature).sigmoid().cpu().numpy()

    def logits(self, frames_THWC: NDArray[Any]) -> Tensor:
        """Return the scores of all classes, (K, h, w) float32 on the device, as `predict` says.

        Where the bundle has a threshold there is one score, (1, h, w), of train id 1 against 0.

        A picture is resized as in training (stretched to the training size, or scaled with its
        proportions to fit or cover it), and the scores are brought back to its size bilinearly.
        Rasters and tiles keep their size; those larger than the windows of the training are cut into
        such windows side by side.

        Raises DataError when the image has other channels than the network takes, a raster or tile
        holds no whole number of truth pixels, a score is not finite, or there are fewer frames than
        `frames`: what a network makes of a still that is shown as a clip is not what was trained and
        scored.
        """
        height, width, channels = frames_THWC.shape[1:]
        if channels != len(self.input.mean):
            names = ", ".join(self.input.files.channels)
            raise DataError(
                f"has {channels} channels, but the model takes {len(self.input.mean)}: {names}"
            )
        if len(frames_THWC) < self.frames:
            raise DataError(
                f"the model takes clips of {self.frames} frames, and {len(frames_THWC)} are given; "
                "give the frames before the one to label too, the earliest first"
            )
        parts, ratio = self.reader.parts(height, width, self.input), self.input.files.truth_ratio
        if len(parts) == 1:
            return self._part_logits(frames_THWC)
        whole_Khw: Tensor | None = None
        for part in parts:
            logits_Khw = self._part_logits(frames_THWC[:, part.rows(), part.columns()])
            if whole_Khw is None:
                whole_Khw = logits_Khw.new_zeros(len(logits_Khw), height // ratio, width // ratio)
            own, top, left = part.owned(), part.skip_top // ratio, part.skip_left // ratio
            whole_Khw[:, own.rows(ratio), own.columns(ratio)] = logits_Khw[:, top:, left:]
        assert whole_Khw is not None
        return whole_Khw

    def _part_logits(self, frames_THWC: NDArray[Any]) -> Tensor:
        """Return the scores of what the network sees at once, (K, h, w)."""
        height, width = frames_THWC.shape[1:3]
        resized = self.reader.network_size(height, width, self.input)
        resized_Thwc = frames_THWC
        if resized != (height, width):
            resized_Thwc = np.stack([resize_image(frame, *resized) for frame in frames_THWC])
        scores_1Khw = self._scores(resized_Thwc[-self.frames :])
        if resized == (height, width):
            return scores_1Khw[0]
        logits: Tensor = F.interpolate(
            scores_1Khw, size=(height, width), mode="bilinear", align_corners=False
        )[0]
        return logits

    def _scores(self, frames_Thwc: NDArray[Any]) -> Tensor:
        seen = torch.from_numpy(frames_Thwc.copy())  # Pillow's arrays are read-only
        image_Tchw = normalise_batch(seen[None].to(self.device), self._mean_C, self._std_C)
        given = image_Tchw[None] if self.bundle.model.takes_clips else image_Tchw
        half = torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16")
        with torch.inference_mode(), half:
            scores: Tensor = self._model.whole_logits(given).float()
        if not all_finite(scores):
            raise DataError(self._why_not_finite(frames_Thwc))
        return scores

    def _why_not_finite(self, frames_Thwc: NDArray[Any]) -> str:
        """Return the cause and the repair of scores that are NaN or infinite."""
        if not np.isfinite(frames_Thwc).all():
            return "holds values that are not finite (NaN or infinite); mend the image"
        fault = "the network's scores of it are not finite (NaN or infinite), so they name no class"
        if self.precision == "bf16":
            return (
                f"{fault}; they were computed in bf16: set precision to fp32 in the model's "
                f"{DESCRIPTION} and predict again"
            )
        return (
            f"{fault}; the weights are too large: train again, for instance with a smaller train.lr"
        )


def load_model(path: str | Path | None = None, device: torch.device | None = None) -> Predictor:
    """Return the model of a bundle, ready to predict.

    path: a folder such as models/; None for the small model of generated street scenes that comes
    with segpipe. device: the best of this machine where it is None. Raises BundleError.
    """
    return Predictor.load(SHIPPED if path is None else Path(path), device)
