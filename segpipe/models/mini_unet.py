"""Mini U-Net: two levels below the first, no norm, no dropout."""

from segpipe.models.parts.u_net import UNet
from segpipe.params.model import MiniUNetParams, UNetParams


def mini_unet(in_channels: int, num_classes: int, options: MiniUNetParams) -> UNet:
    """Return the network: 64, 128, 256, 128, 64 channels at width 64.

    With 3 channels in and 1 out it has 1,862,849 parameters.
    """
    shape = UNetParams(width=options.width, depth=2, norm="none", dropout=0.0, padding="same")
    return UNet(in_channels, num_classes, shape)
