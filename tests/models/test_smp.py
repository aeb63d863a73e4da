import sys
from typing import get_args

import pytest
import segmentation_models_pytorch as library
import torch
from torch import nn

from segpipe.models.smp import Smp
from segpipe.params.model import SmpParams
from segpipe.runtime.errors import ParameterError

DECODERS = get_args(SmpParams.model_fields["decoder"].annotation)
POOLED = {"deeplabv3", "deeplabv3plus", "pan", "upernet"}


def smp(decoder: str = "unet", encoder: str = "resnet18") -> Smp:
    torch.manual_seed(0)
    return Smp(4, 3, SmpParams(decoder=decoder, encoder=encoder))


def resting(model: nn.Module) -> list[str]:
    return [key for key, weight in model.named_parameters() if not weight.requires_grad]


def test_the_list_of_decoders_is_the_library_s():
    assert set(DECODERS) == set(library.MODEL_ARCHITECTURES_MAPPING)


@pytest.mark.parametrize(
    ("decoder", "encoder", "message"),
    [
        (
            "unet",
            "resnet43",
            r"'resnet43', which is not an encoder of the library; did you mean resnet34",
        ),
        ("unet", "tu-resnet43", r"did you mean tu-resnet"),
        ("unet", "?", r"not an encoder of the library; such as resnet18"),
        ("dpt", "resnet34", r"dpt needs a vision transformer of timm, such as tu-vit"),
        ("unetplusplus", "mit_b0", r"unetplusplus cannot be put on the encoder mit_b0"),
        ("deeplabv3", "vgg11", r"cannot be put on the encoder vgg11.*dilated"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(decoder, encoder, message):
    with pytest.raises(ParameterError, match=message):
        smp(decoder, encoder)


def test_without_the_library_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "segmentation_models_pytorch", None)
    with pytest.raises(ParameterError, match=r"pip install 'segpipe\[smp\]'"):
        smp()


def test_weights_without_a_gradient_rest():
    assert resting(smp()) == []
    assert all(key.startswith("network.encoder.layer") for key in resting(smp("pspnet")))
    head = ["_conv_head.weight", "_bn1.weight", "_bn1.bias"]
    assert resting(smp("unet", "efficientnet-b0")) == [f"network.encoder.{key}" for key in head]
    biases = resting(smp("unet", "vgg11_bn"))
    assert len(biases) == 8 and all(key.endswith("bias") for key in biases)


def test_resting_weights_are_exactly_those_that_get_none():
    model = smp("pspnet")
    model(torch.randn(2, 4, 64, 64)).square().mean().backward()
    without = [key for key, weight in model.named_parameters() if weight.grad is None]
    assert without and without == resting(model)


def test_finding_them_leaves_the_network_as_it_was():
    model = smp()
    assert all(layer.training for layer in model.modules())
    assert all(not tensor.is_meta for tensor in model.state_dict().values())
    torch.manual_seed(0)
    plain = library.Unet("resnet18", encoder_weights=None, in_channels=4, classes=3)
    own = model.network.state_dict()
    assert all(torch.equal(own[key], tensor) for key, tensor in plain.state_dict().items())


def test_running_statistics_follow_as_fast_as_torch_has_them():
    """The library gives EfficientNet's norms a tenth of that."""
    norms = [
        layer
        for layer in smp(encoder="efficientnet-b0").modules()
        if isinstance(layer, nn.BatchNorm2d)
    ]
    assert len(norms) > 40
    assert {layer.momentum for layer in norms} == {nn.BatchNorm2d(1).momentum}


@torch.no_grad()
def test_logits_are_the_library_s_on_sides_that_fit():
    model, image = smp().eval(), torch.randn(2, 4, 64, 96)
    assert torch.equal(model(image), model.network(image))
    rows, columns = [*range(60), *[59] * 4], [*range(90), *[89] * 6]
    by_hand = model.network(image[:, :, rows][:, :, :, columns])[..., :60, :90]
    assert torch.equal(model(image[..., :60, :90]), by_hand)


@pytest.mark.slow
@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.filterwarnings("default::FutureWarning", "default::DeprecationWarning")
def test_every_decoder_takes_any_size_and_trains(decoder):
    model = smp(decoder, "tu-vit_tiny_patch16_224" if decoder == "dpt" else "resnet18")
    for sides in [(67, 95), (20, 33), (130, 97)]:
        assert model(torch.randn(2, 4, *sides)).shape == (2, 3, *sides)
    if decoder in POOLED:
        with pytest.raises(ValueError, match="need two samples or more"):
            model(torch.randn(1, 4, 130, 97))
    else:
        assert model(torch.randn(1, 4, 130, 97)).shape == (1, 3, 130, 97)
    assert model.eval()(torch.randn(1, 4, 7, 9)).shape == (1, 3, 7, 9)


def test_the_width_scales_every_number_of_channels_of_the_decoder():
    wide = Smp(3, 4, SmpParams(decoder="fpn", encoder="resnet18"))
    light = Smp(3, 4, SmpParams(decoder="fpn", encoder="resnet18", decoder_width=0.25))
    assert wide.network.decoder.p5.out_channels == 4 * light.network.decoder.p5.out_channels == 256
    assert light.network.segmentation_head[0].in_channels == 32
    least = Smp(3, 4, SmpParams(decoder="fpn", encoder="resnet18", decoder_width=0.0625))
    assert least.network.segmentation_head[0].in_channels == 32
    narrow = Smp(3, 4, SmpParams(decoder="unet", encoder="resnet18", decoder_width=0.1))
    outs = [block.conv2[0].out_channels for block in narrow.network.decoder.blocks]
    assert outs == [24, 16, 8, 8, 8]
    with pytest.raises(ValueError, match="linknet, whose channels are the encoder's"):
        SmpParams(decoder="linknet", decoder_width=0.5)


@pytest.mark.slow
@pytest.mark.parametrize("decoder", sorted(set(DECODERS) - {"linknet"}))
@pytest.mark.filterwarnings("default::FutureWarning", "default::DeprecationWarning")
def test_every_decoder_but_linknet_has_a_width(decoder):
    encoder = "tu-vit_tiny_patch16_224" if decoder == "dpt" else "resnet18"
    whole, light = (
        Smp(3, 4, SmpParams(decoder=decoder, encoder=encoder, decoder_width=width)).eval()
        for width in (1.0, 0.5)
    )
    sizes = [sum(w.numel() for w in model.network.decoder.parameters()) for model in (whole, light)]
    assert sizes[1] < 0.85 * sizes[0]
    assert light(torch.randn(1, 3, 128, 128)).shape == (1, 4, 128, 128)
