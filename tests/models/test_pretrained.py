"""Weights from a file of one's own: what fits is taken, the rest is named, nothing is guessed."""

import hashlib
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from segpipe.bundle import plain_weights, save_bundle
from segpipe.bundle_format import BEST
from segpipe.labels.scheme import LabelScheme, RawLabel
from segpipe.models.build import build_model
from segpipe.models.parts.network import Network
from segpipe.models.pretrained.load import load_pretrained
from segpipe.models.pretrained.matching import adapt_input
from segpipe.models.pretrained.weights import Loaded, Normalisation
from segpipe.models.pretrained.weights_file import IN_FOLDER, pretrained_identity
from segpipe.params.model import ModelParams, UNetParams
from segpipe.raw.input_spec import PICTURES, InputSpec
from segpipe.runtime.errors import BundleError, ParameterError

UNET = {"name": "unet", "unet": {"width": 4, "depth": 2}}
PSPNET = {"name": "pspnet", "pspnet": {"backbone": "resnet18", "auxiliary": False}}


def params(options: dict, pretrained: Path | str = "none") -> ModelParams:
    return ModelParams.model_validate({**options, "pretrained": str(pretrained)})


def network(options: dict, channels: int = 3, classes: int = 4, ratio: int = 1) -> Network:
    return build_model(params(options), channels, classes, ratio)


def trained(options: dict, channels: int = 3, classes: int = 4, ratio: int = 1) -> Network:
    """A network with statistics that are not the first ones."""
    torch.manual_seed(7)
    model = network(options, channels, classes, ratio)
    for tensor in model.state_dict().values():
        tensor.copy_(torch.rand(tensor.shape).mul(9).to(tensor.dtype))
    return model


def saved(model: nn.Module, path: Path) -> Path:
    save_file(plain_weights(model), path)
    return path


def loaded(model: Network, options: dict, path: Path) -> Loaded:
    found = load_pretrained(model, params(options, path))
    assert found is not None
    return found


def test_none_loads_nothing():
    model = network(UNET)
    before = plain_weights(model)
    assert load_pretrained(model, params(UNET)) is None
    assert all(torch.equal(before[name], now) for name, now in plain_weights(model).items())
    assert pretrained_identity(params(UNET)) is None
    assert pretrained_identity(params(PSPNET, "imagenet")) is None


def test_a_whole_file_becomes_the_whole_network(tmp_path):
    source, model = trained(UNET), network(UNET).to(memory_format=torch.channels_last)
    report = loaded(model, UNET, saved(source, tmp_path / "a.safetensors"))
    given, now = source.state_dict(), model.state_dict()
    assert all(torch.equal(given[name], now[name]) for name in now)
    assert report.taken == list(now) and report.left == [] and report.unused == []
    assert f"{len(now)} of {len(now)} tensors" in report.report()
    assert model.head.weight.is_contiguous(memory_format=torch.channels_last)


def test_heads_of_another_size_stay_as_drawn_and_are_named(tmp_path):
    source, model = trained(PSPNET, classes=19), network(PSPNET, classes=11)
    drawn = plain_weights(model)
    report = loaded(model, PSPNET, saved(source, tmp_path / "a.safetensors"))
    now, given = model.state_dict(), source.state_dict()
    assert report.left == ["head.4.weight", "head.4.bias"]
    assert all(torch.equal(now[name], drawn[name]) for name in report.left)
    assert all(torch.equal(now[name], given[name]) for name in report.taken)
    assert len(report.taken) == len(now) - 2
    text = report.report()
    assert "head.4.weight (19 x 128 x 1 x 1 there, 11 x 128 x 1 x 1 here)" in text
    assert "head.4.bias (19 there, 11 here)" in text


def test_a_bias_is_not_taken_without_its_weight(tmp_path):
    """Another width before the scores: their bias has the same shape, but other scores to shift."""
    model = network(UNET)
    tensors = plain_weights(trained(UNET))
    tensors["head.weight"] = torch.ones(4, 8, 1, 1)
    save_file(tensors, tmp_path / "a.safetensors")
    report = loaded(model, UNET, tmp_path / "a.safetensors")
    assert report.left == ["head.weight", "head.bias"]


def test_a_whole_network_without_its_description_says_nothing_of_normalisation(tmp_path):
    path = saved(trained(UNET), tmp_path / "a.safetensors")
    report = loaded(network(UNET), UNET, path)
    own = InputSpec(PICTURES, 64, 96, "stretch", 1, [0.5] * 3, [0.2] * 3)
    assert report.normalisation is None and report.normalised(own) is own


