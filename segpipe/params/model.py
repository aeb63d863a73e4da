"""Which network is trained: the section `model` of params.yaml."""

import math
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from segpipe.params.length import Length, LengthOrAll
from segpipe.params.pretrained import KINDS, PUBLISHED, WITH_BACKBONE, checked_pretrained
from segpipe.params.section import Section, Since, pair

ModelName = Literal[
    "unet",
    "mini_unet",
    "regseg",
    "compact_fpn",
    "pspnet",
    "resnet_lstm",
    "truth_cnn",
    "fcn",
    "deeplabv3",
    "lraspp",
    "smp",
]
_Blocks = Annotated[int, Field(ge=1, le=16)]


class UNetParams(Section):
    """U-Net: channels of the first level, levels below it, and what is between the convolutions."""

    width: Annotated[int, Field(ge=4, le=256)] = 16
    """4..256; channels of the first level, doubled at each level below"""
    depth: Annotated[int, Field(ge=1, le=6)] = 4
    """1..6; levels below the first"""
    norm: Literal["batch", "group", "none"] = "batch"
    """batch | group | none"""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """0 to below 1; after each pool and upsampling"""
    padding: Literal["same", "valid"] = "same"
    """same | valid (the output is smaller than the input)"""


class MiniUNetParams(Section):
    """Mini U-Net: channels of the first level (the original has 64)."""

    width: Annotated[int, Field(ge=4, le=256)] = 64
    """4..256; channels of the first level"""


class RegSegParams(Section):
    """RegSeg: channels of its stem, and how far the last seven blocks look."""

    width: Annotated[int, Field(ge=8, le=128, multiple_of=4)] = 32
    """8..128, a multiple of 4; channels of its stem, 32 in the paper"""
    dilation: Annotated[int, Field(ge=1, le=64)] = 14
    """1..64; how far the last blocks look, in cells of 16 pixels; 14 suits images 1000 pixels
    high"""


class CompactFPNParams(Section):
    """Compact FPN: channels of its stem, and how deep its stages are."""

    width: Annotated[int, Field(ge=8, le=128, multiple_of=4)] = 32
    """8..128, a multiple of 4; channels of its stem, doubled at each stage; multiples of 32 are fast"""
    blocks: Annotated[tuple[_Blocks, _Blocks, _Blocks], BeforeValidator(pair)] = (2, 2, 3)
    """1..16 each; residual blocks at the strides 4, 8 and 16"""


class PSPNetParams(Section):
    """PSPNet: its ResNet, whether its middle is scored in training too, and dropout before scores."""

    backbone: Literal["resnet18", "resnet34", "resnet50", "resnet101"] = "resnet18"
    """resnet18 | resnet34 | resnet50 | resnet101"""
    auxiliary: bool = True
    """score the middle of the backbone too, in training only"""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """0 to below 1; before the scores"""


class ResNetLSTMParams(Section):
    """ResNet-LSTM: whether it remembers, whether a pyramid scores, and the grid of its memory.

    The LSTM's weights grow with the square of grid_height x grid_width x classes.
    """

    lstm: bool = True
    """false: looks at the last frame only"""
    psp: bool = False
    """true: a light pyramid head"""
    grid_height: Annotated[int, Field(ge=1, le=32)] = 7
    """1..32; cells that the LSTM remembers; 7x14 is 224x448 pixels at stride 32"""
    grid_width: Annotated[int, Field(ge=1, le=32)] = 14
    """1..32"""


class TruthCNNParams(Section):
    """The small network for a truth 50 times coarser: channels of its first level."""

    width: Annotated[int, Field(ge=4, le=256)] = 64
    """4..256; channels of the first level"""


class FCNParams(Section):
    """FCN: its ResNet, and whether its middle is scored in training too."""

    backbone: Literal["resnet50", "resnet101"] = "resnet50"
    """resnet50 | resnet101"""
    auxiliary: bool = True
    """score the middle of the backbone too, in training only"""


class DeepLabV3Params(Section):
    """DeepLabV3: its backbone, and whether the backbone's middle is scored in training too."""

    backbone: Literal["resnet50", "resnet101", "mobilenet_v3_large"] = "resnet50"
    """resnet50 | resnet101 | mobilenet_v3_large"""
    auxiliary: bool = True
    """score the middle of the backbone too, in training only"""


