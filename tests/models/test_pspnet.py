import pytest
import torch

from segpipe.models.parts.network import count_parameters
from segpipe.models.pspnet import PSPNet, Pyramid
from segpipe.models.resnet_lstm import LightPSP
from segpipe.params.model import PSPNetParams


def pspnet(**options: object) -> PSPNet:
    torch.manual_seed(0)
    return PSPNet(3, 5, PSPNetParams(**options))


def by_hand(image_HW: torch.Tensor, bins: int) -> torch.Tensor:
    """Averages over bins x bins parts of a map whose sides divide."""
    height, width = (side // bins for side in image_HW.shape)
    return torch.stack(
        [
            torch.stack(
                [
                    image_HW[i * height : i * height + height, j * width : j * width + width].mean()
                    for j in range(bins)
                ]
            )
            for i in range(bins)
        ]
    )


def test_pyramid_averages_the_parts_of_the_image():
    torch.manual_seed(0)
    x = torch.randn(1, 8, 12, 18)
    for bins, branch in zip((1, 2, 3, 6), Pyramid(8).branches, strict=True):
        expected = torch.stack([by_hand(channel, bins) for channel in x[0]])
        torch.testing.assert_close(branch[0](x)[0], expected)


def test_pyramid_keeps_the_map_first():
    x = torch.randn(2, 8, 7, 9)
    joined = Pyramid(8)(x)
    assert joined.shape == (2, 16, 7, 9)
    assert torch.equal(joined[:, :8], x)


def test_pyramid_sees_the_whole_image():
    torch.manual_seed(0)
    pyramid, x = Pyramid(8).eval(), torch.randn(1, 8, 6, 6, requires_grad=True)
    pyramid(x)[0, 8:10, 0, 0].sum().backward()  # the branch of the whole image
    assert (x.grad.abs().sum(1) > 0).all()


def test_light_head_averages_the_parts_too():
    torch.manual_seed(0)
    head, x = LightPSP(4, 3), torch.randn(1, 4, 6, 12)
    maps = [x]
    for bins, branch in zip((1, 2, 3, 6), head.branches, strict=True):
        average = torch.stack([by_hand(channel, bins) for channel in x[0]])[None]
        maps.append(torch.nn.functional.interpolate(branch(average), (6, 12), mode="bilinear"))
    torch.testing.assert_close(head(x), head.head(torch.cat(maps, 1)))
    assert head.head.in_channels == 4 + 4 * 16


@pytest.mark.parametrize(
    ("backbone", "auxiliary", "count"),
    [("resnet50", False, 46_591_059), ("resnet50", True, 48_955_750)],
)
def test_parameters(backbone, auxiliary, count):
    with torch.device("meta"):
        model = PSPNet(3, 19, PSPNetParams(backbone=backbone, auxiliary=auxiliary))
    assert count_parameters(model) == count


def test_auxiliary_head_speaks_in_training_only():
    model, image = pspnet(), torch.randn(2, 3, 40, 52)
    logits, auxiliary = model(image)
    assert logits.shape == auxiliary.shape == (2, 5, 40, 52)
    assert model.eval()(image).shape == (2, 5, 40, 52)
    plain = pspnet(auxiliary=False)
    assert plain.auxiliary_heads == 0 and plain(image).shape == (2, 5, 40, 52)


def test_a_batch_of_one_trains_unless_one_cell_is_left():
    model = pspnet(auxiliary=False)
    assert model(torch.randn(1, 3, 9, 8)).shape == (1, 5, 9, 8)
    with pytest.raises(ValueError, match="at stride 8; use larger images"):
        model(torch.randn(1, 3, 8, 8))


@pytest.mark.slow
@pytest.mark.parametrize("backbone", ["resnet34", "resnet50", "resnet101"])
def test_every_backbone_trains(backbone):
    model = pspnet(backbone=backbone)
    sum(logits.square().mean() for logits in model(torch.randn(2, 3, 67, 95))).backward()
    assert all(weight.grad is not None for weight in model.parameters())
