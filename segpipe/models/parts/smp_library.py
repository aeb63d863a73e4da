"""The library segmentation_models.pytorch, as the network `smp` and its published weights use it."""

import inspect
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from torch import nn

from segpipe.params.model import SmpParams
from segpipe.runtime.errors import ParameterError

# What the library puts before the names of timm's models.
TIMM = "tu-"


def library() -> ModuleType:
    """Return segmentation_models_pytorch; ParameterError names the extra where it is missing."""
    try:
        import segmentation_models_pytorch  # an optional package, and slow to import
    except ImportError as error:
        raise ParameterError(
            "params.yaml: model.name is smp, which needs the package segmentation-models-pytorch; it "
            "is not installed; run: pip install 'segpipe[smp]'"
        ) from error
    module: ModuleType = segmentation_models_pytorch
    return module


def create(
    smp: ModuleType, in_channels: int, num_classes: int, options: SmpParams, weights: Any = None
) -> nn.Module:
    """Return the library's own network; weights: the library's name of those of the encoder."""
    # A vision transformer takes one size only unless it is told otherwise.
    extra: dict[str, Any] = {"dynamic_img_size": True} if options.decoder == "dpt" else {}
    network: nn.Module = smp.create_model(
        options.decoder,
        options.encoder,
        weights,
        in_channels,
        num_classes,
        **extra,
        **_decoder_channels(smp, options),
    )
    return network


def _decoder_channels(smp: ModuleType, options: SmpParams) -> dict[str, Any]:
    """Return the decoder's numbers of channels by the library's own names, none at a width of 1.

    They are the library's defaults times the width, in multiples of 8, or of 32 in FPN, whose norms
    have 32 groups.
    """
    if options.decoder_width == 1.0:
        return {}

    multiple = 32 if options.decoder == "fpn" else 8

    def scaled(channels: Any) -> Any:
        if isinstance(channels, Sequence):
            return type(channels)(scaled(number) for number in channels)  # type: ignore[call-arg]
        return multiple * max(1, round(channels * options.decoder_width / multiple))

    architecture = smp.MODEL_ARCHITECTURES_MAPPING[options.decoder]
    return {
        name: scaled(parameter.default)
        for name, parameter in inspect.signature(architecture).parameters.items()
        if name.endswith("_channels") and name != "in_channels"
    }
