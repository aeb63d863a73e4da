"""U-Net with the options of params.yaml; the mini U-Net is of the same class."""

from segpipe.models.parts.u_net import UNet
from segpipe.params.model import UNetParams


def unet(in_channels: int, num_classes: int, options: UNetParams) -> UNet:
    """Return a U-Net; `UNet` says what the options do."""
    return UNet(in_channels, num_classes, options)