def test_a_bundle_of_other_classes_is_taken_up(tmp_path):
    assert IN_FOLDER == BEST
    source = trained(UNET, classes=5)
    raw = tuple(RawLabel(k, f"class {k}", (k, 0, 0), k) for k in range(5))
    spec = InputSpec(PICTURES, 64, 96, "stretch", 1, [0.5] * 3, [0.2] * 3)
    folder = tmp_path / "earlier"
    folder.mkdir()
    weights = plain_weights(source)
    scheme = LabelScheme("letters", tuple(label.name for label in raw), raw)
    save_bundle(folder, weights, weights, params(UNET), scheme, spec, "fp32", {})
    model = network(UNET, classes=2)
    for path in (folder / "last.safetensors", folder):
        report = loaded(model, UNET, path)
        assert report.normalisation == Normalisation(PICTURES, [0.5] * 3, [0.2] * 3)
    assert set(report.left) == {"head.weight", "head.bias"}
    assert torch.equal(model.state_dict()["up.0.0.weight"], weights["up.0.0.weight"])


@pytest.mark.parametrize("channels", [1, 2, 99])
def test_equal_inputs_give_an_adapted_convolution_the_same_response(channels):
    torch.manual_seed(0)
    usual = nn.Conv2d(3, 8, 7, stride=2, padding=3).double()
    made = nn.Conv2d(channels, 8, 7, stride=2, padding=3).double()
    grey = torch.randn(2, 1, 20, 30).double()
    with torch.no_grad():
        made.weight.copy_(adapt_input(usual.weight, channels))
        made.bias.copy_(usual.bias)
        torch.testing.assert_close(
            made(grey.expand(-1, channels, -1, -1)), usual(grey.expand(-1, 3, -1, -1))
        )
    for output in range(8):
        mean = sum(usual.weight[output, c] for c in range(3)) / 3
        for channel in range(channels):
            torch.testing.assert_close(made.weight[output, channel], mean * 3 / channels)


@pytest.mark.parametrize("channels", [1, 99])
@pytest.mark.parametrize("options", [UNET, PSPNET], ids=lambda options: options["name"])
def test_the_first_convolution_alone_is_adapted_to_the_channels(options, channels, tmp_path):
    source, model = trained(options), network(options, channels)
    report = loaded(model, options, saved(source, tmp_path / "a.safetensors"))
    (first,) = report.adapted
    assert first in ("down.0.0.weight", "backbone.conv1.weight") and not report.left
    assert first in report.report()
    now, given = model.state_dict(), source.state_dict()
    assert torch.equal(now[first], adapt_input(given[first], channels))
    assert all(torch.equal(now[name], given[name]) for name in now if name != first)


def test_every_branch_of_the_entrance_is_adapted(tmp_path):
    """MobileOne has several convolutions that see the image."""
    options = {"name": "smp", "smp": {"decoder": "unet", "encoder": "mobileone_s0"}}
    model = network(options, channels=5)
    report = loaded(model, options, saved(trained(options), tmp_path / "a.safetensors"))
    assert len(report.adapted) == 2 and not report.left


def test_a_backbone_fits_from_other_networks_and_from_files_of_its_own(tmp_path):
    """ResNet-LSTM, an encoder and a coarse PSPNet name the same layers in different places."""
    lstm = {"name": "resnet_lstm", "resnet_lstm": {"grid_height": 1, "grid_width": 1}}
    source = trained(lstm)
    whole = saved(source, tmp_path / "whole.safetensors")
    alone = saved(source.backbone, tmp_path / "alone.safetensors")
    coarse = saved(trained(PSPNET, ratio=2), tmp_path / "coarse.safetensors")
    given = source.backbone.state_dict()
    for model in (network(PSPNET), network(PSPNET, ratio=2)):
        first = plain_weights(model)
        for path in (whole, alone):
            model.load_state_dict(first)
            report = loaded(model, PSPNET, path)
            now = model.get_submodule(model.backbone_path).state_dict()
            assert all(torch.equal(now[name], given[name]) for name in now)
            assert len(report.taken) == len(given)
            assert "taken: backbone (" in report.report()
        assert not loaded(model, PSPNET, coarse).left
    smp = {"name": "smp", "smp": {"decoder": "linknet", "encoder": "resnet18"}}
    other = trained(smp)
    model = network(PSPNET)
    report = loaded(model, PSPNET, saved(other, tmp_path / "smp.safetensors"))
    assert set(report.taken) == {f"backbone.{name}" for name in given}
    assert torch.equal(model.backbone.conv1.weight, other.network.encoder.conv1.weight)


@pytest.mark.parametrize("kind", ["other names", "biases alone"])
def test_weights_of_another_kind_are_refused(kind, tmp_path):
    model = network(PSPNET)
    before = plain_weights(model)
    tensors = {"encoder.layer.0.weight": torch.ones(3, 3)}
    if kind == "biases alone":
        tensors = {name: t for name, t in plain_weights(trained(PSPNET)).items() if t.ndim < 2}
    save_file(tensors, tmp_path / "a.safetensors")
    with pytest.raises(
        ParameterError, match=r"no weight of .*a\.safetensors fits the network"
    ) as no:
        loaded(model, PSPNET, tmp_path / "a.safetensors")
    assert "backbone.conv1.weight (64 x 3 x 7 x 7)" in str(no.value)
    assert all(torch.equal(before[name], now) for name, now in plain_weights(model).items())


