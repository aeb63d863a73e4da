"""Files of weights by path, as timm, torchvision, segmentation_models.pytorch and trainings write them.

`segpipe.models.pretrained.weights_file`, `matching` and `load` together.
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import segmentation_models_pytorch as library
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision.models import get_model

from segpipe.models.build import build_model
from segpipe.models.parts.network import Network
from segpipe.models.pretrained.load import load_pretrained
from segpipe.models.pretrained.weights import IMAGENET, Loaded, Normalisation
from segpipe.params.model import ModelParams
from segpipe.raw.input_spec import PICTURES, FileSpec, InputSpec, Scaling
from segpipe.runtime.errors import BundleError, ParameterError

# The layer that scores ImageNet's classes.
SCORES = [f"{n}.weight" for n in ("fc", "classifier", "head.fc", "classifier.3", "classifier.6")]
RESNET = {"name": "smp", "smp": {"decoder": "linknet", "encoder": "tu-resnet18"}}


def smp(encoder: str) -> dict[str, Any]:
    return {"name": "smp", "smp": {"decoder": "fpn", "encoder": encoder}}


def random_state(network: nn.Module) -> dict[str, Tensor]:
    torch.manual_seed(3)
    return {
        name: torch.rand(tensor.shape).mul(9).to(tensor.dtype)
        for name, tensor in network.state_dict().items()
    }


def start(options: dict[str, Any], path: Path) -> tuple[Network, Loaded]:
    params = ModelParams.model_validate({**options, "pretrained": str(path)})
    network = build_model(params, 3, 4)
    loaded = load_pretrained(network, params)
    assert loaded is not None
    return network, loaded


def encoder_of(network: Network) -> dict[str, Tensor]:
    assert network.backbone_path
    return network.get_submodule(network.backbone_path).state_dict()


@pytest.mark.parametrize(
    ("options", "publisher", "classifier"),
    [
        (smp("tu-tf_efficientnet_lite0"), timm.create_model, "tf_efficientnet_lite0"),
        (smp("tu-convnext_atto"), timm.create_model, "convnext_atto"),
        (smp("resnet18"), get_model, "resnet18"),
        pytest.param(smp("vgg11"), get_model, "vgg11", marks=pytest.mark.slow),
        ({"name": "pspnet"}, get_model, "resnet18"),
        ({"name": "resnet_lstm"}, timm.create_model, "resnet18"),
        ({"name": "fcn"}, get_model, "resnet50"),
        ({"name": "deeplabv3"}, get_model, "resnet50"),
        ({"name": "lraspp"}, get_model, "mobilenet_v3_large"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_classifier_s_file_fills_the_whole_backbone(options, publisher, classifier, tmp_path):
    """The order of the tensors is the same in both, whatever their names."""
    given = random_state(publisher(classifier))
    torch.save(given, tmp_path / "classifier.pth")
    network, loaded = start(options, tmp_path / "classifier.pth")
    own = encoder_of(network)
    assert len(loaded.taken) == len(own)
    values = [tensor for name, tensor in given.items() if name not in loaded.unused]
    assert len(values) == len(own)
    assert all(torch.equal(a, b) for a, b in zip(own.values(), values, strict=True))
    assert any(name in loaded.unused for name in SCORES)
    assert "in the file, without a place in this network: " in loaded.report()


@pytest.mark.parametrize(
    ("wrapper", "prefix"),
    [
        (None, ""),
        (None, "model."),
        (None, "module."),
        (None, "encoder."),
        (None, "backbone."),
        ("state_dict", ""),
        ("state_dict", "module.backbone."),
        ("model", "module."),
    ],
)
@pytest.mark.parametrize("options", [RESNET, {"name": "pspnet"}], ids=["smp", "pspnet"])
def test_what_wraps_the_names_or_the_whole_is_taken_off(wrapper, prefix, options, tmp_path):
    given = random_state(get_model("resnet18"))
    named = {prefix + name: tensor for name, tensor in given.items()}
    content = {wrapper: named, "epoch": 3, "optimizer": {"state": {}}} if wrapper else named
    torch.save(content, tmp_path / "a.pt")
    network, loaded = start(options, tmp_path / "a.pt")
    own = encoder_of(network)
    assert len(own) == len(loaded.taken) == 120
    assert all(torch.equal(own[name], given[name.removeprefix("model.")]) for name in own)
    assert loaded.unused == [f"{prefix}fc.weight", f"{prefix}fc.bias"]


def test_a_whole_network_of_smp_is_taken_but_its_scores(tmp_path):
    """As its save_pretrained writes it: `encoder...`, `decoder...`, `segmentation_head...`."""
    given = random_state(library.FPN("resnet18", encoder_weights=None, classes=7))
    save_file(given, tmp_path / "model.safetensors")
    network, loaded = start(smp("resnet18"), tmp_path / "model.safetensors")
    own = network.network.state_dict()
    assert loaded.left == [f"network.segmentation_head.0.{kind}" for kind in ("weight", "bias")]
    kept = [name for name in own if not name.startswith("segmentation_head")]
    assert all(torch.equal(own[name], given[name]) for name in kept)
    assert loaded.normalisation is None  # nobody knows by what that training normalised


def test_the_file_of_another_encoder_is_refused_with_the_first_mismatches(tmp_path):
    """Three quarters of a ResNet-18's tensors fit a ResNet-50's file, and are of no use."""
    torch.save(random_state(get_model("resnet50")), tmp_path / "resnet50.pth")
    with pytest.raises(ParameterError) as caught:
        start({"name": "pspnet"}, tmp_path / "resnet50.pth")
    for part in (
        "fits 77 of the 100 tensors of the network's backbone (backbone), less than 90%",
        "backbone.layer1.0.conv1.weight (64 x 64 x 1 x 1 there, 64 x 64 x 3 x 3 here)",
    ):
        assert part in str(caught.value)
    torch.save(random_state(get_model("resnet18")), tmp_path / "resnet18.pth")
    with pytest.raises(
        ParameterError, match=r"network\.encoder\.layer1\.2\.conv1\.weight \(absent"
    ):
        start(smp("resnet34"), tmp_path / "resnet18.pth")


def test_old_files_without_the_norms_counters_are_whole(tmp_path):
    given = random_state(get_model("resnet18"))
    old = {n: t for n, t in given.items() if not n.endswith("num_batches_tracked")}
    torch.save(old, tmp_path / "resnet18.pth", _use_new_zipfile_serialization=False)
    network, loaded = start({"name": "pspnet"}, tmp_path / "resnet18.pth")
    assert len(loaded.taken) == 100
    assert torch.equal(network.backbone.conv1.weight, given["conv1.weight"])


class Bomb:
    """Leaves a folder where a pickle that names it is opened by an unrestricted unpickler."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


