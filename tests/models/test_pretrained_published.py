"""Published weights: from files of the same form as torchvision's and the library's own."""

import hashlib
import json
import threading
import time
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import segmentation_models_pytorch as library
import timm
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision.models import get_model

from segpipe.models.build import build_model
from segpipe.models.parts.network import Network
from segpipe.models.pretrained import published
from segpipe.models.pretrained.load import load_pretrained
from segpipe.models.pretrained.matching import adapt_input
from segpipe.models.pretrained.weights import Loaded
from segpipe.params import pretrained
from segpipe.params.model import ModelParams
from segpipe.runtime.errors import ParameterError

CONFIG = {"mean": [0.4, 0.5, 0.6], "std": [0.1, 0.2, 0.3], "input_range": [0, 1]}
PSPNET = {"name": "pspnet", "pretrained": "imagenet"}
BACKBONES = {
    "pspnet": ["resnet18", "resnet34", "resnet50", "resnet101"],
    "fcn": ["resnet50", "resnet101"],
    "deeplabv3": ["resnet50", "resnet101", "mobilenet_v3_large"],
}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder where torch keeps what it downloads; nothing can be downloaded."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))

    def offline(*_: Any, **__: Any) -> None:
        raise URLError("Name or service not known")

    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


def publish(
    tensors: dict[str, Any], name: str, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Write a file as torchvision publishes it, and let `published_url` name it."""
    draft = cache / "draft"
    torch.save(tensors, draft)
    digest = hashlib.sha256(draft.read_bytes()).hexdigest()
    path = draft.rename(cache / f"{name}-{digest[:8]}.pth")
    url = f"https://weights.example/models/{path.name}"
    monkeypatch.setattr(published, "published_url", lambda *_: url)
    return path


def random_network(name: str, **options: Any) -> nn.Module:
    torch.manual_seed(3)
    made = get_model(name, weights=None, **options)
    for tensor in made.state_dict().values():
        tensor.copy_(torch.rand(tensor.shape).mul(9).to(tensor.dtype))
    return made


def start(options: dict, channels: int = 3, classes: int = 4) -> tuple[Network, Loaded]:
    params = ModelParams.model_validate(options)
    network = build_model(params, channels, classes)
    report = load_pretrained(network, params)
    assert report is not None
    return network, report


def test_the_files_are_those_that_torchvision_publishes():
    assert published.published_url("imagenet", "resnet18").endswith("/resnet18-f37072fd.pth")
    assert published.published_url("imagenet", "resnet50").endswith("/resnet50-0676ba61.pth")
    assert published.published_url("coco", "lraspp_mobilenet_v3_large").endswith("-d234d4ea.pth")


def test_parameters_and_networks_agree_on_what_is_published():
    """Each pair that the schema lets through has a file; what it refuses has none."""
    for name in ModelParams.model_fields["name"].annotation.__args__:
        for backbone in BACKBONES.get(name, [None]):
            chosen = {name: {"backbone": backbone}} if backbone else {}
            with torch.device("meta"):
                network = build_model(ModelParams.model_validate({"name": name} | chosen), 3, 4, 50)
            assert (network.backbone_path is not None) == (name in pretrained.WITH_BACKBONE)
            for kind, names in pretrained.PUBLISHED.items():
                there = kind in network.published or (kind == "imagenet" and name == "smp")
                assert there == (name in names)
            for kind, model in network.published.items():
                assert published._HASH.search(published.published_url(kind, model))


def test_a_resnet_becomes_the_backbone_with_its_statistics(cache, monkeypatch):
    given = random_network("resnet18")
    path = publish(given.state_dict(), "resnet18", cache, monkeypatch)
    network, report = start(PSPNET)
    own = network.backbone.state_dict()
    assert len(own) == 120 and all(torch.equal(own[n], given.state_dict()[n]) for n in own)
    assert report.source == path.name and report.unused == ["fc.weight", "fc.bias"]
    assert "without a place in this network: fc.weight, fc.bias" in report.report()
    assert set(report.taken) == {f"backbone.{name}" for name in own}
    assert "left as first drawn: pyramid (" in report.report()
    features = network.eval().backbone(torch.zeros(1, 3, 32, 32))
    assert features[2].shape == (1, 512, 4, 4)


def test_the_clip_network_takes_the_same_file_for_satellite_bands(cache, monkeypatch):
    given = random_network("resnet18").state_dict()
    publish(given, "resnet18", cache, monkeypatch)
    options = {"resnet_lstm": {"grid_height": 1, "grid_width": 1}}
    network, report = start({"name": "resnet_lstm", "pretrained": "imagenet"} | options, 99)
    assert report.adapted == ["backbone.conv1.weight"]
    assert torch.equal(network.backbone.conv1.weight, adapt_input(given["conv1.weight"], 99))


def test_a_mobilenet_becomes_the_backbone(cache, monkeypatch):
    """Its layers are `features.0...` in the classifier's file and `backbone.0...` here."""
    given = random_network("mobilenet_v3_large").state_dict()
    publish(given, "mobilenet_v3_large", cache, monkeypatch)
    network, report = start({"name": "lraspp", "pretrained": "imagenet"})
    own = network.network.backbone.state_dict()
    assert own and all(torch.equal(own[name], given[f"features.{name}"]) for name in own)
    assert len(report.taken) == len(own)


def test_a_whole_segmentation_network_is_taken_but_its_scores(cache, monkeypatch):
    given = random_network("lraspp_mobilenet_v3_large", weights_backbone=None).state_dict()
    publish(given, "lraspp_mobilenet_v3_large", cache, monkeypatch)
    network, report = start({"name": "lraspp", "pretrained": "coco"}, classes=4)
    own = network.network.state_dict()
    scores = ("classifier.low_classifier", "classifier.high_classifier")
    heads = [f"{layer}.{kind}" for layer in scores for kind in ("weight", "bias")]
    assert sorted(report.left) == sorted(f"network.{name}" for name in heads)
    assert all(torch.equal(own[name], given[name]) for name in own if name not in heads)
    assert (
        "network.classifier.high_classifier.weight (21 x 128 x 1 x 1 there, 4 x 128"
        in report.report()
    )


@pytest.mark.parametrize("harm", ["cut off", "another file", "a letter changed"])
def test_a_file_that_is_not_what_its_name_says_is_refused(harm, cache, monkeypatch):
    path = publish({"conv1.weight": torch.ones(64, 3, 7, 7)}, "resnet18", cache, monkeypatch)
    content = bytearray(path.read_bytes())
    match harm:
        case "cut off":
            content = content[:-1]
        case "another file":
            content = bytearray(b"<html>not found</html>")
        case _:
            content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(
        ParameterError, match=r"resnet18.*is damaged or another file.*fetch it again"
    ):
        start(PSPNET)


def test_code_in_a_file_is_not_run_even_where_the_hash_is_right(cache, monkeypatch):
    publish({"conv1.weight": Path("anything but a tensor")}, "resnet18", cache, monkeypatch)
    with pytest.raises(ParameterError, match="is no file of weights as torchvision publishes"):
        start(PSPNET)


def test_without_a_connection_the_words_say_which_file_goes_where(cache, monkeypatch):
    path = publish({}, "resnet18", cache, monkeypatch)
    path.unlink()
    with pytest.raises(ParameterError) as caught:
        start(PSPNET)
    for part in (path.name, str(cache), "Name or service not known", "model.pretrained"):
        assert part in str(caught.value)
    assert [file.suffix for file in cache.iterdir()] == [".lock"]


def test_a_download_is_kept_whole_or_not_at_all(cache, monkeypatch):
    path = publish(random_network("resnet18").state_dict(), "resnet18", cache, monkeypatch)
    content = path.read_bytes()
    path.unlink()
    sent = [content[:-1], content]

    def download(url: str, dst: str, *_: Any, **__: Any) -> None:
        Path(dst).write_bytes(sent.pop(0))

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    with pytest.raises(ParameterError, match="is damaged"):
        start(PSPNET)
    assert not path.exists()
    start(PSPNET)
    assert path.read_bytes() == content and sent == []
    assert [file.name for file in cache.glob(".*")] == [f".{path.name}.lock"]


def test_one_downloads_and_the_others_wait(cache, monkeypatch):
    path = publish({"a.weight": torch.ones(2, 2)}, "resnet18", cache, monkeypatch)
    content, calls, found = path.read_bytes(), [], []
    path.unlink()

    def download(url: str, dst: str, *_: Any, **__: Any) -> None:
        calls.append(url)
        time.sleep(0.3)
        Path(dst).write_bytes(content)

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    asking = [
        threading.Thread(
            target=lambda: found.append(published.published_weights("imagenet", "resnet18"))
        )
        for _ in range(4)
    ]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    assert len(calls) == 1 and len(found) == 4
    assert all(torch.equal(weights.tensors["a.weight"], torch.ones(2, 2)) for weights in found)


def smp(encoder: str, decoder: str = "linknet") -> dict:
    chosen = {"decoder": decoder, "encoder": encoder}
    return {"name": "smp", "pretrained": "imagenet", "smp": chosen}


def test_an_encoder_of_the_library_takes_its_published_weights(tmp_path, monkeypatch):
    given = random_network("resnet18").state_dict()
    save_file(given, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    asked = []

    def from_hub(repository: str, filename: str, revision: str) -> str:
        asked.append((repository, revision))
        return str(tmp_path / filename)

    monkeypatch.setattr(library.encoders, "hf_hub_download", from_hub)
    network, report = start(smp("resnet18"))
    own = network.network.encoder.state_dict()
    assert own and all(torch.equal(own[name], given[name]) for name in own)
    assert report.source == " at ".join(asked[0]) and "smp-hub/resnet18.imagenet" in report.source
    params = ModelParams.model_validate(smp("resnet18"))
    wide = build_model(params, 5, 4)
    before = torch.random.get_rng_state()
    adapted = load_pretrained(wide, params)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert adapted is not None and adapted.adapted == ["network.encoder.conv1.weight"]
    assert torch.equal(wide.network.encoder.conv1.weight, adapt_input(given["conv1.weight"], 5))


def test_an_encoder_of_timm_takes_its_published_weights(tmp_path, monkeypatch):
    """timm's own door for a local file stands for its download."""
    given = timm.create_model("resnet18").state_dict()
    save_file(given, tmp_path / "model.safetensors")
    create = timm.create_model

    def local(*names: str, pretrained: bool = False, **options: Any) -> nn.Module:
        overlay = {"file": str(tmp_path / "model.safetensors")} if pretrained else {}
        return create(*names, pretrained=pretrained, pretrained_cfg_overlay=overlay, **options)

    monkeypatch.setattr(timm, "create_model", local)
    network, report = start(smp("tu-resnet18"))
    own = network.network.encoder.model.state_dict()
    assert own and all(torch.equal(own[name], given[name]) for name in own)
    assert report.source.startswith("timm resnet18.")


def test_an_encoder_whose_weights_cannot_be_had_is_refused_in_words(monkeypatch):
    def offline(*_: Any, **__: Any) -> None:
        raise FileNotFoundError("check your connection")

    monkeypatch.setattr(library.encoders, "hf_hub_download", offline)
    with pytest.raises(ParameterError, match=r"smp-hub/resnet18\.imagenet.*check your") as caught:
        start(smp("resnet18"))
    assert "HF_HOME" in str(caught.value) and "model.safetensors" in str(caught.value)
    with pytest.raises(ParameterError, match=r"resnext101_32x4d has no such weights.*ssl, swsl"):
        start(smp("resnext101_32x4d", "fpn"))
