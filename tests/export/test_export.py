"""segpipe export: from the command line to predictions and scores of the exported file."""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

import segpipe
from segpipe.bundle import Bundle, load_bundle
from segpipe.bundle_format import BEST, file_sha256, read_description
from segpipe.cli.main import main
from segpipe.export import run
from segpipe.export.image_network import ImageNetwork
from segpipe.export.onnx_file import OnnxNetwork, onnx_network
from segpipe.inference.exported import load_exported
from segpipe.inference.exported_file import open_exported
from segpipe.params.model import ModelParams, UNetParams
from segpipe.runtime.errors import BundleError, DataError
from tests.export.make_bundle import make_bundle
from tests.forge import ROOT, child_environment

UNET = ModelParams(unet=UNetParams(width=4, depth=2))
FILES = {"onnx": "model.onnx", "openvino": "model.xml"}
COMMAND = (sys.executable, "-m", "segpipe.cli.main")
every_kind = pytest.mark.parametrize("to", FILES)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("export") / "models", UNET, steps=40)


@pytest.fixture(scope="module")
def made(bundle: Path, prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the exported files of `bundle`, of both kinds."""
    out = tmp_path_factory.mktemp("exported")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(prepared)
        for to in FILES:
            assert main(["export", str(bundle), "--to", to, "--out", str(out)]) == 0
    return out


def record(file: Path) -> dict[str, object]:
    return json.loads(Path(f"{file}.json").read_text())


@every_kind
@pytest.mark.parametrize(("batch", "height", "width"), [(1, 32, 48), (3, 61, 37)])
def test_the_logits_are_those_of_the_bundle(
    made: Path, bundle: Path, to: str, batch: int, height: int, width: int
) -> None:
    model = load_bundle(bundle).model
    images = torch.randint(0, 256, (batch, 1, height, width, 3), dtype=torch.uint8)
    normal = (images[:, 0].permute(0, 3, 1, 2) / 255 - 0.5) / 0.25
    with torch.inference_mode():
        expected = model.whole_logits(normal)
        found = load_exported(made / FILES[to]).model(images)
    assert expected.std() > 0.5, "a network that has learnt something"
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)


@every_kind
def test_the_description_of_the_bundle_is_in_the_file(made: Path, bundle: Path, to: str) -> None:
    _, about = open_exported(made / FILES[to])
    own = read_description(bundle)
    digest = {BEST: file_sha256(bundle / BEST)}
    assert about == own.model_copy(update={"sha256": digest})
    assert own.sha256[BEST] == digest[BEST]


def test_onnx_says_what_goes_in_and_what_comes_out(made: Path) -> None:
    model = onnx.load(made / "model.onnx")
    onnx.checker.check_model(model, full_check=True)
    texts = {one.key: one.value for one in model.metadata_props}
    assert texts["segpipe_input"].endswith("uint8; C: red, green, blue")
    assert texts["segpipe_output"].startswith("logits: (B, K, H, W)")
    assert texts["segpipe_output"].endswith("K: sky, road, car")
    [image] = model.graph.input
    assert [side.dim_param or side.dim_value for side in image.type.tensor_type.shape.dim] == [
        "batch",
        "height",
        "width",
        3,
    ]


@every_kind
def test_predictions_of_the_file_are_those_of_the_bundle_and_can_be_scored(
    made: Path, bundle: Path, prepared: Path, tmp_path: Path, to: str
) -> None:
    """On the validation images, whose mIoU the record beside the file holds."""
    images, masks = (prepared / f"data/raw/{kind}/val" for kind in ("images", "masks"))
    for name, model in (("bundle", bundle), ("file", made / FILES[to])):
        assert (
            main(["predict", str(images), "--out", str(tmp_path / name), "--model", str(model)])
            == 0
        )
    written = sorted((tmp_path / "bundle").rglob("*.png"))
    assert len(written) == 10
    for path in written:
        other = tmp_path / "file" / path.relative_to(tmp_path / "bundle")
        assert path.read_bytes() == other.read_bytes()
    shutil.rmtree(tmp_path / "file/overlays")
    scheme = str(prepared / "data/raw/classes.csv")
    given = ["score", str(tmp_path / "file"), str(masks), "--scheme", scheme]
    assert main([*given, "--out", str(tmp_path / "scores")]) == 0
    miou = json.loads((tmp_path / "scores/evaluation.json").read_text())["miou"]
    assert miou > 0.5
    assert record(made / FILES[to])["validation"]["miou"] == {"bundle": miou, "file": miou}


@every_kind
def test_the_record_holds_differences_latency_and_sizes(made: Path, bundle: Path, to: str) -> None:
    found = record(made / FILES[to])
    assert found["sides"] == found["batch"] == "any"
    assert found["validation"]["images"] == 5
    assert found["validation"]["iou_difference_by_class"] == {"sky": 0, "road": 0, "car": 0}
    assert found["validation"]["allowed"] == 0.001
    assert found["latency_ms"]["bundle"] > 0 and found["latency_ms"]["file"] > 0
    assert found["bytes"]["bundle"] == (bundle / BEST).stat().st_size
    files = [
        path
        for path in made.iterdir()
        if path.suffix in {"onnx": [".onnx"]}.get(to, [".xml", ".bin"])
    ]
    assert found["bytes"]["file"] == sum(path.stat().st_size for path in files)
    assert found["hardware"] and found["threads"] == torch.get_num_threads()


def test_the_library_loads_a_file_by_its_name(made: Path) -> None:
    model = segpipe.load_model(made / "model.onnx")
    assert model.scheme.classes == ("sky", "road", "car")
    image = np.zeros((1, 100, 120, 3), np.uint8)
    assert model.predict(image).shape == (100, 120)


@pytest.mark.parametrize("name", ["model.onnx", "model.xml", "model.bin"])
def test_a_changed_file_is_refused(made: Path, tmp_path: Path, name: str) -> None:
    shutil.copytree(made, tmp_path / "copy")
    file = tmp_path / "copy" / name
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    opened = file if name == "model.onnx" else file.with_name("model.xml")
    with pytest.raises(
        BundleError, match=r"was damaged or changed since `segpipe export` wrote it"
    ):
        load_exported(opened)


def test_files_of_other_programs_are_refused_by_name(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, model = tmp_path / "theirs.onnx", onnx.load(made / "model.onnx")
    del model.metadata_props[:]
    onnx.save(model, file)
    assert main(["predict", str(tmp_path), "--out", str(tmp_path / "o"), "--model", str(file)]) == 1
    assert f"{file}: does not come from `segpipe export`" in capsys.readouterr().err
    with pytest.raises(BundleError, match=r"none\.xml: cannot be read: No such file"):
        load_exported(tmp_path / "none.xml")


@pytest.mark.slow
def test_a_file_with_other_scores_is_not_written(
    bundle: Path,
    prepared: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def others(given: Bundle) -> OnnxNetwork:
        changed = load_bundle(bundle).model
        head = changed.get_submodule("head")
        assert isinstance(head, nn.Conv2d)
        with torch.no_grad():
            head.weight.neg_()
        return onnx_network(replace(given, model=changed))

    monkeypatch.setattr(run, "onnx_network", others)
    monkeypatch.chdir(prepared)
    assert main(["export", str(bundle), "--to", "onnx", "--out", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert "nothing was written: on 5 validation images the exported file has mIoU" in said
    assert "which differ by more than 0.1" in said and "IoU by class, most changed first: " in said
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_8_bits_cost_little_and_are_smaller(
    bundle: Path, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(prepared)
    file = tmp_path / "small.onnx"
    given = ["export", str(bundle), "--to", "onnx", "--int8", "--out", str(file), "--images", "3"]
    assert main(given) == 0
    found = record(file)
    assert found["int8"] and found["validation"]["images"] == 3
    assert abs(found["validation"]["difference"]) <= found["validation"]["allowed"] == 0.01
    graph = onnx.load(file).graph
    integers = [one for one in graph.initializer if one.data_type == onnx.TensorProto.INT8]
    assert len(integers) >= 10, "the weights of the convolutions"


@pytest.mark.slow
def test_the_console_shows_segpipes_own_lines_alone(
    bundle: Path, prepared: Path, tmp_path: Path
) -> None:
    """In a process of its own, since libraries write past Python's own streams."""
    done = subprocess.run(
        [*COMMAND, "export", bundle, "--to", "openvino", "--out", tmp_path],
        cwd=prepared,
        env=child_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert [line.partition(":")[0] for line in done.stdout.splitlines()][:3] == [
        str(bundle),
        "validation",
        "one image",
    ]
    assert len(done.stdout.splitlines()) == 4
    assert all(line.startswith("evaluate: ") for line in done.stderr.splitlines()), done.stderr


def test_without_the_data_the_reason_is_named(
    bundle: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["export", str(bundle), "--to", "onnx"]) == 1
    said = capsys.readouterr().err
    assert "data/prepared/val/index.csv" in said and "compared with the bundle" in said


def test_without_the_libraries_the_extra_is_named(
    bundle: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in [one for one in sys.modules if one.startswith("segpipe.export")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "onnxruntime.quantization", None)
    assert main(["export", str(bundle), "--to", "onnx", "--out", str(tmp_path)]) == 1
    assert "pip install 'segpipe[export]'" in capsys.readouterr().err


def test_files_of_others_are_not_replaced(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, to in (
        ("model.onnx", "onnx"),
        ("model.bin", "openvino"),
        ("model.xml.json", "openvino"),
    ):
        folder = tmp_path / name
        folder.mkdir()
        (folder / name).write_text("mine")
        assert main(["export", str(bundle), "--to", to, "--out", str(folder)]) == 1
        assert "was not written by" in capsys.readouterr().err
        assert (folder / name).read_text() == "mine"
    assert main(["export", str(bundle), "--to", "onnx", "--out", str(tmp_path / "a.xml")]) == 1
    assert "--to onnx writes a file that ends in .onnx" in capsys.readouterr().err


@pytest.mark.slow
def test_a_network_of_one_size_says_so(tmp_path: Path) -> None:
    """A U-Net without padding computes its sides as whole numbers of Python, which fixes the graph."""
    params = ModelParams(unet=UNetParams(width=4, depth=1, padding="valid"))
    bundle = load_bundle(make_bundle(tmp_path / "models", params))
    network = onnx_network(bundle)
    assert not network.any_size and network.any_batch
    (tmp_path / "m.onnx").write_bytes(
        run.onnx_content(network.content, read_description(tmp_path / "models"))
    )
    file = load_exported(tmp_path / "m.onnx")
    images = ImageNetwork(bundle).example(2, 32, 48)
    with torch.inference_mode():
        expected = ImageNetwork(bundle).eval()(images)
    torch.testing.assert_close(file.model(images[:, None]), expected, rtol=0, atol=1e-4)
    with pytest.raises(DataError, match=r"takes images of 32x48 pixels alone, and here .* 40x48"):
        file.model(torch.zeros(1, 1, 40, 48, 3, dtype=torch.uint8))


@pytest.mark.slow
def test_the_documented_command_makes_a_stage_of_dvc(
    bundle: Path, prepared: Path, tmp_path: Path
) -> None:
    """It runs once, not again, and again when the model is another one."""
    text = (ROOT / "docs/export.md").read_text()
    [command] = re.findall(r"^dvc stage add .*$", text, re.MULTILINE)
    command = command.replace("segpipe export", " ".join([*COMMAND, "export"]))
    shutil.copytree(prepared / "data", tmp_path / "data")
    shutil.copytree(bundle, tmp_path / "models")

    def say(line: str) -> str:
        done = subprocess.run(
            line, shell=True, cwd=tmp_path, env=child_environment(), capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    say("git init -q && dvc init -q")
    say(command)
    assert "Running stage 'export'" in say("dvc repro")
    assert (tmp_path / "exported/model.onnx").is_file()
    assert "Stage 'export' didn't change" in say("dvc repro")
    shutil.rmtree(tmp_path / "models")
    make_bundle(tmp_path / "models", UNET, steps=2)
    assert "Running stage 'export'" in say("dvc repro")
