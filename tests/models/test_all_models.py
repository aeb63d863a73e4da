"""What holds for every model in the list of the build file."""

import copy
import shutil
from functools import cache
from typing import get_args

import pytest
import torch
from torch import Tensor

from segpipe.bundle import load_bundle, plain_weights, save_bundle
from segpipe.labels.scheme import LabelScheme, RawLabel
from segpipe.models.build import build_model
from segpipe.models.parts.network import Network
from segpipe.params.model import ModelParams
from segpipe.raw.input_spec import FileSpec, InputSpec, Scaling

CHANNELS, CLASSES, FRAMES = 4, 5, 3
NAMES = get_args(ModelParams.model_fields["name"].annotation)
# Small, where a model has an option for it; else the smallest backbone.
TINY = {
    "unet": {"width": 4, "depth": 2},
    "mini_unet": {"width": 4},
    "regseg": {"width": 8, "dilation": 3},
    "compact_fpn": {"width": 8, "blocks": [1, 1, 2]},
    "pspnet": {"backbone": "resnet18"},
    "resnet_lstm": {"grid_height": 2, "grid_width": 3, "psp": True},
    "truth_cnn": {"width": 4},
    "fcn": {"backbone": "resnet50"},
    "deeplabv3": {"backbone": "mobilenet_v3_large"},
    "lraspp": None,
    "smp": {"decoder": "unet", "encoder": "resnet18"},
}
RATIO = {"truth_cnn": 50}
SIDES = {"truth_cnn": (107, 155)}
every_model = pytest.mark.parametrize("name", NAMES)


def options(name: str) -> ModelParams:
    given = TINY[name]
    return ModelParams.model_validate({"name": name} | ({name: given} if given else {}))


@cache
def _built(name: str) -> Network:
    torch.manual_seed(0)
    return build_model(options(name), CHANNELS, CLASSES, RATIO.get(name, 1))


def network(name: str) -> Network:
    return copy.deepcopy(_built(name))


def given(name: str, batch: int = 2, sides: tuple[int, int] | None = None) -> Tensor:
    height, width = sides or SIDES.get(name, (67, 95))
    frames = (FRAMES,) if _built(name).takes_clips else ()
    random = torch.Generator().manual_seed(1)
    return torch.randn(batch, *frames, CHANNELS, height, width, generator=random)


def channels_last(images: Tensor) -> Tensor:
    if images.ndim == 4:
        return images.contiguous(memory_format=torch.channels_last)
    flat = images.flatten(0, 1).contiguous(memory_format=torch.channels_last)
    return flat.unflatten(0, images.shape[:2])


def test_every_model_of_the_list_is_tested():
    assert set(TINY) == set(NAMES) and len(NAMES) >= 10


@every_model
@pytest.mark.parametrize("longer", [(0, 0), (1, 0), (14, 33)])
def test_logits_are_as_large_as_promised_whatever_the_size(name, longer):
    model, (height, width) = network(name).eval(), SIDES.get(name, (67, 95))
    sides = height + longer[0], width + longer[1]
    with torch.no_grad():
        logits = model(given(name, batch=1, sides=sides))
    assert logits.shape == (1, CLASSES, *(model.output_side(side) for side in sides))
    assert logits.isfinite().all()
    assert model.input_side(logits.shape[-1]) <= sides[1]
    assert model.reduction == RATIO.get(name, 1)


@every_model
def test_training_returns_the_auxiliary_logits_too(name):
    model = network(name)
    found = model(given(name))
    every = found if isinstance(found, tuple) else (found,)
    assert len(every) == 1 + model.auxiliary_heads
    assert len({logits.shape for logits in every}) == 1
    assert isinstance(found, tuple) == (model.auxiliary_heads > 0)


@every_model
def test_a_batch_of_one_trains_or_is_refused_in_words(name):
    model = network(name)
    if name == "deeplabv3":
        with pytest.raises(ValueError, match="a batch of one cannot train this model"):
            model(given(name, batch=1))
    else:
        model(given(name, batch=1))


@every_model
def test_gradient_reaches_every_parameter_that_learns(name):
    """In float64, where the gradient of a bias before a batch norm is nothing but rounding."""
    model = network(name).double()
    found = model(given(name).double())
    every = found if isinstance(found, tuple) else (found,)
    torch.stack([logits.square().mean() for logits in every]).sum().backward()
    learning = {key: weight for key, weight in model.named_parameters() if weight.requires_grad}
    assert learning
    idle = [key for key, weight in learning.items() if weight.grad is None]
    faint = [key for key, weight in learning.items() if key not in idle and not _moves(weight.grad)]
    assert not idle and not faint


def _moves(gradient: Tensor) -> bool:
    return bool(gradient.isfinite().all() and gradient.abs().max() > 1e-11)


