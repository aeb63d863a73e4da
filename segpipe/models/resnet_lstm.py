"""ResNet-LSTM: a fully convolutional network that remembers the frames before.

Shapes: B batch, T frames, C channels, K classes, h, w at stride 32.
"""

from types import MappingProxyType

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segpipe.models.parts.blocks import initialise_scores
from segpipe.models.parts.fitting import fitted
from segpipe.models.parts.network import Network
from segpipe.models.parts.resnet import ResNetFeatures
from segpipe.params.model import ResNetLSTMParams

_STRIDE = 32
# Of the light pyramid head: parts of the image that are averaged, and channels of each.
_BINS = (1, 2, 3, 6)
_CHANNELS = 16


class LightPSP(nn.Module):
    """Score a map together with its averages over 1x1, 2x2, 3x3 and 6x6 parts of the image.

    Each average goes through a 1x1 convolution to 16 channels; the classes come from a 1x1
    convolution over the map and all four.
    """

    def __init__(self, in_channels: int, num_classes: int) -> None:
        """Build the layers and draw their first weights."""
        super().__init__()
        self.branches = nn.ModuleList(nn.Conv2d(in_channels, _CHANNELS, 1) for _ in _BINS)
        self.head = nn.Conv2d(in_channels + len(_BINS) * _CHANNELS, num_classes, 1)
        for layer in (*self.branches, self.head):
            assert isinstance(layer, nn.Conv2d)
            initialise_scores(layer)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Return logits_BKHW."""
        sides = x_BCHW.shape[-2:]
        averages = [
            F.interpolate(
                branch(F.adaptive_avg_pool2d(x_BCHW, bins)),
                size=sides,
                mode="bilinear",
                align_corners=False,
            )
            for bins, branch in zip(_BINS, self.branches, strict=True)
        ]
        logits_BKHW: Tensor = self.head(torch.cat([x_BCHW, *averages], dim=1))
        return logits_BKHW


class ScoreMemory(nn.Module):
    """Run a one-layer LSTM over the coarse scores of a clip's frames, along time.

    It needs a vector of fixed length, so the scores are averaged onto a fixed grid, and its last
    output is brought back to their size bilinearly. Where the scores have the grid's size already
    (7x14 for frames of 224x448) both leave them as they are.

    A convolutional LSTM would take any size as well and have far fewer weights, but see only what
    lies near; this one sees the whole frame at once, as the network that it stands for did.
    """

    def __init__(self, num_classes: int, grid: tuple[int, int]) -> None:
        """grid: its height and width, in cells."""
        super().__init__()
        self.shape = (num_classes, *grid)
        length = num_classes * grid[0] * grid[1]
        self.lstm = nn.LSTM(length, length, batch_first=True)

    def forward(self, scores_BTKhw: Tensor) -> Tensor:
        """Return what is remembered at the last frame, (B, K, h, w) in -1..1, in the weights' precision."""
        batch, frames = scores_BTKhw.shape[:2]
        wide = next(self.lstm.parameters()).dtype
        # Autocast has no bf16 form of an LSTM on every device.
        with torch.autocast(scores_BTKhw.device.type, enabled=False):
            grid = F.adaptive_avg_pool2d(scores_BTKhw.to(wide).flatten(0, 1), self.shape[1:])
            outputs_BTN, _ = self.lstm(grid.reshape(batch, frames, -1))
            last = outputs_BTN[:, -1].reshape(batch, *self.shape)
            return F.interpolate(
                last, size=scores_BTKhw.shape[-2:], mode="bilinear", align_corners=False
            )


