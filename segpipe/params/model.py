"""Which network is trained: the section `model` of params.yaml."""

from typing import Annotated, Literal

from pydantic import Field

from segpipe.params.section import (
    Section,
)


class UNetParams(Section):
    """U-Net: channels of the first level, levels below it, and what stands between the convolutions."""

    width: Annotated[int, Field(ge=4, le=256)] = 16
    depth: Annotated[int, Field(ge=1, le=6)] = 4
    norm: Literal["batch", "group", "none"] = "batch"
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    padding: Literal["same", "valid"] = "same"


class MiniUNetParams(Section):
    """Mini U-Net: channels of the first level (the original has 64)."""

    width: Annotated[int, Field(ge=4, le=256)] = 64


class RegSegParams(Section):
    """RegSeg: channels of its stem, and how far the last seven blocks look.

    dilation: of one half of their 3x3 convolutions, in cells of 16 pixels.
    """

    width: Annotated[int, Field(ge=8, le=128, multiple_of=4)] = 32
    dilation: Annotated[int, Field(ge=1, le=64)] = 14


class PSPNetParams(Section):
    """PSPNet: its ResNet, whether its middle is scored in training too, and dropout before scores."""

    backbone: Literal["resnet18", "resnet34", "resnet50", "resnet101"] = "resnet18"
    auxiliary: bool = True
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1


class ResNetLSTMParams(Section):
    """ResNet-LSTM: whether it remembers, whether a pyramid scores, and the grid of its memory.

    The LSTM's weights grow with the square of grid_height x grid_width x classes.
    """

    lstm: bool = True
    psp: bool = False
    grid_height: Annotated[int, Field(ge=1, le=32)] = 7
    grid_width: Annotated[int, Field(ge=1, le=32)] = 14


class TruthCNNParams(Section):
    """The small network for a truth 50 times coarser: channels of its first level."""

    width: Annotated[int, Field(ge=4, le=256)] = 64


class FCNParams(Section):
    """FCN: its ResNet, and whether its middle is scored in training too."""

    backbone: Literal["resnet50", "resnet101"] = "resnet50"
    auxiliary: bool = True


class DeepLabV3Params(Section):
    """DeepLabV3: its backbone, and whether the backbone's middle is scored in training too."""

    backbone: Literal["resnet50", "resnet101", "mobilenet_v3_large"] = "resnet50"
    auxiliary: bool = True


class SmpParams(Section):
    """A decoder and an encoder of segmentation_models.pytorch."""

    decoder: Literal[
        "unet",
        "unetplusplus",
        "manet",
        "linknet",
        "fpn",
        "pspnet",
        "deeplabv3",
        "deeplabv3plus",
        "pan",
        "upernet",
        "segformer",
        "dpt",
    ] = "unet"
    encoder: Annotated[str, Field(min_length=1)] = "resnet34"


class ModelParams(Section):
    """Which network, and the options of each; only the options of the named one are used."""

    name: Literal[
        "unet",
        "mini_unet",
        "regseg",
        "pspnet",
        "resnet_lstm",
        "truth_cnn",
        "fcn",
        "deeplabv3",
        "lraspp",
        "smp",
    ] = "unet"
    unet: UNetParams = UNetParams()
    mini_unet: MiniUNetParams = MiniUNetParams()
    regseg: RegSegParams = RegSegParams()
    pspnet: PSPNetParams = PSPNetParams()
    resnet_lstm: ResNetLSTMParams = ResNetLSTMParams()
    truth_cnn: TruthCNNParams = TruthCNNParams()
    fcn: FCNParams = FCNParams()
    deeplabv3: DeepLabV3Params = DeepLabV3Params()
    smp: SmpParams = SmpParams()
