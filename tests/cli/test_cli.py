"""The command line: wrong calls, help, bundles, check."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from segpipe.bundle import load_bundle, plain_weights, save_bundle
from segpipe.bundle_format import BEST, DESCRIPTION
from segpipe.cli.main import main
from segpipe.models.build import build_model
from segpipe.params.model import ModelParams, UNetParams
from segpipe.runtime.errors import BundleError
from segpipe.runtime.process_exit import READER_GONE
from tests.forge import (
    ROOT,
    child_environment,
    make_folder,
    save,
    scene,
    tiny_parameters,
    write_parameters,
)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["predict", "nowhere", "--out", "o"], "there is no such file or folder"),
        (["predict", "empty", "--out", "o"], "holds no image"),
        (["predict", "one", "--out", "one"], "--out is the folder of the images"),
        (["predict", "one", "--out", "o", "--opacity", "2"], "--opacity is 2.0"),
        (["predict", "one", "--out", "o", "--bundle", "none"], "train a model with `dvc repro`"),
        (["check"], "params.yaml: there is no such file"),
        (["show"], "run `dvc repro` first"),
    ],
)
def test_a_wrong_call_is_explained(
    arguments: list[str],
    message: str,
    bundle: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(bundle, "models")
    (tmp_path / "empty").mkdir()
    save(tmp_path / "one/a.png", scene(0)[0])
    assert main(arguments) == 1
    assert message in capsys.readouterr().err


def test_help_shows_examples(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("predict", "check"):
        with pytest.raises(SystemExit) as caught:
            main([command, "--help"])
        assert caught.value.code == 0
        assert "examples:" in capsys.readouterr().out


def edited(path: Path, section: str, **values: object) -> None:
    about = json.loads(path.read_text())
    about[section] |= values
    path.write_text(json.dumps(about))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("nan", "holds values that are not finite"),
        ("int8", "of int8; it must be"),
        ("other", "was damaged, or belongs to another model"),
        ("std", "input.std.0 is 0.0; it must be greater than 0"),
        ("mean", "mean and std have 1 and 3 values, but there are 3 channels"),
        ("fit", "input.fit is 'squeeze'; it must be 'stretch', 'pad' or 'crop'"),
        ("list", "model.json: cannot be read"),
    ],
)
def test_nothing_is_predicted_with_a_damaged_model(
    damage: str, said: str, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy, images, out = tmp_path / "copy", tmp_path / "in", tmp_path / "out"
    shutil.copytree(bundle, copy)
    save(images / "a.png", scene(0)[0])
    weights, about = load_file(copy / BEST), copy / DESCRIPTION
    match damage:
        case "nan":
            weights["head.bias"][0] = torch.nan
        case "int8":
            weights["head.bias"] = weights["head.bias"].to(torch.int8)
        case "other":
            weights["head.bias"] += 1
        case "std":
            edited(about, "input", std=[0.0, 0.2, 0.2])
        case "mean":
            edited(about, "input", mean=[0.4])
        case "fit":
            edited(about, "input", fit="squeeze")
        case "list":
            about.write_text("[]")
    save_file(weights, copy / BEST)
    if damage in ("nan", "int8"):
        edited(about, "sha256", **{BEST: hashlib.sha256((copy / BEST).read_bytes()).hexdigest()})
    assert main(["predict", str(images), "--out", str(out), "--bundle", str(copy)]) == 1
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error
    assert not out.exists()


def test_an_image_whose_scores_are_not_finite_gets_no_labels(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The weights are finite, and too large for one of the images."""
    copy, images, out = tmp_path / "copy", tmp_path / "in", tmp_path / "out"
    shutil.copytree(bundle, copy)
    edited(copy / DESCRIPTION, "input", std=[1e-30] * 3, mean=[0.0] * 3)
    save(images / "black.png", np.zeros((24, 40, 3), np.uint8))
    save(images / "white.png", np.full((24, 40, 3), 255, np.uint8))
    one = load_bundle(copy)
    weights = plain_weights(one.model)
    weights["head.weight"] *= 1e15
    save_bundle(copy, weights, weights, one.model_params, one.scheme, one.input, "fp32", {})
    assert main(["predict", str(images), "--out", str(out), "--bundle", str(copy)]) == 1
    error = capsys.readouterr().err
    assert f"{images / 'white.png'}: the network's scores of it are not finite" in error
    assert sorted(path.name for path in out.glob("*.png")) == ["black.png"]


@pytest.mark.parametrize("damage", ["weights", "json", "other", "format"])
def test_a_damaged_bundle_is_refused(damage: str, bundle: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(bundle, copy)
    match damage:
        case "weights":
            (copy / BEST).write_bytes((copy / BEST).read_bytes()[:-50])
        case "json":
            (copy / DESCRIPTION).write_text('{"format": 1}')
        case "other":
            text = (copy / DESCRIPTION).read_text()
            (copy / DESCRIPTION).write_text(text.replace('"depth": 3', '"depth": 2'))
        case "format":
            (copy / DESCRIPTION).write_text('{"format": 7}')
    with pytest.raises(BundleError, match="copy"):
        load_bundle(copy)


def test_a_bundle_gives_back_the_same_network(bundle: Path) -> None:
    image = torch.rand(1, 3, 24, 40)
    torch.manual_seed(0)
    made = build_model(ModelParams(unet=UNetParams(width=4, depth=3)), 3, 3).eval()
    with torch.inference_mode():
        assert torch.equal(load_bundle(bundle).model(image), made(image))


def test_check_reads_parameters_and_data_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = make_folder(tmp_path / "data", train=3, val=2)
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    write_parameters(work / "params.yaml", tiny_parameters(data))
    assert main(["check"]) == 0
    assert "3 train, 2 val, 0 test samples, every file read and in order" in capsys.readouterr().out
    mask = scene(0)[1]
    mask[0, 0] = 200
    save(data / "masks/val/drive0_000.png", mask)
    assert main(["check"]) == 1
    assert "value 200 in 1 pixels" in capsys.readouterr().err
    assert sorted(path.name for path in work.iterdir()) == [".segpipe", "params.yaml"]


def test_check_names_a_folder_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_parameters(tmp_path / "params.yaml", tiny_parameters(Path("data/nowhere")))
    assert main(["check"]) == 1
    assert "data/nowhere: there is no such folder" in capsys.readouterr().err


def test_check_before_the_download_says_that_fetch_will_do_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CITYSCAPES_USERNAME", "somebody")
    monkeypatch.setenv("CITYSCAPES_PASSWORD", "something")
    content = tiny_parameters(Path("data/cityscapes"), source__name="cityscapes")
    content["labels"]["scheme"] = "cityscapes19"
    write_parameters(tmp_path / "params.yaml", content)
    assert main(["check"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "2 parts of Cityscapes are not downloaded yet; there is a login" in out
    assert "  leftImg8bit_trainvaltest.zip\n  gtFine_trainvaltest.zip\n" in out
    assert "the data of the cityscapes source can be downloaded; no image was looked at" in out
    monkeypatch.delenv("CITYSCAPES_PASSWORD")
    assert main(["check"]) == 1
    assert "no CITYSCAPES_PASSWORD" in capsys.readouterr().err


def test_a_reader_that_has_gone_is_no_traceback() -> None:
    """As `segpipe use | head -1` has it: nobody reads what is printed."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "segpipe.cli.main", "use"],
        cwd=ROOT,
        env=child_environment(),
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writing)
    assert done.returncode == READER_GONE
    assert done.stderr == ""
