"""Layers that torch trains slowly on CPUs: the same functions, whose gradients are computed faster.

Shapes: B batch, C channels, H, W cells, h, w cells after the convolution, I, J sides of a kernel.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

# What a library's own kind of convolution does to its input.
Pad = Callable[[Tensor], Tensor]

# Up to this width torch computes the gradient of a depth-wise kernel fast; above it, it takes ten
# times as long in float32, and forty times in bf16.
_WIDTH = 3


class _Geometry(NamedTuple):
    stride: tuple[int, int]
    padding: tuple[int, int]


def quicken_on_cpus(
    network: nn.Module, padding_of: Callable[[nn.Conv2d], Pad | None] = lambda _: None
) -> None:
    """Put faster layers in the place of depth-wise convolutions and group norms; weights are the same.

    padding_of: how a library's own kind of convolution pads its input; None: it does not, or is not
    known. A step of EfficientNet-Lite0 under a light FPN takes half as long in bf16
    (docs/benchmarks.md).
    """
    for parent in network.modules():
        for name, layer in parent.named_children():
            if type(layer) is nn.GroupNorm:
                setattr(parent, name, WideGroupNorm.of(layer))
            elif isinstance(layer, nn.Conv2d) and _is_depthwise(layer):
                pad = padding_of(layer)
                if pad or type(layer) is nn.Conv2d:
                    setattr(parent, name, DepthwiseConv2d(layer, pad))


class DepthwiseConv2d(nn.Conv2d):
    """A convolution of each channel by itself, whose gradients are torch's but for rounding."""

    def __init__(self, given: nn.Conv2d, pad: Pad | None = None) -> None:
        """given: the convolution, whose weight is shared. pad: what is done to the input before it."""
        geometry = _Geometry(given.stride, given.padding)  # type: ignore[arg-type]
        super().__init__(
            given.in_channels,
            given.out_channels,
            given.kernel_size,  # type: ignore[arg-type]
            *geometry,
            groups=given.groups,
            bias=False,
            device="meta",
        )
        self.geometry = geometry
        self.weight = given.weight
        self.pad = pad

    def forward(self, input: Tensor) -> Tensor:
        """Return x_BChw of x_BCHW."""
        if self.pad:
            input = self.pad(input)
        if not self.training or input.device.type != "cpu" or torch.compiler.is_compiling():
            return super().forward(input)
        weight = self.weight
        if torch.is_autocast_enabled("cpu"):
            dtype = torch.get_autocast_dtype("cpu")
            input, weight = input.to(dtype), weight.to(dtype)
        found_BChw: Tensor = _Depthwise.apply(input, weight, self.geometry)
        return found_BChw


class WideGroupNorm(nn.GroupNorm):
    """A group norm that computes in float32 also where it is given bf16, and then returns bf16.

    On GPUs autocast does so by itself.
    """

    @classmethod
    def of(cls, given: nn.GroupNorm) -> "WideGroupNorm":
        """Return one that shares the weights of `given`."""
        layer = cls(given.num_groups, given.num_channels, given.eps, given.affine, device="meta")
        layer.weight, layer.bias = given.weight, given.bias
        return layer

    def forward(self, input: Tensor) -> Tensor:
        """Return x_BCHW of the same shape."""
        wide = torch.promote_types(input.dtype, torch.float32)
        return super().forward(input.to(wide)).to(input.dtype)


def _is_depthwise(layer: nn.Conv2d) -> bool:
    return (
        layer.groups == layer.in_channels == layer.out_channels > 1
        and layer.bias is None
        and layer.dilation == (1, 1)
        and layer.padding_mode == "zeros"
        and not isinstance(layer.padding, str)
    )


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x_BCHW: Tensor, kernel_C1IJ: Tensor, geometry: _Geometry) -> Tensor:
        ctx.save_for_backward(x_BCHW, kernel_C1IJ)
        ctx.geometry = geometry
        return F.conv2d(x_BCHW, kernel_C1IJ, None, *geometry, groups=len(kernel_C1IJ))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient_BChw: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        given = gradient_BChw, *ctx.saved_tensors, ctx.geometry
        of_input, of_kernel, _ = ctx.needs_input_grad
        return (
            _input_gradient(*given) if of_input else None,
            _kernel_gradient(*given) if of_kernel else None,
            None,
        )


def _input_gradient(
    gradient_BChw: Tensor, x_BCHW: Tensor, kernel_C1IJ: Tensor, geometry: _Geometry
) -> Tensor:
    dtype = x_BCHW.dtype
    if geometry.stride != (1, 1):
        # In bf16 torch takes twenty times as long as in float32.
        dtype = torch.promote_types(dtype, torch.float32)
    # Of the input the shape alone counts.
    like_BCHW = torch.empty_like(x_BCHW, dtype=dtype)
    given = gradient_BChw.to(dtype), like_BCHW, kernel_C1IJ.to(dtype), geometry
    return _gradients(*given, wanted=(True, False))[0].to(x_BCHW.dtype)


def _kernel_gradient(
    gradient_BChw: Tensor, x_BCHW: Tensor, kernel_C1IJ: Tensor, geometry: _Geometry
) -> Tensor:
    """Return the kernel's gradient, some of its columns at a time where it is wide."""
    width, wanted = kernel_C1IJ.shape[3], (False, True)
    if width <= _WIDTH:
        return _gradients(gradient_BChw, x_BCHW, kernel_C1IJ, geometry, wanted)[1]
    rows, columns = geometry.padding
    padded_BCHW = F.pad(x_BCHW, (columns, columns))
    within = geometry._replace(padding=(rows, 0))
    # From the first to the last place of a column of the kernel.
    way = geometry.stride[1] * (gradient_BChw.shape[3] - 1)
    parts = []
    for first, part in zip(
        range(0, width, _WIDTH), torch.split(kernel_C1IJ, _WIDTH, dim=3), strict=True
    ):
        seen_BCHW = padded_BCHW[..., first : first + way + part.shape[3]]
        parts.append(_gradients(gradient_BChw, seen_BCHW, part, within, wanted)[1])
    return torch.cat(parts, dim=3)


def _gradients(
    gradient_BChw: Tensor,
    x_BCHW: Tensor,
    kernel_C1IJ: Tensor,
    geometry: _Geometry,
    wanted: tuple[bool, bool],
) -> tuple[Tensor, Tensor]:
    """Return torch's gradients of input and kernel, as far as they are wanted."""
    of_input, of_kernel, _ = torch.ops.aten.convolution_backward(
        gradient_BChw,
        x_BCHW,
        kernel_C1IJ,
        None,
        *geometry,
        (1, 1),
        False,
        (0, 0),
        len(kernel_C1IJ),
        (*wanted, False),
    )
    return of_input, of_kernel
