"""Depth-wise convolutions and group norms that are fast on CPUs, beside torch's own."""

import copy

import pytest
import segmentation_models_pytorch as library
import torch
from torch import Tensor, nn

from segpipe.models.parts.cpu_layers import DepthwiseConv2d, WideGroupNorm, quicken_on_cpus
from segpipe.models.smp import Smp
from segpipe.params.model import SmpParams


def gradients(layer: nn.Module, x: Tensor, autocast: bool = False) -> list[Tensor]:
    """Return what the layer gives, and the gradients of input and weights."""
    x = x.detach().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        found = layer(x)
    weights = [weight for weight in layer.parameters() if weight.requires_grad]
    torch.manual_seed(1)
    given = torch.randn_like(found)
    return [found.detach(), *torch.autograd.grad(found, [x, *weights], given)]


@pytest.mark.parametrize("kernel", [(1, 1), (3, 3), (5, 5), (7, 7), (3, 9), (5, 2), (2, 4)])
@pytest.mark.parametrize("stride", [1, 2, (1, 3), (2, 1)])
@pytest.mark.parametrize("padding", [0, 1, (0, 2)])
def test_gradients_of_a_depthwise_convolution_are_torchs(kernel, stride, padding) -> None:
    torch.manual_seed(0)
    given = nn.Conv2d(6, 6, kernel, stride, padding, groups=6, bias=False, dtype=torch.float64)
    x = torch.randn(2, 6, 13, 16, dtype=torch.float64)
    torch.testing.assert_close(gradients(DepthwiseConv2d(given), x), gradients(given, x))


@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (3, 2), (5, 1), (5, 2)])
def test_in_bf16_they_are_as_exact_as_torchs(kernel: int, stride: int) -> None:
    """Beside the gradients in float32 of the same rounded numbers."""
    torch.manual_seed(0)
    given = nn.Conv2d(8, 8, kernel, stride, kernel // 2, groups=8, bias=False)
    with torch.no_grad():
        given.weight.copy_(given.weight.bfloat16())
    x = torch.randn(4, 8, 24, 32).bfloat16().float()
    exact = gradients(given, x)
    for found, expected in zip(
        gradients(DepthwiseConv2d(given), x, autocast=True), exact, strict=True
    ):
        error = (found.float() - expected).norm() / expected.norm()
        assert error < 2**-7


def test_without_training_it_is_torchs_own_to_the_bit() -> None:
    given = nn.Conv2d(8, 8, 5, padding=2, groups=8, bias=False)
    x = torch.randn(2, 8, 12, 16)
    assert torch.equal(DepthwiseConv2d(given).eval()(x), given(x))


@pytest.mark.parametrize("autocast", [False, True])
def test_a_group_norm_is_torchs_in_float32(autocast: bool) -> None:
    torch.manual_seed(0)
    given = nn.GroupNorm(4, 16)
    nn.init.uniform_(given.weight)
    x = torch.randn(2, 16, 12, 10)
    x = x.bfloat16() if autocast else x
    expected = gradients(given, x.float())
    found = gradients(WideGroupNorm.of(given), x, autocast)
    assert found[0].dtype == x.dtype
    for one, other in zip(found[:2], expected[:2], strict=True):
        torch.testing.assert_close(
            one, other.to(x.dtype), atol=2e-2 if autocast else 1e-6, rtol=1e-2
        )


def test_only_what_is_known_is_replaced_and_names_stay() -> None:
    class Own(nn.Conv2d):
        pass

    network = nn.Sequential(
        nn.Conv2d(4, 4, 3, groups=4, bias=False),
        nn.Conv2d(4, 4, 3, groups=4),
        nn.Conv2d(4, 4, 3, groups=2, bias=False),
        nn.Conv2d(4, 8, 3, groups=4, bias=False),
        nn.Conv2d(4, 4, 3, groups=4, bias=False, dilation=2),
        nn.Conv2d(4, 4, 3, groups=4, bias=False, padding="same"),
        nn.Conv2d(4, 4, 3, groups=4, bias=False, padding=1, padding_mode="reflect"),
        Own(4, 4, 3, groups=4, bias=False),
        nn.Sequential(nn.GroupNorm(2, 4)),
    )
    before, state = copy.deepcopy(network), network.state_dict()
    quicken_on_cpus(network)
    replaced = [
        name
        for (name, layer), old in zip(network.named_modules(), before.modules(), strict=True)
        if type(layer) is not type(old)
    ]
    assert replaced == ["0", "8.0"]
    assert {k: v.data_ptr() for k, v in network.state_dict().items()} == {
        k: v.data_ptr() for k, v in state.items()
    }


def test_a_whole_network_has_the_librarys_gradients() -> None:
    """EfficientNet-Lite0 pads as TensorFlow does, unevenly where the stride is 2."""
    torch.manual_seed(0)
    encoder = "tu-tf_efficientnet_lite0"
    options = SmpParams(decoder="fpn", encoder=encoder, decoder_width=0.25)
    own = Smp(3, 5, options)
    assert sum(isinstance(layer, DepthwiseConv2d) for layer in own.modules()) == 16
    theirs = library.create_model(
        "fpn",
        encoder,
        None,
        3,
        5,
        decoder_pyramid_channels=64,
        decoder_segmentation_channels=32,
    )
    theirs.load_state_dict(own.network.state_dict())
    x = torch.randn(2, 3, 64, 96, dtype=torch.float64)
    results = []
    for network in (own.network, theirs):
        torch.manual_seed(2)  # for dropout
        found = network.double().train()(x)
        torch.manual_seed(3)
        found.backward(torch.randn_like(found))
        results.append(
            [found.detach(), *(w.grad for w in network.parameters() if w.grad is not None)]
        )
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other)