class LRASPPParams(Section):
    """LR-ASPP has no option of its own: its backbone is MobileNetV3 large."""


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
    """unet | unetplusplus | manet | linknet | fpn | pspnet | deeplabv3 | deeplabv3plus | pan |
    upernet | segformer | dpt"""
    encoder: Annotated[str, Field(min_length=1)] = "resnet34"
    """a name from its list of encoders, or tu- and the name of a timm model"""
    decoder_width: Annotated[float, Field(ge=0.0625, le=4), Since("0.2.0")] = 1.0
    """0.0625..4; factor of the decoder's channels (fpn: 256 times this); not for linknet"""

    @model_validator(mode="after")
    def _linknet_has_the_encoder_s_channels(self) -> "SmpParams":
        if self.decoder == "linknet" and self.decoder_width != 1.0:
            raise ValueError(
                "decoder_width is not for linknet, whose channels are the encoder's; set it to 1.0"
            )
        return self


class FreezeParams(Section):
    """Parts of the network that do not learn at first, and for how long."""

    parts: list[str] = Field(default_factory=list)
    """when length is not 0: [backbone], [backbone.layer1] or other parts of the network, which an
    unknown name lists"""
    length: LengthOrAll = Length(0)
    """a length, 0 or more, or all: the whole training; 0: nothing is frozen"""

    @property
    def on(self) -> bool:
        """Whether anything is frozen at any time."""
        return self.length == "all" or self.length.amount > 0

    def steps(self, steps_per_epoch: int, batch_size: int) -> float:
        """Return the length in whole optimizer steps; infinite for all of the training."""
        return math.inf if self.length == "all" else self.length.steps(steps_per_epoch, batch_size)

    @model_validator(mode="after")
    def _names_something(self) -> "FreezeParams":
        if self.on and not self.parts:
            raise ValueError(
                f"length is {self.length}, but parts names nothing; name parts of the network, such "
                "as [backbone], or set length to 0"
            )
        return self


class ModelParams(Section):
    """Which network, what it starts from, and the options of each; only those of the named are used."""

    name: ModelName = "unet"
    """unet | mini_unet | regseg | compact_fpn | pspnet | resnet_lstm | truth_cnn | fcn | deeplabv3 | lraspp |
    smp; only the options of the named one are used"""
    pretrained: Annotated[str, Field(min_length=1), AfterValidator(checked_pretrained)] = "none"
    """none | imagenet | coco | the path of a file of weights (.safetensors, .pth, .pt, .bin) or of a
    bundle (docs/data-format.md); where the weights begin, and by what images are normalised"""
    freeze: FreezeParams = FreezeParams()
    """parts that keep their first weights and the statistics of their norms for a while"""
    unet: UNetParams = UNetParams()
    mini_unet: MiniUNetParams = MiniUNetParams()
    regseg: RegSegParams = RegSegParams()
    """small, fast, for training from scratch on street scenes"""
    compact_fpn: Annotated[CompactFPNParams, Since("0.2.0")] = CompactFPNParams()
    """dense 3x3 convolutions, fast on processors with matrix units; for training from scratch"""
    pspnet: PSPNetParams = PSPNetParams()
    resnet_lstm: ResNetLSTMParams = ResNetLSTMParams()
    """for clips: source.clip.frames"""
    truth_cnn: TruthCNNParams = TruthCNNParams()
    """for a truth 50 times coarser than the image, such as that of the ESD tiles"""
    fcn: FCNParams = FCNParams()
    deeplabv3: DeepLabV3Params = DeepLabV3Params()
    """learns from two samples at a time or more"""
    lraspp: Annotated[LRASPPParams, Since("0.2.0")] = LRASPPParams()
    """no options of its own"""
    smp: SmpParams = SmpParams()
    """segmentation_models.pytorch: pip install 'segpipe[smp]'"""

    def unused(self) -> frozenset[str]:
        """Return the sections of the other models, and of freezing where nothing is frozen."""
        idle = set() if self.freeze.on else {"freeze"}
        return frozenset({*get_args(ModelName), *idle} - {self.name})

    @property
    def names_a_file(self) -> bool:
        """Whether `pretrained` is a path."""
        return self.pretrained not in KINDS

    @model_validator(mode="after")
    def _weights_exist(self) -> "ModelParams":
        faults = []
        having = PUBLISHED.get(self.pretrained, (self.name,))
        if self.name not in having:
            faults.append(
                f"pretrained is {self.pretrained}, but no such weights are published for {self.name}, "
                f"only for {', '.join(having)}; choose one of them, or set pretrained to none or to "
                "the path of a file of weights or bundle"
            )
        of_backbone = any(part.split(".")[0] == "backbone" for part in self.freeze.parts)
        if self.freeze.on and of_backbone and self.name not in WITH_BACKBONE:
            faults.append(
                f"freeze.parts names the backbone, but {self.name} has none, only "
                f"{', '.join(WITH_BACKBONE)}; name other parts"
            )
        if faults:
            raise ValueError("; ".join(faults))
        return self
