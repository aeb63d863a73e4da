import pytest
import torch
from torch import Tensor, nn

from segpipe.models.build import build_model
from segpipe.models.parts.network import count_parameters
from segpipe.models.parts.u_net import UNet
from segpipe.params.model import MiniUNetParams, ModelParams, UNetParams

NORMS = ["batch", "group", "none"]


def unet(in_channels: int = 3, num_classes: int = 5, **options: object) -> UNet:
    torch.manual_seed(0)
    return UNet(in_channels, num_classes, UNetParams(**{"width": 8, "depth": 2, **options}))


def images(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def test_parameters_of_the_eight_gpu_recipe():
    params = ModelParams(name="unet", unet=UNetParams(width=64, depth=4, norm="batch"))
    with torch.device("meta"):
        assert count_parameters(build_model(params, 3, 34)) == 31_047_586


def test_parameters_of_the_sky_recipe():
    params = ModelParams(name="mini_unet", mini_unet=MiniUNetParams(width=64))
    with torch.device("meta"):
        assert count_parameters(build_model(params, 3, 1)) == 1_862_849


def test_valid_padding_makes_324x836_of_512x1024():
    with torch.device("meta"):
        model = unet(num_classes=34, width=64, depth=4, padding="valid")
        assert model(torch.empty(1, 3, 512, 1024)).shape == (1, 34, 324, 836)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("sides", [(16, 16), (17, 23), (3, 50), (1, 1), (30, 31)])
def test_same_padding_takes_any_size(norm, sides):
    model = unet(norm=norm).eval()
    assert model(images(2, 3, *sides)).shape == (2, 5, *sides)
    assert (model.input_side(sides[0]), model.output_side(sides[1])) == sides


def test_padding_repeats_the_last_pixels_at_bottom_and_right():
    model, image = unet().eval(), images(1, 3, 10, 13)
    rows = torch.tensor([*range(10), 9, 9])
    columns = torch.tensor([*range(13), 12, 12, 12])
    by_hand = model(image[:, :, rows][:, :, :, columns])[:, :, :10, :13]
    torch.testing.assert_close(model(image), by_hand, rtol=0, atol=0)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_gradient_reaches_every_parameter(norm, padding):
    model = unet(norm=norm, padding=padding)
    model(images(2, 3, 48, 52)).square().mean().backward()
    resting = [name for name, weight in model.named_parameters() if not weight.requires_grad]
    assert all(name.endswith("bias") for name in resting)
    assert bool(resting) == (norm == "batch")
    for name, weight in model.named_parameters():
        if name in resting:
            continue
        assert weight.grad is not None and weight.grad.isfinite().all(), name
        # The bias in front of a norm is idle, or nearly; everything else must move.
        if norm == "none" or weight.ndim > 1:
            assert weight.grad.abs().sum() > 0, name


@pytest.mark.parametrize("norm", NORMS)
def test_a_sample_does_not_see_the_others_in_evaluation(norm):
    model, batch = unet(norm=norm, dropout=0.5).eval(), images(3, 3, 20, 24)
    alone = torch.cat([model(image[None]) for image in batch])
    torch.testing.assert_close(model(batch), alone, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("norm", NORMS)
def test_channels_last_changes_nothing_but_rounding(norm):
    model, batch = unet(norm=norm), images(2, 3, 22, 30)
    expected = model(batch)
    model = model.to(memory_format=torch.channels_last)
    found = model(batch.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("norm", NORMS)
def test_bf16_autocast_trains(norm):
    model, batch = unet(norm=norm), images(2, 3, 32, 32)
    expected = model(batch)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = model(batch)
    assert found.dtype == torch.bfloat16
    found.float().square().mean().backward()
    assert all(
        weight.grad.isfinite().all() for weight in model.parameters() if weight.requires_grad
    )
    assert (found.float() - expected).abs().mean() < 0.05 * expected.abs().mean()


def test_dropout_follows_each_pool_and_each_upsampling():
    model, batch = unet(dropout=0.5), images(1, 3, 16, 16)
    seen: list[tuple[int, int]] = []
    model.dropout.register_forward_hook(lambda _m, _i, x: seen.append((x.shape[1], x.shape[2])))
    model(batch)
    assert seen == [(8, 8), (16, 4), (16, 8), (8, 16)]


def test_dropout_works_in_training_only():
    model, batch = unet(dropout=0.5, norm="none"), images(1, 3, 16, 16)
    assert not torch.equal(model(batch), model(batch))
    model.eval()
    assert torch.equal(model(batch), model(batch))
    plain = unet(dropout=0.0, norm="none").train()
    plain.load_state_dict(model.state_dict())
    assert torch.equal(model(batch), plain(batch))


def test_dropout_drops_whole_channels():
    model = unet(dropout=0.5)
    dropped = model.dropout(torch.ones(4, 16, 3, 3)).flatten(2)
    assert set(dropped.unique().tolist()) == {0.0, 2.0}
    assert (dropped == dropped[:, :, :1]).all()


def test_batch_norm_trains_on_a_batch_of_one_unless_one_pixel_is_left():
    model = unet()
    assert model(images(1, 3, 8, 5)).shape == (1, 5, 8, 5)
    with pytest.raises(ValueError, match=r"set model\.unet\.norm to group"):
        model(images(1, 3, 4, 4))
    assert model.eval()(images(1, 3, 4, 4)).shape == (1, 5, 4, 4)
    for norm in ("group", "none"):
        assert unet(norm=norm)(images(1, 3, 4, 4)).shape == (1, 5, 4, 4)


@pytest.mark.parametrize("norm", NORMS)
def test_first_weights_keep_the_signal_at_its_strength(norm):
    model = unet(width=16, depth=4, norm=norm)
    logits = model(images(2, 3, 64, 64))
    assert 0.3 < logits.std() < 3


def test_first_weights_follow_the_seed():
    first, second = unet().state_dict(), unet().state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize(
    ("width", "groups"), [(4, 2), (5, 1), (6, 3), (8, 4), (16, 8), (18, 6), (64, 8)]
)
def test_group_norm_has_up_to_eight_groups_of_two_channels_or_more(width, groups):
    norms = [layer for layer in unet(width=width, norm="group").down[0] if _is_norm(layer)]
    assert [layer.num_groups for layer in norms] == [groups, groups]


def _is_norm(layer: nn.Module) -> bool:
    return isinstance(layer, nn.GroupNorm)


def test_mini_unet_is_a_plain_net_of_given_width():
    model = build_model(
        ModelParams(name="mini_unet", mini_unet=MiniUNetParams(width=4)),
        in_channels=6,
        num_classes=3,
    )
    assert not any(isinstance(layer, nn.BatchNorm2d | nn.GroupNorm) for layer in model.modules())
    assert model(images(1, 6, 9, 14)).shape == (1, 3, 9, 14)
