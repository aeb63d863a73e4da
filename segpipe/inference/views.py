"""Views of a picture: windows, scales and mirror images, whose probabilities are averaged.

Shapes: K classes, H and W of what is seen, h and w of a window, R rows.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Literal, Protocol

import torch
from torch import Tensor

from segpipe.params.schema import EvaluateParams
from segpipe.raw.sample import Window


@dataclass(frozen=True)
class Views:
    """How a picture is shown to the network.

    windows: `whole` shows it resized as in training; `slide` shows windows of the training's size, of
    which neighbours share half, at the picture's own resolution. scales: of either, above 0. flip:
    whether each is shown mirrored left to right as well.
    """

    windows: Literal["whole", "slide"] = "whole"
    scales: tuple[float, ...] = (1.0,)
    flip: bool = False

    @classmethod
    def of(cls, options: EvaluateParams) -> "Views":
        """Return the views by which a model is scored."""
        return cls(options.windows, tuple(options.scales), options.flip)

    @property
    def averaged(self) -> bool:
        """Whether there is more than one score of a pixel, so that probabilities are averaged."""
        return self.windows == "slide" or len(self.scales) > 1 or self.flip

    @property
    def resizes(self) -> bool:
        """Whether these views need pictures, which may be resized; flips alone do not."""
        return self.windows == "slide" or self.scales != (1.0,)

    def summary(self) -> str:
        """Return scales and flips in words, for the protocol of an evaluation."""
        sizes = ", ".join(f"{scale:g}" for scale in self.scales)
        scales = "single scale" if self.scales == (1.0,) else f"scales {sizes}"
        mean = "; the mean of their probabilities" if len(self.scales) > 1 or self.flip else ""
        return f"{scales}, {'mirrored too' if self.flip else 'no flip'}{mean}"


class RowSource(Protocol):
    """Scores of a picture at a view's resolution: probabilities where views are averaged, else logits."""

    height: int

    def rows(self, start: int, stop: int) -> Tensor:
        """Return the scores of the rows start..stop, (K, R, W), to be read; neither may go back."""


def window_starts(length: int, window: int) -> list[int]:
    """Return where windows along one side begin: evenly spaced, half a window apart or less.

    As in nnU-Net (Isensee et al. 2021), with a step of half a window.
    """
    if window >= length:
        return [0]
    steps = ceil((length - window) / max(window // 2, 1))
    return [round(step * (length - window) / steps) for step in range(steps + 1)]


def sliding_windows(height: int, width: int, window_height: int, window_width: int) -> list[Window]:
    """Return windows that cover a picture, row by row; where it is smaller than one, they are too."""
    window_height, window_width = min(height, window_height), min(width, window_width)
    return [
        Window(top, left, window_height, window_width)
        for top in window_starts(height, window_height)
        for left in window_starts(width, window_width)
    ]


def window_weights(height: int, width: int, device: torch.device | None = None) -> Tensor:
    """Return the weight of each pixel of a window, (h, w): 1 amid it, falling linearly to its edges.

    At its edge a network sees half of what it needs. No weight is 0, so that each pixel has a mean.
    """
    sides = []
    for side in (height, width):
        place = torch.arange(side, device=device) + 0.5
        sides.append(torch.minimum(place, side - place) / (side / 2))
    return sides[0][:, None] * sides[1]


class WholeRows:
    """The rows of scores that are there as a whole, (K, H, W)."""

    def __init__(self, scores_KHW: Tensor) -> None:
        self._scores_KHW = scores_KHW
        self.height = scores_KHW.shape[1]

    def rows(self, start: int, stop: int) -> Tensor:
        """As `RowSource.rows`."""
        return self._scores_KHW[:, start:stop]


class BlendedRows:
    """The weighted mean of overlapping windows, made from top to bottom as its rows are asked for.

    Memory grows with the height of a window, the width of the picture and the classes, not with the
    height of the picture.
    """

    def __init__(
        self, windows: Sequence[Window], width: int, score: Callable[[Window], Tensor]
    ) -> None:
        """windows: row by row. score: returns the scores of a window, (K, h, w)."""
        tops = sorted({window.top for window in windows})
        self._bands = [[window for window in windows if window.top == top] for top in tops]
        self._score, self._width = score, width
        self.height = windows[-1].top + windows[-1].height
        # The rows from `_first` on: weighted sums, (R, W, K), and sums of weights, (R, W). Networks are
        # channels-last, so that the scores of a pixel lie side by side.
        self._first = 0
        self._sum_RWK: Tensor | None = None
        self._weight_RW = torch.zeros(0, width)

    def rows(self, start: int, stop: int) -> Tensor:
        """As `RowSource.rows`."""
        while self._bands and self._bands[0][0].top < stop:
            self._add(self._bands.pop(0), start)
        assert self._sum_RWK is not None
        part = slice(start - self._first, stop - self._first)
        return (self._sum_RWK[part] / self._weight_RW[part, :, None]).permute(2, 0, 1)

    def _add(self, band: Sequence[Window], start: int) -> None:
        """Add the windows of one row; rows before `start` are dropped."""
        top, height = band[0].top, band[0].height
        weight_hw: Tensor | None = None
        for window in band:
            scores_Khw = self._score(window)
            if weight_hw is None:
                weight_hw = window_weights(height, window.width, scores_Khw.device)
                self._grow(scores_Khw, start, top + height)
            assert self._sum_RWK is not None
            area = slice(top - self._first, top + height - self._first), window.columns()
            self._sum_RWK[area].addcmul_(scores_Khw.permute(1, 2, 0), weight_hw[..., None])
            self._weight_RW[area] += weight_hw

    def _grow(self, like_Khw: Tensor, start: int, stop: int) -> None:
        """Make room for the rows start..stop, with the sums that are there."""
        kept_RW = self._weight_RW[start - self._first :].clone()
        weight_RW = like_Khw.new_zeros(stop - start, self._width)
        weight_RW[: len(kept_RW)] = kept_RW
        sum_RWK = self._sum_RWK
        if sum_RWK is None:
            sum_RWK = like_Khw.new_zeros(*weight_RW.shape, len(like_Khw))
        else:
            kept_RWK = sum_RWK[start - self._first :][: len(kept_RW)].clone()
            if len(sum_RWK) < stop - start:
                self._sum_RWK = sum_RWK = None  # given back before the new one is made
                sum_RWK = like_Khw.new_empty(*weight_RW.shape, len(like_Khw))
            sum_RWK[: len(kept_RWK)] = kept_RWK
            sum_RWK[len(kept_RWK) :] = 0
        self._first, self._sum_RWK, self._weight_RW = start, sum_RWK, weight_RW
