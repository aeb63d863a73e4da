"""What a network may need of its input before it starts.

Shapes: B batch, C channels, H height, W width.
"""

import torch.nn.functional as F
from torch import Tensor, nn


def padded(image_BCHW: Tensor, multiple: int, least: int = 1) -> Tensor:
    """Continue images at the bottom and right by repeating their last pixels.

    Both sides become multiples of `multiple` (pixels), and no shorter than `least`. The logits are
    cut back to the image: `logits[..., :height, :width]`.
    """
    bottom, right = (max(least - n, 0) for n in image_BCHW.shape[-2:])
    bottom += -(image_BCHW.shape[-2] + bottom) % multiple
    right += -(image_BCHW.shape[-1] + right) % multiple
    if not bottom and not right:
        return image_BCHW
    return F.pad(image_BCHW, (0, right, 0, bottom), mode="replicate")


def cells(image_BCHW: Tensor, stride: int) -> int:
    """Return the values a channel that a batch has on the grid of `stride` (pixels)."""
    batch, _, height, width = image_BCHW.shape
    return int(batch * -(-height // stride) * -(-width // stride))


def refuse_single_value(network: nn.Module, values: int, place: str, repair: str) -> None:
    """Raise ValueError when a batch norm in training would see one value a channel.

    The mean of one value is the value itself, so that nothing would be left of it. Norms that add
    up several processes are no plain nn.BatchNorm2d, and see more than one.
    """
    if network.training and values == 1 and _has_plain_batch_norm(network):
        raise ValueError(
            f"batch norm cannot learn from one value a channel: a single image shrinks to one "
            f"pixel {place}; {repair}"
        )


def fitted(
    network: nn.Module,
    image_BCHW: Tensor,
    stride: int,
    repair: str = "use larger images or a larger train.batch_size",
) -> Tensor:
    """Return images continued to whole cells of `stride` (pixels), as `padded` does.

    Raises ValueError in training when a single image has one cell; see `refuse_single_value`.
    """
    refuse_single_value(network, cells(image_BCHW, stride), f"at stride {stride}", repair)
    return padded(image_BCHW, stride)


def _has_plain_batch_norm(network: nn.Module) -> bool:
    return any(type(layer) is nn.BatchNorm2d for layer in network.modules())
