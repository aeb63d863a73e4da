"""The models by name."""

from segpipe.models.compact_fpn import CompactFPN
from segpipe.models.deeplabv3 import deeplabv3
from segpipe.models.fcn import fcn
from segpipe.models.lraspp import lraspp
from segpipe.models.mini_unet import mini_unet
from segpipe.models.parts.coarse import Coarse
from segpipe.models.parts.network import Network
from segpipe.models.pspnet import PSPNet
from segpipe.models.regseg import RegSeg
from segpipe.models.resnet_lstm import ResNetLSTM
from segpipe.models.smp import Smp
from segpipe.models.truth_cnn import TruthCNN
from segpipe.models.unet import unet
from segpipe.params.model import ModelParams
from segpipe.runtime.errors import ParameterError


def build_model(
    params: ModelParams, in_channels: int, num_classes: int, truth_ratio: int = 1
) -> Network:
    """Return the named network with first weights from torch's generator (seed it before).

    truth_ratio: image pixels along each side of a truth pixel; the logits come on the truth's grid.
    Raises ParameterError when the network scores a coarser grid than the truth's, or when a
    library that it needs or an option's value is unknown.
    """
    network = _named(params, in_channels, num_classes)
    if truth_ratio % network.reduction:
        raise ParameterError(
            f"params.yaml: model.name is {params.name}, which scores one pixel for every "
            f"{network.reduction}x{network.reduction} of the image, but the truth of this data has "
            f"one for every {truth_ratio}x{truth_ratio}; choose another model, such as regseg or unet"
        )
    if truth_ratio > 1 and network.input_side(truth_ratio // network.reduction) > truth_ratio:
        raise ParameterError(
            f"params.yaml: model.{params.name}.padding is valid, but the truth is coarser than the "
            "image, and its pixels would not lie under the scores; set it to same"
        )
    ratio = truth_ratio // network.reduction
    return Coarse(network, ratio) if ratio > 1 else network


def _named(params: ModelParams, in_channels: int, num_classes: int) -> Network:
    match params.name:
        case "unet":
            return unet(in_channels, num_classes, params.unet)
        case "mini_unet":
            return mini_unet(in_channels, num_classes, params.mini_unet)
        case "regseg":
            return RegSeg(in_channels, num_classes, params.regseg)
        case "compact_fpn":
            return CompactFPN(in_channels, num_classes, params.compact_fpn)
        case "pspnet":
            return PSPNet(in_channels, num_classes, params.pspnet)
        case "resnet_lstm":
            return ResNetLSTM(in_channels, num_classes, params.resnet_lstm)
        case "truth_cnn":
            return TruthCNN(in_channels, num_classes, params.truth_cnn)
        case "fcn":
            return fcn(in_channels, num_classes, params.fcn)
        case "deeplabv3":
            return deeplabv3(in_channels, num_classes, params.deeplabv3)
        case "lraspp":
            return lraspp(in_channels, num_classes)
        case "smp":
            return Smp(in_channels, num_classes, params.smp)
