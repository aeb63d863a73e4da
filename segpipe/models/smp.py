"""Any decoder and encoder of segmentation_models.pytorch.

https://github.com/qubvel-org/segmentation_models.pytorch

Shapes: B batch, C channels, K classes.
"""

import difflib
from functools import partial
from itertools import pairwise
from types import ModuleType

import torch
from torch import Tensor, nn
from torch.func import functional_call

from segpipe.models.parts.blocks import quicken_norms
from segpipe.models.parts.cpu_layers import Pad, quicken_on_cpus
from segpipe.models.parts.enlarging import Enlarging
from segpipe.models.parts.fitting import cells, padded, refuse_single_value
from segpipe.models.parts.network import Network
from segpipe.models.parts.smp_library import TIMM, create, library
from segpipe.params.model import SmpParams
from segpipe.runtime.errors import ParameterError

# Decoders with a batch norm after an average of the whole image.
_POOLED = frozenset({"deeplabv3", "deeplabv3plus", "pan", "upernet"})
# PAN halves the map of stride 16 three times more.
_LEAST_SIDES = {"pan": 128}


class Smp(Network):
    """The library's network under its own names (`network.encoder...`), with its first weights.

    Sides that are not a multiple of its coarsest stride are continued by repeating the last pixels.
    Weights that no gradient reaches (EfficientNet's last convolution, the layers below those that
    PSPNet's decoder uses) rest: several processes would wait for their gradients for ever.
    """

    inner_path = "network"
    backbone_path = "network.encoder"

    def __init__(self, in_channels: int, num_classes: int, options: SmpParams) -> None:
        """Build the network; ParameterError when the encoder is unknown or does not fit."""
        super().__init__()
        self.network = _built(library(), in_channels, num_classes, options)
        self.multiple = _multiple(self.network, options)
        self.least = _LEAST_SIDES.get(options.decoder, 1)
        self.pooled = options.decoder in _POOLED

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """Return logits_BKHW of normalised images of any size.

        Raises ValueError in training when a batch norm would see one value a channel.
        """
        height, width = image_BCHW.shape[-2:]
        fitting_BCHW = padded(image_BCHW, self.multiple, self.least)
        refuse_single_value(
            self,
            fitting_BCHW.shape[0] if self.pooled else cells(fitting_BCHW, self.multiple),
            "in the network",
            "use larger images or a larger train.batch_size; the decoders "
            f"{', '.join(sorted(_POOLED))} need two samples or more in each part of it",
        )
        logits_BKHW: Tensor = self.network(fitting_BCHW)
        return logits_BKHW[..., :height, :width]


def _built(smp: ModuleType, in_channels: int, num_classes: int, options: SmpParams) -> nn.Module:
    _check_encoder(smp, options)
    try:
        network = create(smp, in_channels, num_classes, options)
        quicken_norms(network)
        quicken_on_cpus(network, _same_padding)
        _quicken_head(network)
        _rest_idle_biases(network)
        multiple = _multiple(network, options)
        _rest_idle_weights(network, in_channels, side=multiple * -(-128 // multiple))
    except (ValueError, KeyError, TypeError, RuntimeError, AttributeError) as error:
        raise ParameterError(
            f"params.yaml: model.smp: the decoder {options.decoder} cannot be put on the encoder "
            f"{options.encoder}; choose another of the two. The library says: {error}"
        ) from error
    return network


def _same_padding(layer: nn.Conv2d) -> Pad | None:
    """Return how timm's convolutions of TensorFlow's padding pad; None for others."""
    # An optional package, and slow to import.
    from timm.layers.conv2d_same import Conv2dSame
    from timm.layers.padding import pad_same

    if type(layer) is not Conv2dSame:
        return None
    return partial(pad_same, kernel_size=list(layer.kernel_size), stride=list(layer.stride))


def _quicken_head(network: nn.Module) -> None:
    """Enlarge the scores in the way that training learns from faster; no weight is concerned."""
    head: nn.Module = network.segmentation_head  # type: ignore[assignment]
    for name, layer in head.named_children():
        if isinstance(layer, nn.Upsample) and layer.align_corners:
            assert isinstance(layer.scale_factor, float), "the library enlarges both sides alike"
            setattr(head, name, Enlarging(int(layer.scale_factor)))


def _multiple(network: nn.Module, options: SmpParams) -> int:
    """Return what the sides must be multiples of: the coarsest stride, in pixels.

    The decoder dpt halves the map of a vision transformer once more.
    """
    stride = int(network.encoder.output_stride)  # type: ignore[union-attr, arg-type]
    return 2 * stride if options.decoder == "dpt" else stride


def _check_encoder(smp: ModuleType, options: SmpParams) -> None:
    """Refuse an unknown encoder, and name the nearest."""
    name, known = options.encoder, list(smp.encoders.get_encoder_names())
    if name.startswith(TIMM):
        import timm

        architecture = name.removeprefix(TIMM).partition(".")[0]
        if timm.is_model(architecture):
            return
        known = [TIMM + model for model in timm.list_models()]
    elif options.decoder == "dpt":
        raise ParameterError(
            f"params.yaml: model.smp.encoder is {name}, but the decoder dpt needs a vision "
            "transformer of timm, such as tu-vit_tiny_patch16_224"
        )
    elif name in known:
        return
    nearest = difflib.get_close_matches(name, known, n=1)
    choice = f"did you mean {nearest[0]}?" if nearest else f"such as {', '.join(known[:4])}"
    raise ParameterError(
        f"params.yaml: model.smp.encoder is {name!r}, which is not an encoder of the library; {choice}"
    )


def _rest_idle_biases(network: nn.Module) -> None:
    """Leave the biases right before a batch norm at rest, as `blocks` does in the U-Nets."""
    for layer in network.modules():
        if not isinstance(layer, nn.Sequential):
            continue
        layers = list(layer)
        for before, after in pairwise(layers):
            followed = isinstance(before, nn.Conv2d) and isinstance(after, nn.BatchNorm2d)
            if followed and before.bias is not None:
                before.bias.requires_grad_(False)


def _rest_idle_weights(network: nn.Module, in_channels: int, side: int) -> None:
    """Find the weights that no gradient reaches, by a pass without numbers, and let them rest."""
    training = network.training
    network.eval()
    with torch.inference_mode(False), torch.enable_grad():
        learnt = {k: w for k, w in network.named_parameters() if w.requires_grad}
        shapes = {k: torch.empty_like(w, device="meta").requires_grad_() for k, w in learnt.items()}
        state = {k: torch.empty_like(t, device="meta") for k, t in network.state_dict().items()}
        image = torch.empty(1, in_channels, side, side, device="meta")
        logits = functional_call(network, state | shapes, (image,))
        reached = torch.autograd.grad(logits.sum(), list(shapes.values()), allow_unused=True)
    for weight, gradient in zip(learnt.values(), reached, strict=True):
        weight.requires_grad_(gradient is not None)
    network.train(training)
