import pytest
import torch
from torch import nn

from segpipe.models.build import build_model
from segpipe.models.parts.network import count_parameters
from segpipe.params.model import DeepLabV3Params, FCNParams, ModelParams
from tests.forge import ROOT, run_python

# As torchvision publishes them with its weights for 21 classes.
PUBLISHED = [
    ("fcn", "resnet50", 35_322_218),
    ("fcn", "resnet101", 54_314_346),
    ("deeplabv3", "resnet50", 42_004_074),
    ("deeplabv3", "resnet101", 60_996_202),
    ("deeplabv3", "mobilenet_v3_large", 11_029_328),
    ("lraspp", None, 3_221_538),
]
SECTIONS = {"fcn": FCNParams, "deeplabv3": DeepLabV3Params}


def params(name: str, backbone: str | None, auxiliary: bool = True) -> ModelParams:
    if backbone is None:
        return ModelParams(name=name)
    return ModelParams(name=name, **{name: SECTIONS[name](backbone=backbone, auxiliary=auxiliary)})


@pytest.mark.parametrize(("name", "backbone", "count"), PUBLISHED)
def test_parameters_are_those_that_torchvision_publishes(name, backbone, count):
    with torch.device("meta"):
        assert count_parameters(build_model(params(name, backbone), 3, 21)) == count


@pytest.mark.parametrize(("name", "backbone", "_count"), PUBLISHED)
def test_any_number_of_channels_goes_in(name, backbone, _count):
    with torch.device("meta"):
        model = build_model(params(name, backbone), 99, 4).eval()
        assert model(torch.empty(1, 99, 70, 90)).shape == (1, 4, 70, 90)


@pytest.mark.parametrize("name", ["fcn", "deeplabv3"])
def test_the_auxiliary_head_is_left_out_where_it_is_not_wanted(name):
    with torch.device("meta"):
        model = build_model(params(name, "resnet50", auxiliary=False), 3, 4)
        assert model.auxiliary_heads == 0
        assert isinstance(model(torch.empty(2, 3, 32, 32)), torch.Tensor)


def test_a_batch_of_one_cannot_train_deeplab():
    model = build_model(params("deeplabv3", "mobilenet_v3_large"), 3, 4)
    with pytest.raises(ValueError, match="a batch of one cannot train this model"):
        model(torch.zeros(1, 3, 64, 64))
    assert model.eval()(torch.zeros(1, 3, 64, 64)).shape == (1, 4, 64, 64)


def test_norms_over_several_processes_take_a_batch_of_one():
    """A synchronised norm sees the images of all processes; it is not asked to refuse."""

    class Elsewhere(nn.BatchNorm2d):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * self.weight[:, None, None] + self.bias[:, None, None]

    model = build_model(params("deeplabv3", "mobilenet_v3_large"), 3, 4)
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.BatchNorm2d):
                setattr(module, name, Elsewhere(child.num_features))
    logits, auxiliary = model(torch.randn(1, 3, 64, 64))
    assert logits.shape == auxiliary.shape == (1, 4, 64, 64)


def test_one_cell_is_refused_as_well():
    model = build_model(params("lraspp", None), 3, 4)
    with pytest.raises(ValueError, match="at stride 16; use larger images"):
        model(torch.zeros(1, 3, 16, 16))


@torch.no_grad()
def test_evaluation_scores_as_training_does_after_a_hundred_steps():
    """With the library's momentum of 0.01 it scores next to nothing then: 0.74 in place of 0.15."""
    torch.manual_seed(0)
    model, image = build_model(params("lraspp", None), 3, 4), torch.randn(2, 3, 64, 64)
    for _ in range(120):
        expected = model(image)
    assert (model.eval()(image) - expected).abs().mean() < 0.3 * expected.std()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["fcn", "deeplabv3"])
@pytest.mark.parametrize("backbone", ["resnet50", "resnet101"])
def test_every_resnet_trains(name, backbone):
    model = build_model(params(name, backbone), 3, 4)
    sum(logits.square().mean() for logits in model(torch.randn(2, 3, 40, 56))).backward()
    assert all(weight.grad is not None for weight in model.parameters())


def test_the_list_of_models_does_not_import_the_libraries():
    """torchvision and smp take seconds; who trains a U-Net does not wait for them."""
    code = "import sys, segpipe.models.build; print([m for m in sys.modules if m.count('.') == 0])"
    done = run_python(["-c", code], ROOT)
    assert done.returncode == 0, done.stderr
    assert "'torch'" in done.stdout
    for library in ("torchvision", "timm", "segmentation_models_pytorch"):
        assert f"'{library}'" not in done.stdout
