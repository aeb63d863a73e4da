"""Maps of the probability of each class (class_maps.py; GreyPng of rendering/png.py)."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from segpipe.bundle_format import SHIPPED, read_description
from segpipe.cli.main import main
from segpipe.evaluation.label_folders import paired_samples
from segpipe.inference.class_maps import ClassMapSink
from segpipe.inference.output import Output, read_maps
from segpipe.inference.overwriting import written_by_predict
from segpipe.inference.predictor import Predictor
from segpipe.inference.targets import class_folders
from segpipe.rendering.png import GreyPng
from tests.forge import child_environment, save, scene
from tests.inference.test_predictor import predictor
from tests.inference.test_views import LARGE as VIEWS_LARGE
from tests.inference.test_views import bundle_of


@given(st.integers(1, 20), st.integers(1, 20), st.sampled_from([8, 16]), st.integers(1, 20))
@settings(deadline=None, max_examples=60)
def test_rows_become_the_file(
    tmp_path_factory: pytest.TempPathFactory, height: int, width: int, bits: int, strip: int
) -> None:
    rng = np.random.default_rng(height)
    values = rng.integers(0, 2**bits, (height, width)).astype(f"u{bits // 8}")
    path = tmp_path_factory.mktemp("grey") / "a.png"
    file = GreyPng(path, height, width, bits, "segpipe predict")
    for start in range(0, height, strip):
        file.add(values[start : start + strip])
    file.finish()
    with Image.open(path) as picture:
        picture.load()
        assert picture.mode == ("L" if bits == 8 else "I;16")
        assert picture.info["Software"] == "segpipe predict"
        np.testing.assert_array_equal(np.asarray(picture), values)
    assert written_by_predict(path)


def maps_of(
    one: Predictor, logits_KHW: torch.Tensor, output: Output, out: Path
) -> tuple[NDArray[Any], list[NDArray[Any]]]:
    """The labels, and the maps of all classes, of strips of two rows."""
    height, width = logits_KHW.shape[1:]
    strips = [(slice(k, k + 2), logits_KHW[:, k : k + 2]) for k in range(0, height, 2)]
    path = Path("a.png")
    with ThreadPoolExecutor(2) as pool:
        sink = ClassMapSink(out, {path: "sub/a"}, output, one, pool)
        with sink.of(path, (height, width)) as add:
            labels = read_maps(one, iter(strips), output, add).labels_hw
    found = []
    for folder in class_folders(one.scheme.classes, output.class_ids):
        with Image.open(out / folder / "sub/a.png") as picture:
            found.append(np.asarray(picture))
    return labels, found


@given(st.integers(0, 1000), st.sampled_from([0.1, 3.0, 30.0]), st.sampled_from([0.5, 1.0, 2.0]))
@settings(deadline=None, max_examples=30)
def test_maps_of_all_classes_sum_to_one_and_the_largest_is_the_label(
    tmp_path_factory: pytest.TempPathFactory, seed: int, spread: float, temperature: float
) -> None:
    one = predictor()
    one.bundle = replace(one.bundle, temperature=temperature)
    logits = spread * torch.randn(3, 5, 7, generator=torch.Generator().manual_seed(seed))
    out = tmp_path_factory.mktemp("maps")
    labels, maps = maps_of(one, logits, Output(0.5, class_ids=(0, 1, 2), bits=16), out)
    values_KHW = np.stack(maps).astype(np.int64)
    assert np.abs(values_KHW.sum(0) - 65535).max() <= 1  # each of three is off by half at most
    chosen = np.take_along_axis(values_KHW, labels[None].astype(np.int64), 0)[0]
    np.testing.assert_array_equal(chosen, values_KHW.max(0))
    expected = torch.softmax(logits / temperature, 0).numpy() * 65535
    assert np.abs(values_KHW - expected).max() <= 0.51


def test_one_logit_has_two_maps(tmp_path: Path) -> None:
    one = predictor()
    one.bundle = bundle_of(one.bundle.model, threshold=0.5)
    logits = torch.tensor([[[-50.0, 0.0, 50.0]]])
    _, maps = maps_of(one, logits, Output(0.5, class_ids=(0, 1)), tmp_path)
    assert [values.tolist() for values in maps] == [[[255, 128, 0]], [[0, 128, 255]]]


def test_nothing_is_left_of_a_picture_that_fails(tmp_path: Path) -> None:
    one, path = predictor(), Path("a.png")
    with ThreadPoolExecutor(1) as pool, pytest.raises(KeyError):
        output = Output(0.5, class_ids=(0, 2))
        with ClassMapSink(tmp_path, {path: "a"}, output, one, pool).of(path, (4, 5)) as add:
            assert add is not None
            add(torch.rand(3, 2, 5))
            raise KeyError
    assert not [item for item in tmp_path.rglob("*") if item.is_file()]


def test_folders_keep_the_names_of_classes_apart() -> None:
    names = ["road", "a/b", "..", "Road", "x" * 300]
    found = class_folders(names, range(5))
    assert found[:4] == [
        "probabilities/000_road",
        "probabilities/001_a__b",
        "probabilities/002_..",
        "probabilities/003_Road",
    ]
    assert all(len(Path(folder).name) <= 251 for folder in found)


def test_the_command_writes_them_and_score_leaves_them_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path / "in/b/a.jpg", scene(0)[0])
    out = tmp_path / "out"
    called = ["predict", str(tmp_path / "in"), "--out", str(out), "--bundle", str(SHIPPED)]
    for _ in range(2):  # written again, over its own files
        assert main([*called, "--probabilities", "all", "--bits", "16", "--uncertainty"]) == 0
    classes = read_description(SHIPPED).scheme.classes
    folders = class_folders(classes, range(len(classes)))
    assert sorted(path.name for path in (out / "probabilities").iterdir()) == [
        Path(folder).name for folder in folders
    ]
    for folder in (*folders, "uncertainty"):
        with Image.open(out / folder / "b/a.png") as file:
            assert (file.mode, file.size) == ("I;16", scene(0)[0].shape[1::-1])
    save(tmp_path / "truth/b/a.png", np.zeros(scene(0)[0].shape[:2], np.uint8))
    [sample] = paired_samples(out, tmp_path / "truth", (False, False), None)
    assert sample.image == "b/a.png"
    assert "have no truth" not in capsys.readouterr().err
    assert main([*called, "--probabilities", classes[0], "nothing"]) == 1
    assert "names nothing, and the model's classes are" in capsys.readouterr().err
    assert main([*called, "--bits", "16"]) == 1
    assert "--bits is for --probabilities" in capsys.readouterr().err


# 12 megapixels of 150 classes, whose maps of 16 bits would take 3.6 GB at once.
LARGE = (
    VIEWS_LARGE.partition("labels = ")[0]
    + """
from pathlib import Path
from PIL import Image
from segpipe.inference.files import predict_files
from segpipe.inference.output import Output
Image.fromarray(image[0]).save("a.png")
output = Output(0.5, class_ids=tuple(range(150)), bits=16)
done = predict_files([predictor], {Path("a.png"): "a"}, Path("out"), output)
assert done.written == 1
print(peak_resident_bytes())
"""
)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_maps_of_150_classes_of_12_megapixels_are_written_in_2_gb(tmp_path: Path) -> None:
    said = subprocess.run(
        [sys.executable, "-c", LARGE, "whole"],
        cwd=tmp_path,
        env=child_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    print(f"{int(said.stdout) / 1e6:.2f} GB")
    assert int(said.stdout) < 2e9
    assert len(list((tmp_path / "out/probabilities").rglob("*.png"))) == 150
