"""Feature maps at twice their sides, and scores of cells brought to the pixels of the image.

Shapes: B batch, C channels, K classes, h, w cells, H, W pixels.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Enlarging(nn.Module):
    """Enlarge scores bilinearly by a whole factor; the first and last cells lie on those of the image.

    It is `torch.nn.Upsample` with align_corners, learnt from as `enlarged_scores` is.
    """

    def __init__(self, factor: int) -> None:
        """factor: pixels of a cell along each side."""
        super().__init__()
        self.factor = factor

    def forward(self, scores_BKhw: Tensor) -> Tensor:
        """Return scores_BKHW."""
        sides = [self.factor * side for side in scores_BKhw.shape[-2:]]
        return enlarged_scores(scores_BKhw, sides, learnt=self.training, align_corners=True)


def doubled(x_BChw: Tensor) -> Tensor:
    """Return a feature map of twice the height and width, by bilinear interpolation."""
    return F.interpolate(x_BChw, scale_factor=2, mode="bilinear", align_corners=False)


def enlarged_scores(
    scores_BKhw: Tensor,
    sides: list[int] | torch.Size,
    learnt: bool,
    align_corners: bool = False,
) -> Tensor:
    """Return scores_BKHW of H x W pixels (`sides`) by bilinear interpolation.

    learnt: whether gradients go back through it. Then the interpolation is the product with a matrix
    along each side, in float32: the same numbers but for rounding, whose backward pass is a product
    as well: a step of the compact FPN takes 0.92 times as long on CPUs (docs/benchmarks.md).
    """
    if not learnt:
        return F.interpolate(
            scores_BKhw, size=tuple(sides), mode="bilinear", align_corners=align_corners
        )
    # Autocast would multiply in bf16.
    with torch.autocast(scores_BKhw.device.type, enabled=False):
        wide_BKhw = scores_BKhw.to(torch.promote_types(scores_BKhw.dtype, torch.float32))
        rows_Hh, columns_Ww = (
            _interpolation(wide_BKhw, cells, pixels, align_corners)
            for cells, pixels in zip(wide_BKhw.shape[-2:], sides, strict=True)
        )
        return rows_Hh @ (wide_BKhw.contiguous() @ columns_Ww.mT)


def _interpolation(like: Tensor, cells: int, pixels: int, align_corners: bool) -> Tensor:
    """Return the matrix of pixels by cells whose rows hold the weights of linear interpolation."""
    unit_1cc = torch.eye(cells, dtype=like.dtype, device=like.device)[None]
    found_1cp = F.interpolate(unit_1cc, size=pixels, mode="linear", align_corners=align_corners)
    return found_1cp[0].mT.contiguous()