def test_code_in_a_file_is_named_and_not_run(tmp_path):
    torch.save({"conv1.weight": torch.ones(2), "x": Bomb(tmp_path / "ran")}, tmp_path / "a.pth")
    with pytest.raises(
        BundleError, match=r"a\.pth: cannot be read as tensors alone.*it holds posix.mkdir"
    ):
        start(RESNET, tmp_path / "a.pth")
    assert not (tmp_path / "ran").exists()


def test_what_holds_no_tensors_by_name_is_refused(tmp_path):
    torch.save([torch.ones(2)], tmp_path / "list.pth")
    torch.save({"state_dict": {"epoch": 1}}, tmp_path / "none.pth")
    (tmp_path / "text.pth").write_text("no weights")
    for name, message in {
        "list.pth": "holds no tensors by name",
        "none.pth": "holds no tensors by name",
        "text.pth": "it is incomplete, corrupt or of another form",
    }.items():
        with pytest.raises(BundleError, match=message):
            start(RESNET, tmp_path / name)


def test_normalisation_is_what_stands_beside_the_weights(tmp_path):
    save_file(random_state(get_model("resnet18")), tmp_path / "model.safetensors")
    config = tmp_path / "config.json"
    stated = {"mean": [10, 20, 30], "std": [51, 51, 51], "input_range": [0, 255]}
    for content in (stated, {"architecture": "resnet18", "pretrained_cfg": stated}):
        config.write_text(json.dumps(content))
        _, loaded = start(RESNET, tmp_path)
        assert loaded.normalisation is not None
        assert loaded.normalisation.mean == [10 / 255, 20 / 255, 30 / 255]
        assert loaded.normalisation.std == [0.2] * 3
    for wrong in ({**stated, "input_space": "BGR"}, {**stated, "std": [1]}, {**stated, "std": 0.5}):
        config.write_text(json.dumps(wrong))
        with pytest.raises(BundleError, match=r"config\.json: does not say how images"):
            start(RESNET, tmp_path)


def test_a_file_alone_has_the_usual_normalisation_of_its_backbone(tmp_path):
    lite = timm.create_model("tf_efficientnet_lite0")
    torch.save(random_state(lite), tmp_path / "lite.pth")
    _, loaded = start(smp("tu-tf_efficientnet_lite0"), tmp_path / "lite.pth")
    assert loaded.normalisation == Normalisation(PICTURES, [0.5] * 3, [0.5] * 3)
    torch.save(random_state(get_model("resnet18")), tmp_path / "resnet.pth")
    assert start({"name": "pspnet"}, tmp_path / "resnet.pth")[1].normalisation == IMAGENET


def test_images_of_the_same_kind_alone_are_normalised_so(tmp_path):
    torch.save(random_state(get_model("resnet18")), tmp_path / "resnet.pth")
    _, loaded = start({"name": "pspnet"}, tmp_path / "resnet.pth")
    own = InputSpec(PICTURES, 64, 96, "stretch", 1, [0.1] * 3, [0.2] * 3)
    assert loaded.normalised(own).mean == [0.485, 0.456, 0.406]
    assert loaded.normalised(own).std == [0.229, 0.224, 0.225]
    scaling = Scaling((1, 2, 3), (0.0,) * 3, (1.0,) * 3)
    bands = FileSpec("raster", ("a", "b", "c"), (0, 1, 2), scaling=scaling)
    other = InputSpec(bands, 64, 96, "stretch", 1, [0.1] * 3, [0.2] * 3)
    assert loaded.normalised(other) == other