class ResNetLSTM(Network):
    """ResNet-18 shared over the frames, an LSTM over their coarse scores, a decoder as in FCN-8s.

    Features at strides 8, 16 and 32 are scored by 1x1 convolutions, those at 8 and 16 for the last
    frame only. What the LSTM remembers is added to the last frame's scores at stride 32; the
    decoder doubles them twice, adding those of strides 16 and 8, and enlarges them eight times by
    transposed convolutions that start as bilinear interpolation (Long, Shelhamer and Darrell 2015,
    "Fully convolutional networks for semantic segmentation").

    lstm off: only the last frame is looked at, and only it is asked for. psp on: `LightPSP` scores
    anew at stride 8, before the last enlargement, where it costs a 64th of what it would after.
    With 19 classes, grid 7x14, and psp off it has 39,048,809 parameters, 27,751,248 of them
    in the LSTM.
    """

    backbone_path = "backbone"
    multiple = _STRIDE
    published = MappingProxyType({"imagenet": "resnet18"})

    def __init__(self, in_channels: int, num_classes: int, options: ResNetLSTMParams) -> None:
        """Build the layers and draw their first weights."""
        super().__init__()
        self.takes_clips = options.lstm
        self.backbone = ResNetFeatures("resnet18", in_channels)
        self.score_8, self.score_16, self.score_32 = (
            nn.Conv2d(channels, num_classes, 1) for channels in self.backbone.channels
        )
        for layer in (self.score_8, self.score_16, self.score_32):
            initialise_scores(layer)
        grid = options.grid_height, options.grid_width
        self.memory = ScoreMemory(num_classes, grid) if options.lstm else None
        self.psp = LightPSP(num_classes, num_classes) if options.psp else None
        self.up_32, self.up_16, self.up_8 = (
            _bilinear_upsampling(num_classes, factor) for factor in (2, 2, 8)
        )

    def forward(self, frames_BTCHW: Tensor) -> Tensor:
        """Return logits_BKHW of the last of any number of normalised frames of any size.

        (B, C, H, W) is taken as clips of one frame.
        Raises ValueError in training when a single frame has one cell of 32x32 pixels.
        """
        if frames_BTCHW.ndim == 4:
            frames_BTCHW = frames_BTCHW[:, None]
        if self.memory is None:
            frames_BTCHW = frames_BTCHW[:, -1:]
        image_NCHW, clips = frames_BTCHW.flatten(0, 1), tuple(frames_BTCHW.shape[:2])
        height, width = frames_BTCHW.shape[-2:]
        repair = "use larger images, a larger train.batch_size or a larger source.clip.frames"
        fitting_NCHW = fitted(self, image_NCHW, _STRIDE, repair)
        at_8, at_16, at_32 = (
            feature.unflatten(0, clips) for feature in self.backbone(fitting_NCHW)
        )
        x = self._remembered(at_32)
        x = self.up_32(x) + self.score_16(at_16[:, -1])
        x = self.up_16(x) + self.score_8(at_8[:, -1])
        if self.psp is not None:
            x = self.psp(x)
        logits_BKHW: Tensor = self.up_8(x)[..., :height, :width]
        return logits_BKHW

    def _remembered(self, features_BTChw: Tensor) -> Tensor:
        """Return the last frame's scores, with the memory of the clip added to them."""
        if self.memory is None:
            scores: Tensor = self.score_32(features_BTChw[:, -1])
            return scores
        clips = tuple(features_BTChw.shape[:2])
        scores_BTKhw = self.score_32(features_BTChw.flatten(0, 1)).unflatten(0, clips)
        last: Tensor = scores_BTKhw[:, -1]
        memory_BKhw: Tensor = self.memory(scores_BTKhw)
        return last + memory_BKhw.to(last.dtype)


def _bilinear_upsampling(channels: int, factor: int) -> nn.ConvTranspose2d:
    """Return a transposed convolution that, to begin with, enlarges each channel bilinearly."""
    layer = nn.ConvTranspose2d(
        channels, channels, 2 * factor, stride=factor, padding=factor // 2, bias=False
    )
    slope = 1 - (torch.arange(2 * factor) + 0.5 - factor).abs() / factor
    with torch.no_grad():
        layer.weight.zero_()
        for channel in range(channels):
            layer.weight[channel, channel] = slope[:, None] * slope
    return layer
