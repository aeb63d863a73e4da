"""A bundle of every released format opens and predicts what it predicted when it was made."""

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from segpipe.bundle import (
    BEST,
    LAST,
    all_finite,
    load_bundle,
    plain_weights,
    predicted_ids,
    save_bundle,
    write_weights,
)
from segpipe.bundle_format import DESCRIPTION, FORMAT
from segpipe.inference.predictor import Predictor
from segpipe.params.model import ModelParams, PSPNetParams
from segpipe.raw.pictures.files import read_image
from segpipe.runtime.errors import BundleError
from tests.forge import ROOT

BUNDLES = sorted((ROOT / "tests/data/bundles").glob("format*"))


def sha256_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A bundle of the present format, with another set of weights as the last."""
    one = load_bundle(BUNDLES[-1])
    best = plain_weights(one.model)
    last = {name: tensor + 1 for name, tensor in best.items()}
    scheme, spec = one.scheme, one.input
    save_bundle(tmp_path, best, last, one.model_params, scheme, spec, one.precision, one.lineage)
    return tmp_path


def with_weights(folder: Path, weights: dict[str, Tensor]) -> Path:
    """Replace the best weights, and their digest with them."""
    save_file(weights, folder / BEST)
    about = json.loads((folder / DESCRIPTION).read_text())
    about["sha256"][BEST] = sha256_of(folder / BEST)
    (folder / DESCRIPTION).write_text(json.dumps(about))
    return folder


def test_there_is_a_bundle_of_each_format_from_3_to_the_present() -> None:
    assert [path.name for path in BUNDLES] == [f"format{n}" for n in range(3, FORMAT + 1)]


@pytest.mark.parametrize("folder", BUNDLES, ids=[path.name for path in BUNDLES])
def test_bundles_of_each_format_predict_what_was_noted(folder: Path) -> None:
    predictor = Predictor.load(folder, torch.device("cpu"))
    logits_Khw = predictor.logits(read_image(folder / "image.png")[None])
    # The bits differ between processors; the file beside was noted where the bundle was made.
    np.testing.assert_allclose(logits_Khw.numpy(), np.load(folder / "logits.npy"), atol=1e-5)
    labels_hw = predictor.train_ids(logits_Khw)
    assert len(np.unique(labels_hw)) > 1
    np.testing.assert_array_equal(labels_hw, np.load(folder / "labels.npy"))


@pytest.mark.parametrize("folder", BUNDLES, ids=[path.name for path in BUNDLES])
def test_an_older_bundle_saved_again_is_one_of_the_present_format(
    folder: Path, tmp_path: Path
) -> None:
    one = load_bundle(folder)
    weights = plain_weights(one.model)
    save_bundle(
        tmp_path,
        weights,
        weights,
        one.model_params,
        one.scheme,
        one.input,
        one.precision,
        one.lineage,
    )
    again = load_bundle(tmp_path)
    assert (again.model_params, again.scheme) == (one.model_params, one.scheme)
    assert (again.input, again.precision, again.lineage) == (one.input, one.precision, one.lineage)
    described = json.loads((tmp_path / DESCRIPTION).read_text())
    assert set(described["model"]) == {"name", "pretrained", "unet"}
    assert described["format"] == FORMAT
    assert described["sha256"] == {name: sha256_of(tmp_path / name) for name in (BEST, LAST)}


def test_options_of_other_models_are_no_part_of_a_bundle(tmp_path: Path) -> None:
    one = load_bundle(BUNDLES[-1])
    weights, described = plain_weights(one.model), []
    for dropout in (0.1, 0.4):
        options = PSPNetParams(dropout=dropout)
        params = ModelParams(name="unet", unet=one.model_params.unet, pspnet=options)
        save_bundle(tmp_path, weights, weights, params, one.scheme, one.input, one.precision, {})
        described.append((tmp_path / "model.json").read_bytes())
    assert described[0] == described[1]


def test_both_files_of_weights_open(folder: Path) -> None:
    best, last = (load_bundle(folder, name).model.state_dict() for name in (BEST, LAST))
    assert all(torch.equal(last[name], best[name] + 1) for name in best)


@pytest.mark.parametrize("name", [BEST, LAST])
def test_weights_of_another_model_of_the_same_shapes_are_refused(name: str, folder: Path) -> None:
    weights = load_file(folder / name)
    save_file({key: tensor * 2 for key, tensor in weights.items()}, folder / name)
    with pytest.raises(BundleError, match="was damaged, or belongs to another model") as caught:
        load_bundle(folder, name)
    assert f"{folder / name}: " in str(caught.value)
    assert sha256_of(folder / name) in str(caught.value)


def test_a_flipped_bit_is_noticed(folder: Path) -> None:
    content = bytearray((folder / BEST).read_bytes())
    content[-100] ^= 1
    (folder / BEST).write_bytes(content)
    with pytest.raises(BundleError, match="was damaged"):
        load_bundle(folder)


@pytest.mark.parametrize("older", [3, 4])
def test_older_formats_know_no_digest(older: int, tmp_path: Path) -> None:
    source = next(path for path in BUNDLES if path.name == f"format{older}")
    (tmp_path / DESCRIPTION).write_bytes((source / DESCRIPTION).read_bytes())
    doubled = {name: tensor * 2 for name, tensor in load_file(source / BEST).items()}
    save_file(doubled, tmp_path / BEST)
    found = load_bundle(tmp_path).model.state_dict()
    assert all(torch.equal(found[name], doubled[name]) for name in doubled)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_not_finite_are_refused(value: float, folder: Path) -> None:
    weights = load_file(folder / BEST)
    weights["head.weight"].view(-1)[-1] = value
    with pytest.raises(BundleError) as caught:
        load_bundle(with_weights(folder, weights))
    said = str(caught.value)
    assert f"{folder / BEST}: does not hold the weights of the network that model.json" in said
    assert said.endswith(":\n  head.weight holds values that are not finite (NaN or infinite)")


@pytest.mark.parametrize("kind", [torch.int8, torch.float16, torch.float8_e4m3fn])
def test_weights_of_another_type_are_refused(kind: torch.dtype, folder: Path) -> None:
    weights = load_file(folder / BEST)
    weights["head.weight"] = weights["head.weight"].to(kind)
    written = str(kind).removeprefix("torch.")
    fault = rf"\n  head.weight is 3 x 4 x 1 x 1 of {written}; it must be 3 x 4 x 1 x 1 of float32$"
    with pytest.raises(BundleError, match=fault):
        load_bundle(with_weights(folder, weights))


def test_tensors_that_are_missing_unknown_or_of_another_shape_are_listed(folder: Path) -> None:
    weights = load_file(folder / BEST)
    weights["other"] = weights.pop("head.bias")
    weights["head.weight"] = torch.ones(3, 5, 1, 1)
    with pytest.raises(BundleError) as caught:
        load_bundle(with_weights(folder, weights))
    assert str(caught.value).splitlines()[1:] == [
        "  head.bias is missing",
        "  head.weight is 3 x 5 x 1 x 1 of float32; it must be 3 x 4 x 1 x 1 of float32",
        "  other is not a tensor of the network",
    ]


def test_the_weights_of_another_network_are_listed_briefly(folder: Path) -> None:
    with pytest.raises(BundleError) as caught:
        load_bundle(with_weights(folder, {f"layer{k}": torch.ones(2) for k in range(500)}))
    assert len(str(caught.value).splitlines()) == 12


def test_a_network_that_cannot_be_built_is_the_fault_of_the_description(folder: Path) -> None:
    about = json.loads((folder / DESCRIPTION).read_text())
    about["model"] = {"name": "truth_cnn", "pretrained": "none", "truth_cnn": {"width": 4}}
    (folder / DESCRIPTION).write_text(json.dumps(about))
    with pytest.raises(BundleError, match=r"model.json: its network cannot be built here: .*50x50"):
        load_bundle(folder)


def test_weights_that_are_a_pipe_are_not_waited_for(folder: Path) -> None:
    (folder / BEST).unlink()
    os.mkfifo(folder / BEST)
    with pytest.raises(BundleError, match=r"model.safetensors: there is no such file"):
        load_bundle(folder)


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.usefixtures("umask")
@pytest.mark.parametrize("mask", [0o022, 0o002, 0o077])
def test_weights_follow_the_umask(mask: int, tmp_path: Path) -> None:
    os.umask(mask)
    path = tmp_path / BEST
    write_weights({"a": torch.ones(2)}, path)
    assert path.stat().st_mode & 0o777 == 0o666 & ~mask
    assert torch.equal(load_file(path)["a"], torch.ones(2))


def test_what_is_finite() -> None:
    for value in (float("nan"), float("inf"), -float("inf")):
        assert not all_finite(torch.tensor([[1.0, value], [2.0, 3.0]]))
    assert all_finite(torch.full((3, 4), 3.4e38)), "the sum would overflow"
    for values in (torch.ones(2, dtype=torch.bfloat16), torch.ones(0), torch.tensor([2**40])):
        assert all_finite(values)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_the_class_is_the_first_of_the_largest_scores(
    layout: torch.memory_format, precision: torch.dtype
) -> None:
    random = torch.Generator().manual_seed(0)
    # Few values, so that most pixels have several largest scores.
    logits = torch.randint(0, 4, (2, 7, 12, 9), generator=random)
    given = logits.to(precision, memory_format=layout)
    wanted = logits.numpy().argmax(1)
    np.testing.assert_array_equal(predicted_ids(given, None).numpy(), wanted)
