"""What the recipes say of themselves is true: their keys, options, figures and schedules."""

import itertools
import json
import math
import re
import subprocess
from pathlib import Path

import dvc.utils.hydra
import pytest
from torch import nn

from segpipe.cli.recipes import params_text, read_header
from segpipe.labels.load import load_scheme
from segpipe.losses.build import is_binary
from segpipe.models.build import build_model
from segpipe.models.parts.network import Network
from segpipe.models.parts.u_net import UNet
from segpipe.models.resnet_lstm import ResNetLSTM
from segpipe.params.load import load_overlay, load_params, validate
from segpipe.params.overlay import differences, overlaid
from segpipe.params.schema import Params
from segpipe.params.writer import header_of
from segpipe.runtime.yaml_file import read_yaml
from segpipe.training.lengths import lengths_in_steps
from segpipe.training.schedules import learning_rate
from tests.forge import (
    RECIPES,
    ROOT,
    apply_overrides,
    override_sets,
    tiny_overrides,
    write_parameters,
)

FINE = 2975  # annotated training scenes of Cityscapes
every_recipe = pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)


def header(name: str) -> str:
    text = (ROOT / f"recipes/{name}.yaml").read_text()
    lines = itertools.takewhile(lambda line: line.startswith("#"), text.splitlines())
    return re.sub(r"\s*\n#\s*", " ", "\n".join(lines))


def recipe_params(name: str) -> Params:
    return load_overlay(ROOT / f"recipes/{name}.yaml")


def built(name: str, classes: int | None = None) -> Network:
    """A recipe's network, for its own classes unless `classes` says how many."""
    params = recipe_params(name)
    classes = classes or len(load_scheme(params.labels.scheme, {}, ROOT).classes)
    return build_model(params.model, 3, classes)


def weights(module: nn.Module) -> int:
    return sum(one.numel() for one in module.parameters())


def rates(name: str, steps_per_epoch: int) -> list[float]:
    train = recipe_params(name).train
    lengths = lengths_in_steps(train, steps_per_epoch)
    return [learning_rate(train, lengths, step) for step in range(lengths.total)]


def test_the_recipes_of_all_systems_are_there() -> None:
    systems = {"sky", "sequence", "unet8gpu", "unet_dice", "esd"}
    assert systems | {"esd_unet", "esd_fcn", "camvid", "cityscapes", "demo"} <= {
        path.stem for path in RECIPES
    }


@every_recipe
def test_a_header_says_what_it_is_what_it_needs_and_how_it_is_run(recipe: Path) -> None:
    found = read_header(recipe.read_text())
    assert len(found.about) > 60
    assert {"data", "command", "result", "tiny"} <= found.fields.keys()
    assert recipe.stem in found.fields["command"]


@every_recipe
def test_a_recipe_names_what_differs_from_the_defaults_alone(recipe: Path) -> None:
    named = overlaid(read_yaml(recipe))
    assert validate(overlaid(differences(load_overlay(recipe))), "recipe") == load_overlay(recipe)
    assert count(differences(load_overlay(recipe))) == count(read_yaml(recipe)), named


def count(values: object) -> int:
    return sum(map(count, values.values())) if isinstance(values, dict) else 1


@every_recipe
def test_the_parameters_of_a_recipe_are_those_that_are_noted(recipe: Path) -> None:
    """So that a default cannot change one unseen: after a change on purpose, write the file anew."""
    noted = json.loads((ROOT / "tests/data/recipes.json").read_text())
    assert noted.keys() == {path.stem for path in RECIPES}
    assert load_overlay(recipe).model_dump(mode="json") == noted[recipe.stem]


def test_the_parameter_file_is_what_is_written_for_the_demo() -> None:
    demo, shipped = ROOT / "recipes/demo.yaml", ROOT / "params.yaml"
    if header_of(shipped.read_text()) != header_of(demo.read_text()):
        pytest.skip("params.yaml is another recipe here (segpipe use)")
    if load_params(shipped) != load_overlay(demo):
        status = ["git", "status", "--porcelain", "params.yaml"]
        changed = subprocess.run(status, cwd=ROOT, capture_output=True, text=True, check=False)
        if changed.returncode or changed.stdout:
            pytest.skip("params.yaml was changed here")
    assert shipped.read_text() == params_text(demo), "segpipe use demo"


@every_recipe
def test_every_option_that_a_header_names_is_taken(recipe: Path, tmp_path: Path) -> None:
    sets, unchanged = override_sets(header(recipe.stem)), load_overlay(recipe)
    assert tiny_overrides(recipe) in sets
    path = tmp_path / "params.yaml"
    write_parameters(path, unchanged.model_dump())  # DVC takes long to keep comments
    text = path.read_text()
    for options in sets:
        results = []
        for sweep in dvc.utils.hydra.get_hydra_sweeps({"params.yaml": options}):
            path.write_text(text)
            apply_overrides(path, sweep["params.yaml"])
            results.append(load_params(path))
        assert any(result != unchanged for result in results), options