def test_numbers_that_are_not_finite_are_refused_before_anything_is_copied(tmp_path):
    model, tensors = network(UNET), plain_weights(trained(UNET))
    before = plain_weights(model)
    for name in ("up.1.0.weight", "head.bias"):
        tensors[name].view(-1)[-1] = float("nan")
    save_file(tensors, tmp_path / "a.safetensors")
    with pytest.raises(ParameterError, match=r"not finite[^$]*up\.1\.0\.weight\n.*head\.bias"):
        loaded(model, UNET, tmp_path / "a.safetensors")
    assert all(torch.equal(before[name], now) for name, now in plain_weights(model).items())


def test_half_precision_is_widened(tmp_path):
    tensors = {
        name: tensor.to(torch.bfloat16) for name, tensor in trained(UNET).state_dict().items()
    }
    save_file(tensors, tmp_path / "a.safetensors")
    model = network(UNET)
    report = loaded(model, UNET, tmp_path / "a.safetensors")
    assert torch.equal(model.head.weight, tensors["head.weight"].float())
    assert not report.left


@pytest.mark.parametrize("kind", [torch.int8, torch.uint8, torch.float8_e4m3fn])
def test_quantised_weights_are_refused(kind, tmp_path):
    model, tensors = network(UNET), plain_weights(trained(UNET))
    before = plain_weights(model)
    tensors["head.weight"] = torch.ones(4, 4, 1, 1).to(kind)
    save_file(tensors, tmp_path / "quantised.safetensors")
    name = str(kind).removeprefix("torch.")
    with pytest.raises(ParameterError, match=rf"quantised weights.*\n  head\.weight \({name}\)$"):
        loaded(model, UNET, tmp_path / "quantised.safetensors")
    assert all(torch.equal(before[name], now) for name, now in plain_weights(model).items())


def test_bad_files_are_refused_in_words(tmp_path):
    whole = saved(trained(UNET), tmp_path / "a.safetensors")
    (tmp_path / "cut.safetensors").write_bytes(whole.read_bytes()[:-100])
    (tmp_path / "empty.safetensors").write_bytes(b"")
    torch.save({"w": torch.ones(2)}, tmp_path / "hidden.safetensors")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe.safetensors")
    for name, message in {
        "pipe.safetensors": "a pipe or a device, not a file",
        "cut.safetensors": "cut.safetensors: incomplete or corrupt safetensors file",
        "empty.safetensors": "incomplete or corrupt safetensors file",
        "hidden.safetensors": r"is a pickle under the name of another.*suffix \.pth",
        "missing.safetensors": "no such file or folder; it can be none, imagenet, coco",
        "folder": "holds no model.safetensors",
    }.items():
        with pytest.raises(BundleError, match=message):
            loaded(network(UNET), UNET, tmp_path / name)


def test_identity_and_lineage_follow_the_content_not_the_path(tmp_path):
    path = saved(trained(UNET), tmp_path / "a.safetensors")
    first = pretrained_identity(params(UNET, path))
    assert first == hashlib.sha256(path.read_bytes()).hexdigest()
    lineage = loaded(network(UNET), UNET, path).lineage()
    assert lineage["sha256"] == first and lineage["source"] == str(path)
    (tmp_path / "folder").mkdir()
    path.rename(tmp_path / "folder" / IN_FOLDER)
    assert pretrained_identity(params(UNET, tmp_path / "folder")) == first
    saved(network(UNET), path)
    assert pretrained_identity(params(UNET, path)) != first
    with pytest.raises(BundleError, match="no such file"):
        pretrained_identity(params(UNET, tmp_path / "missing"))


def test_a_queued_experiment_finds_what_lies_in_the_repository(tmp_path, monkeypatch):
    repository, copy = tmp_path / "repository", tmp_path / "copy"
    repository.mkdir(), copy.mkdir()
    saved(trained(UNET), repository / "a.safetensors")
    monkeypatch.chdir(copy)
    monkeypatch.setenv("DVC_ROOT", str(repository))
    assert not loaded(network(UNET), UNET, Path("a.safetensors")).left


def test_what_can_be_refused_early_is(tmp_path):
    for pretrained, message in {
        "ImageNet": "did you mean imagenet",
        "cocoo": "did you mean coco",
        "weights/resnet.ckpt": "pickles",
        "models": "output of this training",
        "./models/model.safetensors": "output of this training",
    }.items():
        with pytest.raises(ValueError, match=message):
            params(UNET, pretrained)
    assert params(UNET, "./cocoo").names_a_file
    assert params(UNET, "coco.safetensors").names_a_file
    assert ModelParams(unet=UNetParams()).pretrained == "none"
