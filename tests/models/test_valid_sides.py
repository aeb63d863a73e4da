import pytest
import torch
from torch import nn

from segpipe.models.parts.cropping import centre_crop
from segpipe.models.parts.u_net import UNet, margin, valid_input, valid_output
from segpipe.params.model import UNetParams

LARGEST = 700


def layer_by_layer(length: int, depth: int) -> int | None:
    """The output side as the layers make it, one after the other; None where one has no input."""
    sides = []
    for level in range(depth + 1):
        length = length - 4 if level == 0 else length // 2 - 4
        sides.append(length)
    for _ in range(depth):
        length = 2 * length - 4
        sides.append(length)
    return length if min(sides) > 0 else None


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5, 6])
def test_output_is_that_of_the_layers(depth):
    for length in range(1, LARGEST):
        expected = layer_by_layer(length, depth)
        if expected is None:
            with pytest.raises(ValueError, match="too small for a U-Net"):
                valid_output(length, depth)
        else:
            assert valid_output(length, depth) == expected


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5])
def test_input_is_the_smallest_that_gives_enough(depth):
    outputs = {n: layer_by_layer(n, depth) for n in range(1, LARGEST)}
    for wanted in range(1, LARGEST - 2 * margin(depth) - 2**depth):
        smallest = next(n for n, given in outputs.items() if given is not None and given >= wanted)
        assert valid_input(wanted, depth) == smallest
        assert smallest - outputs[smallest] == 2 * margin(depth)


def test_sides_of_the_paper_and_of_the_recipe():
    assert valid_output(572, 4) == 388
    assert valid_input(388, 4) == 572
    assert (valid_output(512, 4), valid_output(1024, 4)) == (324, 836)


def test_the_error_names_a_side_that_works():
    with pytest.raises(ValueError, match=f"at least {valid_input(1, 4)}; .*padding to same"):
        valid_output(100, 4)


def valid_net(depth: int) -> UNet:
    torch.manual_seed(0)
    options = UNetParams(width=4, depth=depth, norm="none", padding="valid")
    return UNet(1, 1, options).eval()


@pytest.mark.parametrize("depth", [1, 2])
def test_a_real_network_gives_these_sides(depth):
    model = valid_net(depth)
    smallest = valid_input(1, depth)
    for height in range(smallest, smallest + 9):
        width = height + 3
        logits = model(torch.zeros(1, 1, height, width))
        assert logits.shape[-2:] == (valid_output(height, depth), valid_output(width, depth))
    with pytest.raises(ValueError, match="too small"):
        model(torch.zeros(1, 1, smallest - 1, smallest))


def test_valid_logits_are_those_of_same_padding_away_from_the_edges():
    model = valid_net(1)
    same = UNet(1, 1, UNetParams(width=4, depth=1, norm="none", padding="same")).eval()
    same.load_state_dict(model.state_dict())
    image = torch.randn(1, 1, 40, 44)
    logits = model(image)
    expected = centre_crop(same(image), *logits.shape[-2:])
    torch.testing.assert_close(logits, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("extra", [0, 1, 2, 3])
def test_the_logits_lie_in_the_centre_of_what_they_see(extra):
    """Also where a pool would have dropped a row."""
    model, side = valid_net(2), valid_input(8, 2)
    model.pool = nn.AvgPool2d(2)  # passes a gradient on to all four pixels
    with torch.no_grad():
        for weight in model.parameters():
            weight.abs_().add_(0.01)  # nothing cancels out, no ReLU is shut
    image = torch.ones(1, 1, side + extra, side + extra, requires_grad=True)
    model(image).sum().backward()
    seen = torch.zeros_like(image)
    centre_crop(seen, side, side).fill_(1)
    assert torch.equal((image.grad > 0).float(), seen)
