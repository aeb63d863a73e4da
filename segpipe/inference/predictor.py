"""Predictor: an image of any size in, its label image out.

Shapes: T frames; H, W of the image; h, w of what the network sees; C channels; K classes.
"""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from segpipe.augment.apply import normalise_batch
from segpipe.bundle import Bundle, load_bundle, predicted_ids
from segpipe.bundle_format import SHIPPED
from segpipe.inference.exported import load_exported
from segpipe.inference.exported_file import is_exported
from segpipe.inference.strips import (
    Strip,
    logits_of,
    probabilities_of,
    refuse_not_finite,
    score_strips,
)
from segpipe.inference.views import BlendedRows, RowSource, Views, WholeRows, sliding_windows
from segpipe.labels.scheme import LabelScheme
from segpipe.raw.build import build_reader
from segpipe.raw.geometry import resize_image
from segpipe.raw.input_spec import InputSpec
from segpipe.raw.sample import Window
from segpipe.runtime.errors import DataError, ParameterError
from segpipe.runtime.hardware import best_device, choose_precision


class Predictor:
    """A bundle that is ready to predict. It needs nothing but the bundle's folder."""

    def __init__(
        self, bundle: Bundle, device: torch.device | None = None, views: Views | None = None
    ) -> None:
        """views: how pictures are shown to the network; None for whole, as in training.

        While `cancelled` is set, each call of the network raises CancelledError: it ends the work of
        another thread.
        """
        self.bundle = bundle
        self.reader = build_reader(bundle.input.files)
        self.views = views or Views()
        if self.views.resizes and not self.reader.resizes:
            raise ParameterError(
                f"windows that slide and scales are for pictures, and this model's {self.reader.unit}s "
                "keep their size; leave them out (evaluate.windows: whole, evaluate.scales: [1.0])"
            )
        self.device = device or best_device()
        self.cancelled = threading.Event()
        self.precision = choose_precision(bundle.precision, self.device)
        self._mean_C = torch.tensor(bundle.input.mean, device=self.device)
        self._std_C = torch.tensor(bundle.input.std, device=self.device)
        self._model = bundle.model.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    @classmethod
    def load(
        cls, folder: str | Path, device: torch.device | None = None, views: Views | None = None
    ) -> "Predictor":
        """Load a bundle, or a file of `segpipe export`; BundleError when it is missing or damaged."""
        path = Path(folder)
        return cls(load_exported(path) if is_exported(path) else load_bundle(path), device, views)

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
        return self.predict_many([frames_THWC])[0]

    def predict_many(self, clips: Sequence[NDArray[Any]]) -> list[NDArray[np.uint8]]:
        """Return what `predict` returns of each; those that the network sees at one size go together.

        Raises DataError as `predict` does where that holds of one of them.
        """
        return [
            np.concatenate([self.train_ids(logits_KRw) for _, logits_KRw in strips])
            for strips in self.score_strips(clips)
        ]

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
        proportions to fit or cover it), and the scores are brought back to its size bilinearly; of
        other views, the scores stand for the mean of the probabilities. Rasters and tiles keep their
        size; those larger than the windows of the training are cut into such windows side by side.

        Raises DataError when the image has other channels than the network takes, a raster or tile
        holds no whole number of truth pixels, a score is not finite, or there are fewer frames than
        `frames`: what a network makes of a still that is shown as a clip is not what was trained and
        scored.
        """
        [strips] = self.score_strips([frames_THWC])
        return torch.cat([logits_KRw for _, logits_KRw in strips], 1)

    def score_strips(self, clips: Sequence[NDArray[Any]]) -> list[Iterator[Strip]]:
        """Return for each clip or image its rows and their logits, (K, R, w), from top to bottom.

        What `logits` returns, of a picture without memory for all its pixels: see `segpipe.inference.
        strips`. Those that the network sees whole, at one size, go through it together. Raises
        DataError as `logits` does, now or when a strip is asked for.
        """
        for frames_THWC in clips:
            self._check(frames_THWC)
        if not self.reader.resizes:
            return [self._tiled(frames_THWC) for frames_THWC in clips]
        scores = 1 if self.bundle.threshold is not None else len(self.scheme.classes)
        by_scale = [self._sources(clips, scale) for scale in self.views.scales]
        return [
            score_strips(
                sources, scores, frames_THWC.shape[1], frames_THWC.shape[2], self.views.averaged
            )
            for frames_THWC, sources in zip(clips, zip(*by_scale, strict=True), strict=True)
        ]

    def _check(self, frames_THWC: NDArray[Any]) -> None:
        channels = frames_THWC.shape[3]
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

    def _sources(self, clips: Sequence[NDArray[Any]], scale: float) -> list[RowSource]:
        """Return one view of each picture, or clip, at its own resolution."""
        shown = [self._resized(frames_THWC, scale) for frames_THWC in clips]
        if self.views.windows == "slide":
            return [self._sliding(frames_Thwc) for frames_Thwc in shown]
        by_size: dict[tuple[int, ...], list[int]] = {}
        for place, frames_Thwc in enumerate(shown):
            by_size.setdefault(frames_Thwc.shape, []).append(place)
        found: dict[int, RowSource] = {}
        for places in by_size.values():
            scores_BKhw = self._scores(np.stack([shown[place] for place in places]))
            found |= dict(zip(places, map(WholeRows, scores_BKhw), strict=True))
        return [found[place] for place in range(len(clips))]

    def _resized(self, frames_THWC: NDArray[Any], scale: float) -> NDArray[Any]:
        """Return the frames that the network takes at the size of a view."""
        height, width = frames_THWC.shape[1:3]
        side = height, width
        if self.views.windows == "whole":
            side = self.reader.network_size(height, width, self.input)
        side = max(1, round(side[0] * scale)), max(1, round(side[1] * scale))
        frames_THWC = frames_THWC[-self.frames :]
        if side == (height, width):
            return frames_THWC
        return np.stack([resize_image(frame, *side) for frame in frames_THWC])

    def _sliding(self, frames_Thwc: NDArray[Any]) -> RowSource:
        height, width = frames_Thwc.shape[1:3]

        def score(window: Window) -> Tensor:
            return self._scores(frames_Thwc[None, :, window.rows(), window.columns()])[0]

        windows = sliding_windows(height, width, self.input.height, self.input.width)
        return BlendedRows(windows, width, score)

    def _tiled(self, frames_THWC: NDArray[Any]) -> Iterator[Strip]:
        """Yield the scores of a raster or tile as one strip; its windows lie side by side."""
        height, width = frames_THWC.shape[1:3]
        frames_THWC = frames_THWC[-self.frames :]
        parts, ratio = self.reader.parts(height, width, self.input), self.input.files.truth_ratio
        whole_Khw: Tensor | None = None
        for part in parts:
            scores_Khw = self._scores(frames_THWC[None, :, part.rows(), part.columns()])[0]
            logits_Khw = logits_of(scores_Khw) if self.views.averaged else scores_Khw
            if whole_Khw is None:
                whole_Khw = logits_Khw.new_zeros(len(logits_Khw), height // ratio, width // ratio)
            own, top, left = part.owned(), part.skip_top // ratio, part.skip_left // ratio
            whole_Khw[:, own.rows(ratio), own.columns(ratio)] = logits_Khw[:, top:, left:]
        assert whole_Khw is not None
        yield slice(0, height // ratio), whole_Khw

    def _scores(self, clips_BThwc: NDArray[Any]) -> Tensor:
        """Return the network's scores, (B, K, h, w): probabilities where views are averaged."""
        scores_BKhw = self._network(clips_BThwc)
        if not self.views.averaged:
            return scores_BKhw
        chances_BKhw = probabilities_of(scores_BKhw)
        if self.views.flip:
            mirrored_BKhw = self._network(np.flip(clips_BThwc, 3)).flip(-1)
            chances_BKhw = (chances_BKhw + probabilities_of(mirrored_BKhw)) / 2
        return chances_BKhw

    def _network(self, clips_BThwc: NDArray[Any]) -> Tensor:
        if self.cancelled.is_set():
            raise CancelledError
        seen = torch.from_numpy(clips_BThwc.copy())  # Pillow's arrays are read-only
        with torch.inference_mode():
            raw = self.bundle.model.takes_raw_images
            scores = self._model(seen).to(self.device) if raw else self._torch_scores(seen)
        refuse_not_finite(scores, clips_BThwc, self.precision)
        return scores

    def _torch_scores(self, clips_BThwc: Tensor) -> Tensor:
        image_NChw = normalise_batch(clips_BThwc.to(self.device), self._mean_C, self._std_C)
        takes_clips = self.bundle.model.takes_clips
        given = torch.unflatten(image_NChw, 0, clips_BThwc.shape[:2]) if takes_clips else image_NChw
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            scores: Tensor = self._model.whole_logits(given).float()
        return scores


def load_model(path: str | Path | None = None, device: torch.device | None = None) -> Predictor:
    """Return the model of a bundle, ready to predict.

    path: a folder such as models/, or a file of `segpipe export`, which runs on the CPU; None for the
    small model of generated street scenes that comes with segpipe. device: the best of this machine
    where it is None. Raises BundleError.
    """
    return Predictor.load(SHIPPED if path is None else path, device)