def test_the_grid_of_sequence_is_that_of_its_system() -> None:
    (grid,) = (one for one in override_sets(header("sequence")) if "batch_size" in one[0])
    sweeps = dvc.utils.hydra.get_hydra_sweeps({"": grid})
    pairs = {tuple(option.partition("=")[2] for option in one[""]) for one in sweeps}
    assert pairs == set(
        itertools.product(("8", "16", "32"), ("0.001", "0.005", "0.0001", "0.0005"))
    )


def test_unet8gpu_has_the_weights_of_its_system() -> None:
    network = built("unet8gpu", classes=34)
    assert weights(network) == 31_047_586
    one_class = weights(network.head) // 34
    own = weights(network) - 7 * one_class
    assert f"27 classes with {own:,} parameters" in header("unet8gpu")


def test_sky_has_the_weights_of_its_system_and_one_logit() -> None:
    network = built("sky", classes=1)
    assert weights(network) == 1_862_849
    assert "1,862,849 parameters" in header("sky")
    params = recipe_params("sky")
    assert is_binary(params.loss)
    for scheme in (params.labels.scheme, "camvid_sky"):
        assert load_scheme(scheme, {}, ROOT).classes == ("rest", "sky")


def test_sequence_and_cityscapes_have_the_weights_that_they_say() -> None:
    network = built("sequence")
    assert isinstance(network, ResNetLSTM) and network.memory is not None
    own, memory = weights(network), weights(network.memory)
    assert f"{own:,} parameters, {memory:,} of them in the LSTM" in header("sequence")
    assert weights(built("cityscapes")) == 3_334_951


def test_valid_padding_learns_from_the_middle_that_unet8gpu_says() -> None:
    params = recipe_params("unet8gpu")
    valid = params.model.unet.model_copy(update={"padding": "valid"})
    net = UNet(3, 2, valid.model_copy(update={"width": 4}))
    sides = [net.output_side(side) for side in (params.prepare.height, params.prepare.width)]
    assert sides == [324, 836]
    assert "the middle 324x836 of 512x1024" in header("unet8gpu")


def test_unet_dice_follows_its_formula_and_reaches_the_minimum_at_step_505() -> None:
    seen = rates("unet_dice", FINE // 48)
    assert len(seen) == 1250
    for step, rate in enumerate(seen):
        if step < 100:
            expected = max(1e-3 * step**2 / 100**2, 1e-4)
        else:
            expected = max(1e-3 - math.sqrt((step - 100) / 5e8), 1e-4)
        assert rate == pytest.approx(expected, rel=1e-12)
    lowest = [step for step in range(100, 1250) if seen[step] <= 1e-4 * (1 + 1e-9)]
    assert lowest == list(range(505, 1250))


def test_unet8gpu_halves_after_ten_epochs_and_keeps_to_its_batch() -> None:
    steps = FINE // 8
    seen = rates("unet8gpu", steps)
    assert seen == [2e-3] * (10 * steps) + [1e-3] * (10 * steps)


def test_sequence_keeps_its_rate() -> None:
    params = recipe_params("sequence")
    assert set(rates("sequence", 2 * FINE // 8)) == {params.train.lr}
    assert (params.source.clip.frames, params.train.weight_decay) == (4, 1e-5)


def test_cityscapes_rises_for_3000_steps_and_falls_as_its_paper_says() -> None:
    steps = FINE // 8
    seen = rates("cityscapes", steps)
    assert len(seen) == 1000 * steps
    assert seen.index(max(seen)) == 3000 and max(seen) == 0.05
    middle = 3000 + (len(seen) - 3000) // 2
    assert seen[middle] == pytest.approx(0.05 * 0.5**0.9, rel=1e-4)


@pytest.mark.parametrize(
    ("name", "bytes_a_pixel", "rows", "said"),
    [
        ("sequence", 13, 2 * FINE + 500, "8.4 GB"),
        ("unet8gpu", 4, FINE + 500, "7.3 GB"),
        ("unet_dice", 4, 6 * FINE + 500, "up to 9.6 GB"),
        ("cityscapes", 4, FINE + 500, "29 GB"),
    ],
)
def test_the_prepared_data_takes_what_the_header_says(
    name: str, bytes_a_pixel: int, rows: int, said: str
) -> None:
    params = recipe_params(name)
    assert bytes_a_pixel == 3 * params.source.clip.frames + 1
    taken = bytes_a_pixel * rows * params.prepare.height * params.prepare.width / 1e9
    figure = float(re.findall(r"[\d.]+", said)[0])
    assert figure == pytest.approx(taken, abs=0.05 if figure < 10 else 0.5)
    assert f"prepared data takes {said}" in header(name)
