"""Every recipe runs the whole pipeline, at the tiny size that its header documents."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from safetensors.numpy import load_file

from segpipe.bundle import load_bundle
from segpipe.cli.recipes import params_text, read_header
from segpipe.dataset.reader import open_dataset
from segpipe.labels.load import load_scheme
from segpipe.params.chosen import chosen
from segpipe.params.load import load_params
from segpipe.params.schema import Params
from segpipe.runtime.provenance import PARAMETERS, take_snapshot
from segpipe.training.lengths import lengths_in_steps
from segpipe.training.schedules import learning_rate
from stages import evaluate, fetch, prepare, render, train
from tests.forge import (
    RECIPES,
    ROOT,
    apply_overrides,
    make_workspace,
    override_sets,
    tiny_overrides,
)

pytestmark = pytest.mark.slow

STAGES: dict[str, Callable[..., None]] = {
    "fetch": fetch.run,
    "prepare": prepare.run,
    "train": lambda params, snapshot: train.run_training(
        train.planned(params, snapshot), train.PREPARED, train.OUTPUTS
    ),
    "evaluate": evaluate.run,
    "render": render.run,
}


def workspace_of(root: Path, recipe: Path, *more: str) -> Path:
    """A workspace with a recipe at its tiny size, and with the worlds of the generators."""
    workspace = make_workspace(root, root)
    (workspace / "data").mkdir()
    for world in ("synthetic.yaml", "synthetic_esd.yaml"):
        shutil.copy(ROOT / "data" / world, workspace / "data" / world)
    (workspace / PARAMETERS).write_text(params_text(recipe))
    apply_overrides(workspace / PARAMETERS, [*tiny_overrides(recipe), *more])
    return workspace


def run(*stages: str) -> Params:
    """Run stages in this process, in the current folder, and return their parameters."""
    params = load_params(PARAMETERS)
    for stage in stages:
        STAGES[stage](params, take_snapshot(stage))
    return params


def table(path: str) -> list[dict[str, str]]:
    with Path(path).open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_runs_from_end_to_end(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workspace_of(tmp_path / "w", recipe))
    params = run(*STAGES)
    check_training(params)
    check_scores(params)
    check_pictures(params)


def check_training(params: Params) -> None:
    """The network, the scheme and the rates are those of the parameters, and something was learnt."""
    scheme = load_scheme(params.labels.scheme, params.labels.map, Path("data/raw"))
    bundle = load_bundle(Path("models"), "model.safetensors")
    assert chosen(bundle.model_params) == chosen(params.model)
    assert bundle.scheme.classes == scheme.classes
    assert bundle.input.frames == params.source.clip.frames
    assert all((value == value).all() for value in load_file("models/last.safetensors").values())
    dataset = open_dataset(Path("data/prepared"))
    steps = len(dataset.split("train")) // params.train.batch_size
    lengths = lengths_in_steps(params.train, steps)
    planned = [float(row["lr"]) for row in table("metrics/learning_rate.csv")]
    assert planned == pytest.approx(
        [learning_rate(params.train, lengths, step) for step in range(lengths.total)]
    )
    history = table("metrics/history.csv")
    assert float(history[-1]["train_loss"]) > 0


def check_scores(params: Params) -> None:
    """All valid pixels of the split are counted once, class by class."""
    summary = json.loads(Path("metrics/evaluation.json").read_text())
    counted = sum(one["pixels"] for one in summary["classes"].values())
    assert counted == summary["protocol"]["pixels"] > 0
    assert counted == sum(int(row["count"]) for row in table("metrics/confusion.csv"))
    assert 0 <= summary["miou"] <= 1


def check_pictures(params: Params) -> None:
    """As many predictions are drawn as asked for, as far as there are images."""
    raster = params.source.name in ("rasters", "esd", "synthetic_esd")
    names = {
        row["name"].split("/")[0] if raster else row["name"] for row in table("metrics/images.csv")
    }
    drawn = list(Path("predictions/comparisons").glob("*.png"))
    assert len(drawn) == min(len(names), params.render.images)
    with Image.open("predictions/contact_sheet.png") as sheet:
        assert len(sheet.convert("RGB").getcolors(1 << 24) or []) > 10


def originals(folder: Path) -> dict[str, NDArray[np.uint8]]:
    """The prepared masks, without those of copies, by the last part of the sample's name."""
    dataset = open_dataset(folder)
    splits = (dataset.split(name) for name in ("train", "val"))
    return {
        row.sample.name.split("/")[-1]: mask_hw.copy()
        for split in splits
        for row, mask_hw in zip(split.rows, split.masks_Nhw, strict=True)
        if row.copy == 0
    }


def test_unet_dice_reads_painted_masks_in_plain_folders_as_it_reads_label_ids(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = ROOT / "recipes/unet_dice.yaml"
    monkeypatch.chdir(workspace_of(tmp_path / "w", recipe))
    run("fetch", "prepare")
    by_ids = originals(Path("data/prepared"))
    for kind, part in (("images", "leftImg8bit"), ("masks", "gtFine")):
        (Path("data/unet_dice") / kind).mkdir(parents=True)
        end = "leftImg8bit.png" if kind == "images" else "gtFine_color.png"
        for path in Path("data/raw", part).rglob(f"*_{end}"):
            shutil.copy(path, f"data/unet_dice/{kind}/{path.name.removesuffix(f'_{end}')}.png")
    (folders,) = override_sets(read_header(recipe.read_text()).fields["folders"])
    apply_overrides(PARAMETERS, folders)
    for folder in ("raw", "prepared", "report", "statistics"):
        shutil.rmtree(Path("data", folder))
    run("fetch", "prepare")
    by_colours = originals(Path("data/prepared"))
    assert by_colours.keys() == by_ids.keys()
    for name, mask_hw in by_ids.items():
        np.testing.assert_array_equal(by_colours[name], mask_hw, err_msg=name)
    groups = [
        {row.sample.group for row in open_dataset(Path("data/prepared")).split(split).rows}
        for split in ("train", "val")
    ]
    assert groups[0] and groups[1] and not groups[0] & groups[1]
