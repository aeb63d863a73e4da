"""What the rest of the pipeline may ask of every model.

Shapes: B batch, C channels, K classes.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType

import torch
from torch import Tensor, nn

from segpipe.models.parts.cropping import centre_crop

# The logits alone, or in training those of the auxiliary heads after them.
Logits = Tensor | tuple[Tensor, ...]


class Network(nn.Module, ABC):
    """A network that scores every pixel: `forward` turns image_BCHW into logits_BKHW.

    The logits are as large as the image, or, where `input_side` is not an identity, smaller: then
    they belong to the centre of the image as `segpipe.models.parts.cropping.centre_crop` cuts it.
    Training learns from that centre; whatever is scored or predicted comes from `whole_logits`.

    takes_raw_images: whether `forward` takes images_BTHWC as they are read, uint8 or in 0..1, and
    returns logits of all scored pixels: an exported file, in place of `whole_logits`.
    takes_clips: whether `forward` takes frames_BTCHW, T frames of which the last is scored.
    auxiliary_heads: how many further logits `forward` returns in training, as the tuple (logits,
    auxiliary logits, ...), all of one shape; in eval mode it returns the logits alone.
    reduction: image pixels along each side of a scored one; above 1 in a network that is made for
    a truth that is coarser than its image.
    multiple: what the sides of an image must be multiples of, in pixels; `forward` continues others at
    the bottom and right by repeating their last pixels, and cuts the logits back.
    inner_path, backbone_path: where in the module the network itself lies, where it is wrapped, and
    its backbone, the part that other networks have as well; none where it has no such part.
    published: the names of torchvision's models whose weights fit, by `model.pretrained`.
    """

    takes_raw_images: bool = False
    takes_clips: bool = False
    auxiliary_heads: int = 0
    reduction: int = 1
    multiple: int = 1
    inner_path: str = ""
    backbone_path: str | None = None
    published: Mapping[str, str] = MappingProxyType({})

    @abstractmethod
    def forward(self, image_BCHW: Tensor) -> Logits:
        """Return the logits of normalised images; each model has its own."""

    def input_side(self, wanted: int) -> int:
        """Return the smallest input side (pixels) whose logits are at least `wanted` long."""
        return wanted

    def output_side(self, given: int) -> int:
        """Return the side of the logits (pixels) of an input side of `given`.

        Raises ValueError when the input is too small for any output.
        """
        return given

    def missing_pixels(self, side: int) -> int:
        """Return how many pixels an image side lacks for logits of all its scored pixels."""
        return max(self.input_side(side // self.reduction) - side, 0)

    def whole_logits(self, image_BCHW: Tensor) -> Tensor:
        """Return the logits of all scored pixels of normalised images or clips, in eval mode.

        Where the logits would be smaller, the image is first continued beyond its edges by its own
        mirror image, the outermost pixel included (Ronneberger et al. 2015, "overlap-tile").
        """
        height, width = image_BCHW.shape[-2:]
        for axis in (-2, -1):
            side = image_BCHW.shape[axis]
            if missing := self.missing_pixels(side):
                positions = torch.arange(side + missing, device=image_BCHW.device) - missing // 2
                positions %= 2 * side
                mirrored = torch.minimum(positions, 2 * side - 1 - positions)
                image_BCHW = image_BCHW.index_select(axis, mirrored)
        logits_BKHW: Logits = self(image_BCHW)
        assert isinstance(logits_BKHW, Tensor), "auxiliary logits come in training mode alone"
        return centre_crop(logits_BKHW, height // self.reduction, width // self.reduction)

    def backbone_parameters(self) -> list[nn.Parameter]:
        """Return the weights and biases of the backbone, each once, also those that rest."""
        if self.backbone_path is None:
            return []
        return list(self.get_submodule(self.backbone_path).parameters())


def count_parameters(model: nn.Module) -> int:
    """Return the number of weights and biases."""
    return sum(weight.numel() for weight in model.parameters())
