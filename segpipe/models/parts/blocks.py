"""The parts that convolutional networks are put together from, and their first weights."""

import math
from typing import Any, Literal

import torch
from torch import Tensor, nn

from segpipe.models.parts.cpu_layers import WideGroupNorm

Norm = Literal["batch", "group", "none"]
Padding = Literal["same", "valid"]

_MOST_GROUPS = 8
# torch's default.
_USUAL_MOMENTUM = 0.1


def double_conv(in_channels: int, out_channels: int, norm: Norm, padding: Padding) -> nn.Sequential:
    """Return (convolution 3x3, norm, ReLU) twice; `valid` shortens both sides by 4 pixels."""
    layers: list[nn.Module] = []
    for channels in (in_channels, out_channels):
        margin = 1 if padding == "same" else 0
        convolution = nn.Conv2d(channels, out_channels, 3, padding=margin)
        layers += [convolution, *normalisation(norm, out_channels)]
        _rest_idle_bias(convolution, norm)
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)


def upsampling(in_channels: int, out_channels: int, norm: Norm) -> nn.Sequential:
    """Return a transposed convolution 2x2 of stride 2, which doubles both sides, and its norm.

    No ReLU: figure 1 of Ronneberger et al. (2015) shows none (their Caffe files have one).
    """
    convolution = nn.ConvTranspose2d(in_channels, out_channels, 2, stride=2)
    _rest_idle_bias(convolution, norm)
    return nn.Sequential(convolution, *normalisation(norm, out_channels))


def joined(*maps_BCHW: Tensor) -> Tensor:
    """Return the maps joined along their channels; their gradients come back dense.

    The gradient of torch.cat's inputs are slices of one tensor, with gaps between the pixels. Batch
    norm's backward pass on CPUs takes those element by element: up to fifty times as long.
    """
    return torch.cat([_DenseGradient.apply(one) for one in maps_BCHW], dim=1)


class _DenseGradient(torch.autograd.Function):
    @staticmethod
    def forward(_context: Any, x_BCHW: Tensor) -> Tensor:
        return x_BCHW.view_as(x_BCHW)

    @staticmethod
    def backward(_context: Any, gradient_BCHW: Tensor) -> Tensor:
        # Slices of a contiguous tensor keep the order of its axes, and so does this.
        return gradient_BCHW.clone(memory_format=torch.preserve_format)


def conv_norm(
    in_channels: int,
    out_channels: int,
    kernel: int = 1,
    stride: int = 1,
    relu: bool = True,
) -> nn.Sequential:
    """Return a convolution without bias, batch norm and, where wanted, ReLU.

    An odd kernel (pixels) keeps the sides at stride 1, and halves even ones at stride 2.
    """
    layers: list[nn.Module] = [
        nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(out_channels),
    ]
    if relu:
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)


def normalisation(norm: Norm, channels: int) -> list[nn.Module]:
    """Return the normalising layer as a list of one, or an empty list for `none`."""
    match norm:
        case "batch":
            return [nn.BatchNorm2d(channels)]
        case "group":
            return [WideGroupNorm(_groups(channels), channels)]
        case "none":
            return []


def quicken_norms(network: nn.Module) -> None:
    """Let the running statistics of batch norms follow as fast as torch's own default does.

    Some library networks have a tenth of it (momentum 0.01), meant for hundreds of thousands of
    steps. Trained from scratch such a network is right in training mode, and in eval mode scores
    every pixel alike for its first hundreds of steps: 0.99^200 = 13 % of the statistics are still
    those it started with.
    """
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d) and layer.momentum is not None:
            layer.momentum = max(layer.momentum, _USUAL_MOMENTUM)


def _rest_idle_bias(convolution: nn.Conv2d | nn.ConvTranspose2d, norm: Norm) -> None:
    """Leave a bias before a batch norm at 0.

    The norm takes it out again, so its gradient is nothing but rounding, which Adam would scale up
    to whole steps that differ from one number of processes to another, and the running mean would
    lag behind them. It is there at all for the U-Nets whose parameters the recipes count.
    """
    if norm == "batch" and convolution.bias is not None:
        convolution.bias.requires_grad_(False)


def initialise(network: nn.Module) -> None:
    """Draw the first weights of all convolutions from torch's generator; biases become 0.

    A 3x3 convolution before a ReLU gets N(0, 2 / fan_in) (He et al. 2015, "Delving deep into
    rectifiers", equation 10), as in the U-Net paper. torch's default has a sixth of that variance:
    without a norm the signal fades from layer to layer. What has no ReLU after it (transposed and
    1x1 convolutions) gets N(0, 1 / fan_in), so that an upsampled map is as strong as the skip
    that it is joined with. Norms keep torch's 1 and 0.
    """
    for layer in network.modules():
        if isinstance(layer, nn.ConvTranspose2d):
            # Stride equals kernel, so one output pixel sees one input pixel of each channel.
            _draw(layer, 1.0 / layer.in_channels)
        elif isinstance(layer, nn.Conv2d):
            fan_in = layer.in_channels * math.prod(layer.kernel_size)
            _draw(layer, (2.0 if layer.kernel_size != (1, 1) else 1.0) / fan_in)


def initialise_normed(network: nn.Module) -> None:
    """Draw the first weights of a network whose convolutions a norm follows; biases become 0.

    All get N(0, 2 / fan_in) (He et al. 2015, equation 10), groups counted in; a norm takes out
    what is too strong where no ReLU follows. Norms keep torch's 1 and 0.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def initialise_scores(layer: nn.Conv2d) -> None:
    """Draw the weights of the last convolution from N(0, 1 / fan_in); its bias becomes 0."""
    nn.init.kaiming_normal_(layer.weight, nonlinearity="linear")
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


def _draw(layer: nn.Conv2d | nn.ConvTranspose2d, variance: float) -> None:
    nn.init.normal_(layer.weight, std=math.sqrt(variance))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


def _groups(channels: int) -> int:
    """The largest divisor up to 8 that leaves two channels a group.

    With one channel a group it would be instance norm, and undefined on a map of one pixel.
    """
    fitting = (n for n in range(_MOST_GROUPS, 1, -1) if channels % n == 0 and channels >= 2 * n)
    return next(fitting, 1)
