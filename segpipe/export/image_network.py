"""The network that is exported: from pictures as they are read to logits of their size.

Shapes: B batch, T frames, H and W of the image, C channels, K classes, h and w of the logits.
"""

import numpy as np
import torch
from torch import Tensor, nn

from segpipe.bundle import Bundle


class ImageNetwork(nn.Module):
    """A bundle's network with what comes before and after it, so that a file needs nothing else.

    It takes images channels-last, uint8 or floats in 0..1, normalises them, continues their sides to
    what the network needs by operations that can be exported at any size, and cuts the logits back.
    """

    def __init__(self, bundle: Bundle) -> None:
        """bundle: its network, in eval mode on the CPU, is used, not copied."""
        super().__init__()
        self.network = bundle.model
        self.takes_clips = bundle.model.takes_clips
        self.frames = bundle.input.frames if self.takes_clips else 1
        self.takes_bytes = bundle.input.files.dtype is np.uint8
        self.mean_C11 = nn.Buffer(torch.tensor(bundle.input.mean)[:, None, None])
        self.std_C11 = nn.Buffer(torch.tensor(bundle.input.std)[:, None, None])

    def forward(self, images: Tensor) -> Tensor:
        """Return logits_BKhw of (B, H, W, C), or of clips (B, T, H, W, C)."""
        image = images.movedim(-1, -3).to(torch.float32)
        if self.takes_bytes:
            image = image / 255
        image = (image - self.mean_C11) / self.std_C11
        height, width = image.shape[-2:]
        multiple, reduction = self.network.multiple, self.network.reduction
        if multiple == 1:
            return self.network.whole_logits(image)
        image = _continued(_continued(image, -2, multiple), -1, multiple)
        logits_BKhw = self.network.whole_logits(image)
        return logits_BKhw[..., : height // reduction, : width // reduction]

    def example(self, batch: int, height: int, width: int) -> Tensor:
        """Return random images of this size, always the same ones."""
        frames = (self.frames,) if self.takes_clips else ()
        shape = (batch, *frames, height, width, self.mean_C11.shape[0])
        values = torch.rand(shape, generator=torch.Generator().manual_seed(0))
        return (values * 255).to(torch.uint8) if self.takes_bytes else values


def _continued(image: Tensor, axis: int, multiple: int) -> Tensor:
    """Continue one side to a multiple of so many pixels by its last ones, as the networks do.

    Places are computed from the side, so that an exported graph does it at any size.
    """
    side = image.shape[axis]
    places = torch.arange((side + multiple - 1) // multiple * multiple)
    return image.index_select(axis, places.clamp(max=side - 1))
