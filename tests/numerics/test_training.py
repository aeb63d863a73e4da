"""The promises about numbers: repeatable, resumable, independent of how the work is shared out.

Each run is a process of its own, as DVC starts it.
"""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.forge import make_folder, make_prepared, run_python, run_stage, workspace_with

pytestmark = pytest.mark.xdist_group("numerics")  # they share prepared data


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_folder(tmp_path_factory.mktemp("data"), train=11, val=5)


@pytest.fixture(scope="module")
def prepared(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_prepared(tmp_path_factory.mktemp("prepared") / "w", data)


def trained(workspace: Path, **environment: str) -> dict[str, np.ndarray]:
    done = run_stage("train", workspace, **environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return load_file(workspace / "models" / "last.safetensors")


def history(workspace: Path, *columns: str) -> list[list[str]]:
    with (workspace / "metrics/history.csv").open() as file:
        return [[row[column] for column in columns] for row in csv.DictReader(file)]


def assert_equal(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> None:
    assert first.keys() == second.keys()
    assert len(first) > 20
    for name in first:
        assert (first[name] == second[name]).all(), name


def largest_difference(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> float:
    """Of the kernels: a bias before a batch norm has no effect, so only rounding moves it."""
    kernels = [name for name in first if first[name].ndim == 4]
    assert len(kernels) > 10
    return max(float(np.abs(first[name] - second[name]).max()) for name in kernels)


def test_two_runs_give_the_same_bits(tmp_path: Path, data: Path, prepared: Path) -> None:
    options = {"model__unet__dropout": 0.2, "train__length": 2}
    first, second = (workspace_with(prepared, tmp_path / name, data, **options) for name in "ab")
    assert_equal(trained(first), trained(second))
    for name in ("model.safetensors", "model.json"):
        assert (first / "models" / name).read_bytes() == (second / "models" / name).read_bytes()
    columns = ("epoch", "step", "lr", "train_loss", "val_loss", "val_miou", "val_pixel_accuracy")
    assert history(first, *columns) == history(second, *columns)
    other = workspace_with(prepared, tmp_path / "c", data, train__seed=1, **options)
    assert largest_difference(load_file(first / "models/last.safetensors"), trained(other)) > 0.001


INTERRUPT = """
import sys
import segpipe.engine.loop as loop
from stages import train
real, taken = loop.train_step, 0
def interrupted(job, pieces, epoch, step, lr, stop, save):
    global taken
    taken += 1
    return real(job, pieces, epoch, step, lr, stop or taken == {at}, save)
loop.train_step = interrupted
from segpipe.ending import explained
sys.exit(explained(train.start))
"""


@pytest.mark.parametrize(
    "at", [pytest.param(1, marks=pytest.mark.slow), 3, pytest.param(4, marks=pytest.mark.slow)]
)
def test_an_interrupted_run_ends_in_the_same_bits(
    at: int, tmp_path: Path, data: Path, prepared: Path
) -> None:
    # Validations within and at the ends of the epochs of two steps, and an end within one.
    options = {
        "model__unet__dropout": 0.2,
        "train__length": "5 steps",
        "train__validate_every": "3 steps",
        "train__ema": 0.9,
    }
    whole = workspace_with(prepared, tmp_path / "whole", data, **options)
    weights = trained(whole)
    workspace = workspace_with(prepared, tmp_path / "cut", data, **options)
    stopped = run_python(["-c", INTERRUPT.format(at=at)], workspace)
    assert stopped.returncode == 75, stopped.stdout + stopped.stderr
    assert "start again to go on" in stopped.stdout
    assert not (workspace / "models").exists()
    assert_equal(trained(workspace), weights)
    columns = ("epoch", "step", "lr", "train_loss", "val_loss", "val_miou")
    assert [int(step) for [step] in history(whole, "step")] == [2, 3, 4, 5]
    assert history(workspace, *columns) == history(whole, *columns)
    assert not list((workspace / ".segpipe/state").glob("*/"))


@pytest.mark.parametrize("norm", ["batch", pytest.param("group", marks=pytest.mark.slow)])
def test_the_number_of_processes_does_not_change_the_result(
    norm: str, tmp_path: Path, data: Path, prepared: Path
) -> None:
    options = {"model__unet__norm": norm, "train__length": 2, "train__lr": 0.003}
    one = workspace_with(prepared, tmp_path / "one", data, **options)
    two = workspace_with(prepared, tmp_path / "two", data, **options)
    assert largest_difference(trained(one), trained(two, SEGPIPE_PROCESSES="2")) < 2e-4
    losses = [np.array(history(w, "train_loss", "val_loss"), float) for w in (one, two)]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)
    counted = [
        json.loads((w / "metrics/training.json").read_text())["processes"] for w in (one, two)
    ]
    assert counted == [1, 2]


@pytest.mark.slow
def test_what_is_derived_is_the_same_on_any_number_of_processes(
    tmp_path: Path, data: Path, prepared: Path
) -> None:
    """The average of the weights, class weights, picks by class, plateau's rate and an early stop."""
    options = {
        "train__ema": 0.8,
        "train__lr": 0.003,
        "train__length": 4,
        "train__validate_every": "1 step",
        "loss__class_weights": "inverse",
        "train__sampler": "class_centroids",
        "train__schedule": "plateau",
        "train__plateau": {"metric": "val_miou", "factor": 0.5, "patience": 0, "threshold": 9.0},
        "train__early_stopping": {"metric": "val_miou", "patience": 5, "threshold": 9.0},
    }
    one = workspace_with(prepared, tmp_path / "one", data, **options)
    two = workspace_with(prepared, tmp_path / "two", data, **options)
    assert largest_difference(trained(one), trained(two, SEGPIPE_PROCESSES="2")) < 2e-4
    assert history(one, "step", "lr") == history(two, "step", "lr")
    assert len(history(one, "step")) == 6, "the first validation, and five without gain"
    losses = [np.array(history(w, "train_loss", "val_loss"), float) for w in (one, two)]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)


@pytest.mark.slow
def test_accumulation_does_not_change_the_result(
    tmp_path: Path, data: Path, prepared: Path
) -> None:
    # Group norm: batch norm sees micro-batches, which is said in docs/distributed.md.
    options = {"model__unet__norm": "group", "train__length": 2, "train__lr": 0.003}
    once = workspace_with(prepared, tmp_path / "once", data, **options)
    thrice = workspace_with(prepared, tmp_path / "four", data, train__accumulation=4, **options)
    assert largest_difference(trained(once), trained(thrice)) < 2e-4


def test_a_batch_that_does_not_divide_is_refused(
    tmp_path: Path, data: Path, prepared: Path
) -> None:
    workspace = workspace_with(prepared, tmp_path / "w", data, train__batch_size=3)
    done = run_stage("train", workspace, SEGPIPE_PROCESSES="2")
    assert done.returncode == 1
    assert (
        "cannot be shared by 2 processes with 1 accumulation steps each; it can be 2 or 4"
        in done.stderr
    )
    assert "Traceback" not in done.stderr
    assert not (workspace / "models").exists()


def with_uneven_void(prepared: Path, target: Path) -> Path:
    """A copy of the workspace in which every third truth is void but for a strip."""
    shutil.copytree(prepared, target, symlinks=True)
    for split in ("train", "val"):
        place = target / "data/prepared" / split / "masks.npy"
        masks = np.load(place)
        masks[::3, 2:] = 255
        np.save(place, masks)
    return target


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["batch", "group"])
def test_four_processes_with_uneven_void(
    norm: str, tmp_path: Path, data: Path, prepared: Path
) -> None:
    """Eleven training and five validation images, of which the processes have unequal parts.

    Under group norm the work is cut into the same micro-batches of one sample, on one process in
    turn and on four at once; batch norm, which sees them, is synchronised instead.
    """
    uneven = with_uneven_void(prepared, tmp_path / "uneven")
    options = {"model__unet__norm": norm, "train__length": 2, "train__lr": 0.003}
    in_turn = {"train__accumulation": 4} if norm == "group" else {}
    one = workspace_with(uneven, tmp_path / "one", data, **options, **in_turn)
    four = workspace_with(uneven, tmp_path / "four", data, **options)
    assert largest_difference(trained(one), trained(four, SEGPIPE_PROCESSES="4")) < 2e-4
    losses = [np.array(history(w, "train_loss", "val_loss"), float) for w in (one, four)]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)


@pytest.mark.slow
def test_validation_counts_are_equal_on_one_process_and_on_four(
    tmp_path: Path, data: Path, prepared: Path
) -> None:
    """A learning rate that moves no weight: the same network scores five images, one at a time."""
    uneven = with_uneven_void(prepared, tmp_path / "uneven")
    options = {"model__unet__norm": "group", "train__length": "1 step", "train__lr": 1e-30}
    options |= {"train__warmup": 0, "train__weight_decay": 0.0}
    one = workspace_with(uneven, tmp_path / "one", data, train__accumulation=4, **options)
    four = workspace_with(uneven, tmp_path / "four", data, **options)
    assert largest_difference(trained(one), trained(four, SEGPIPE_PROCESSES="4")) == 0
    keys = ("val_miou", "val_pixel_accuracy")
    summaries = [json.loads((w / "metrics/training.json").read_text()) for w in (one, four)]
    scores = [[summary[key] for key in keys] for summary in summaries]
    assert scores[0] == scores[1]