@every_model
def test_evaluation_does_not_see_the_rest_of_the_batch(name):
    model, batch = network(name).eval(), given(name, batch=3)
    with torch.no_grad():
        alone = torch.cat([model(one[None]) for one in batch])
        torch.testing.assert_close(model(batch), alone, rtol=1e-4, atol=1e-4)


@every_model
def test_channels_last_changes_nothing_but_rounding(name):
    model, batch = network(name).eval(), given(name)
    with torch.no_grad():
        expected = model(batch)
        found = model.to(memory_format=torch.channels_last)(channels_last(batch))
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3 * expected.abs().max())


@every_model
def test_bf16_autocast_trains(name):
    model = network(name).to(memory_format=torch.channels_last)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = model(channels_last(given(name)))
    every = found if isinstance(found, tuple) else (found,)
    torch.stack([logits.float().square().mean() for logits in every]).sum().backward()
    gradients = [weight.grad for weight in model.parameters() if weight.grad is not None]
    assert gradients and all(gradient.isfinite().all() for gradient in gradients)


@every_model
def test_bf16_autocast_scores_nearly_as_fp32(name):
    model, batch = network(name), given(name)
    for _ in range(2):  # running statistics that belong to the images
        model(batch)
    model.eval()
    with torch.no_grad():
        expected = model(batch)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = model(batch).float()
    assert (found - expected).abs().mean() < 0.1 * expected.abs().mean()


@every_model
def test_first_weights_follow_the_seed(name):
    first = _built(name).state_dict()
    torch.manual_seed(0)
    again = build_model(options(name), CHANNELS, CLASSES, RATIO.get(name, 1)).state_dict()
    assert first.keys() == again.keys()
    assert all(torch.equal(first[key], again[key]) for key in first)
    other = build_model(options(name), CHANNELS, CLASSES, RATIO.get(name, 1)).state_dict()
    assert any(not torch.equal(first[key], other[key]) for key in first)


@every_model
def test_a_bundle_brings_the_same_network_back(name, tmp_path):
    model, ratio = network(name), RATIO.get(name, 1)
    model(given(name))  # running statistics of their own
    weights = plain_weights(model)
    raw = tuple(RawLabel(k, f"class {k}", (k, 0, 0), k) for k in range(CLASSES))
    scheme = LabelScheme("letters", tuple(label.name for label in raw), raw)
    scaling = Scaling((1, 2, 3, 4), (0,) * CHANNELS, (1,) * CHANNELS)
    spec = InputSpec(
        height=64,
        width=96,
        fit="stretch",
        mean=[0.5] * CHANNELS,
        std=[0.2] * CHANNELS,
        frames=FRAMES if model.takes_clips else 1,
        files=FileSpec("raster", tuple("abcd"), (0, 1, 2), ratio, scaling),
    )
    save_bundle(tmp_path, weights, weights, options(name), scheme, spec, "fp32", {})
    loaded = load_bundle(tmp_path).model
    with torch.no_grad():
        expected, found = model.eval()(given(name)), loaded(given(name))
    assert torch.equal(found, expected)


@every_model
def test_any_number_of_frames_is_a_clip(name):
    model, clips = network(name).eval(), given(name)
    if not model.takes_clips:
        assert clips.ndim == 4
        return
    with torch.no_grad():
        scored = {frames: model(clips[:, -frames:]) for frames in (1, 2, 3)}
    assert len({logits.shape for logits in scored.values()}) == 1


@every_model
def test_logits_come_on_the_grid_of_a_coarser_truth(name):
    ratio = 3 * RATIO.get(name, 1)
    torch.manual_seed(0)
    model = build_model(options(name), CHANNELS, CLASSES, ratio)
    assert model.reduction == ratio
    sides = (301, 450) if name == "truth_cnn" else (64, 96)
    found = model(given(name, sides=sides))
    every = found if isinstance(found, tuple) else (found,)
    assert len(every) == 1 + model.auxiliary_heads
    expected = (2, CLASSES, sides[0] // ratio, sides[1] // ratio)
    assert {tuple(logits.shape) for logits in every} == {expected}


@pytest.mark.slow
@every_model
@pytest.mark.filterwarnings("ignore")  # of the compiler, about itself
def test_a_compiled_network_scores_the_same(name):
    """What a network decides is its graph; machine code from it, minutes of work, is made of two."""
    generates = name in ("unet", "regseg")
    if generates and shutil.which("g++") is None:
        pytest.skip("torch.compile needs a C++ compiler")
    model, batch = network(name).eval(), given(name)
    torch.compiler.reset()
    with torch.no_grad():
        expected = model(batch)
        compiled = torch.compile(model, backend="inductor" if generates else "aot_eager")
        found = compiled(batch)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3 * expected.abs().max())
