"""The models by name."""

from segpipe.models.mini_unet import mini_unet
from segpipe.models.network import Network
from segpipe.models.unet import UNet
from segpipe.params.schema import ModelParams


def build_model(params: ModelParams, in_channels: int, num_classes: int) -> Network:
    """Return the named network with first weights from torch's generator (seed it before)."""
    match params.name:
        case "unet":
            return UNet(in_channels, num_classes, params.unet)
        case "mini_unet":
            return mini_unet(in_channels, num_classes, params.mini_unet)
