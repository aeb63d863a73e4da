"""The promises about numbers: repeatable, resumable, independent of how the work is shared out."""

import shutil
import signal
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segpipe.params.load import load_overlay
from tests.forge import ROOT, checkpoints, reseal, run_stage, workspace_with
from tests.published import LEARNT, Result
from tests.trainers import Outcome, Trainers

# docs/distributed.md states them: between numbers of processes, of kernels and (relative) of losses, for
# eight steps of a U-Net.
WEIGHTS, LOSSES = 2e-4, 1e-4


class Runs:
    """Trainings with the same options to the end, each made once; and workspaces for others."""

    def __init__(self, trainers: Trainers, prepared: Path, root: Path, **options: Any) -> None:
        self._trainers, self._prepared, self._root, self._options = (
            trainers,
            prepared,
            root,
            options,
        )
        self.to_the_end = cache(self._to_the_end)

    def workspace(self, name: str, **more: Any) -> Path:
        return workspace_with(self._prepared, self._root / name, **self._options, **more)

    def place(self, processes: int) -> Path:
        """The workspace of `to_the_end`."""
        return self._root / f"{processes}-1"

    def _to_the_end(self, processes: int, accumulation: int = 1) -> tuple[Outcome, Result]:
        name = f"{processes}-{accumulation}"
        workspace = self.workspace(name, train__accumulation=accumulation)
        outcome = self._trainers.train(workspace, processes)
        assert outcome.codes == [0] * processes, outcome.said
        return outcome, Result(workspace)


def kept_files(workspace: Path) -> dict[str, bytes]:
    """What the training kept along the way, by its path within the one folder of the training."""
    [folder] = (workspace / ".segpipe/kept").iterdir()
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.mark.slow
def test_two_runs_give_the_same_bits(tmp_path: Path, prepared: Path, trainers: Trainers) -> None:
    """One as DVC starts it, one forked, as those of the other tests are, and watched."""
    options = {"model__unet__dropout": 0.2, "train__length": 2}
    first, second = (workspace_with(prepared, tmp_path / name, **options) for name in "ab")
    alone = run_stage("train", first)
    assert alone.returncode == 0, alone.stderr
    assert trainers.train(second).codes == [0]
    assert Result(first).differences(Result(second)) == []
    for name in ("model.safetensors", "model.json"):
        assert (first / "models" / name).read_bytes() == (second / "models" / name).read_bytes()
    other = workspace_with(prepared, tmp_path / "c", train__seed=1, **options)
    assert trainers.train(other).codes == [0]
    assert Result(first).weight_difference(Result(other)) > 0.001


@pytest.fixture(scope="module")
def stopped(trainers: Trainers, prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """Validations within and at the ends of the epochs of four steps, and an end within one."""
    return Runs(
        trainers,
        prepared,
        tmp_path_factory.mktemp("stopped"),
        model__unet__dropout=0.2,
        train__length="5 steps",
        train__validate_every="3 steps",
        train__ema=0.9,
        train__scores=True,
        checkpoint__every="2 steps",
        tracking__enabled=False,
    )


@pytest.mark.parametrize(
    ("processes", "phase", "count", "saved"),
    [
        pytest.param(1, "step", 1, 2, marks=pytest.mark.slow),
        (1, "step", 2, 3),  # before a validation, which the next start makes
        # In the last step, in another epoch.
        pytest.param(1, "step", 4, 5, marks=pytest.mark.slow),
        pytest.param(2, "step", 1, 2, marks=pytest.mark.slow),
        pytest.param(2, "validation", 1, 3, marks=pytest.mark.slow),
    ],
)
def test_a_signal_to_one_stops_all_and_the_next_start_ends_in_the_same_bits(
    processes: int, phase: str, count: int, saved: int, stopped: Runs, trainers: Trainers
) -> None:
    """SIGTERM in a step, which the next one notices; in a validation, that its next batch notices."""
    workspace = stopped.workspace(f"cut-{processes}-{phase}-{count}")
    last = {"rank": processes - 1, "phase": phase, "count": count, "number": signal.SIGTERM}
    cut = trainers.train(workspace, processes, last)
    assert cut.codes == [75] * processes, cut.said
    assert "start again to go on" in cut.said[0]
    assert "Traceback" not in "".join(cut.said)
    assert len(cut.counts) == 1 + (saved > 3), "no validation beside the first was finished"
    assert int(checkpoints(workspace)[-1].name.partition("-")[2]) == saved
    assert not (workspace / "models").exists()
    whole, unstopped = stopped.to_the_end(processes)
    again = trainers.train(workspace, processes)
    assert again.codes == [0] * processes, again.said
    assert (cut.steps, again.steps) == (whole.steps[:saved], whole.steps[saved:])
    assert Result(workspace).differences(unstopped) == []
    assert unstopped.steps == [3, 4, 5]
    kept = kept_files(workspace)
    names = [f"models/step_{step:09d}" for step in (2, 4)]
    pictures = [f"pictures/step_{step:09d}.png" for step in (3, 5)]
    weights = [f"{name}/model.safetensors" for name in names]
    assert kept.keys() == {*pictures, *weights, *(f"{name}/model.json" for name in names)}
    theirs = kept_files(stopped.place(processes))
    assert [name for name in kept if kept[name] != theirs[name]] == []
    first, second = (kept[name] for name in weights)
    assert first != second
    assert not list((workspace / ".segpipe/state").glob("*/"))


@pytest.fixture(scope="module")
def moved(trainers: Trainers, prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """Two epochs of four steps under batch norm; within each, a validation of three samples."""
    root = tmp_path_factory.mktemp("moved")
    options = {"train__length": 2, "train__lr": 0.003, "train__scores": True}
    options["train__partial_validation"] = {"every": "2 steps", "samples": 3}
    return Runs(trainers, prepared, root, checkpoint__steps=1, **options)


@pytest.mark.parametrize(
    ("before", "after", "number"),
    [
        pytest.param(2, 1, signal.SIGTERM, marks=pytest.mark.slow),
        (1, 2, signal.SIGKILL),
        pytest.param(1, 4, signal.SIGTERM, marks=pytest.mark.slow),
        pytest.param(4, 2, signal.SIGTERM, marks=pytest.mark.slow),
    ],
)
def test_on_another_number_of_processes_it_goes_on_in_the_same_order(
    before: int, after: int, number: int, moved: Runs, trainers: Trainers
) -> None:
    """Stopped, or killed, within the second epoch."""
    workspace = moved.workspace(f"{before}-to-{after}")
    place = {"rank": 0, "phase": "step", "count": 6, "number": number}
    cut = trainers.train(workspace, before, place)
    killed = number == signal.SIGKILL
    assert cut.codes == ([-number] if killed else [75] * before), cut.said
    taken = 5 if killed else 6  # the validation of a part, after the sixth, notices the signal
    assert len(cut.steps) == taken
    again = trainers.train(workspace, after)
    assert again.codes == [0] * after, again.said
    assert f"resuming at epoch 2, step {taken - 4 + 1}" in again.said[0]
    assert f"processes was {before} and is {after} now" in again.said[0]
    whole, unstopped = moved.to_the_end(1)
    for ours, theirs in zip(cut.steps + again.steps, whole.steps, strict=True):
        assert (ours.epoch, ours.step) == (theirs.epoch, theirs.step)
        assert ours.samples == theirs.samples
        assert ours.pixels == theirs.pixels
        assert ours.loss == pytest.approx(theirs.loss, rel=LOSSES)
    result = Result(workspace)
    assert result.loss_difference(unstopped) < LOSSES
    assert result.weight_difference(unstopped) < WEIGHTS
    for ours, theirs in zip(result.history, unstopped.history, strict=True):
        # Rounding decides of pixels whose two largest logits are nearly equal, of which so young a
        # network has many.
        assert ours[-1] == pytest.approx(theirs[-1], abs=5e-3), "the pixel accuracy of the training"
    assert result.summary.processes == after
    loss, _, samples = (LEARNT.index(f"partial_val_{name}") for name in ("loss", "miou", "samples"))
    assert [row[samples] for row in result.history] == [3, None, 3, None]
    for ours, theirs in zip(result.history[::2], unstopped.history[::2], strict=True):
        assert ours[loss] == pytest.approx(theirs[loss], rel=LOSSES)


def with_uneven_void(prepared: Path, target: Path) -> Path:
    """A copy of the workspace in which every third truth is void but for a strip."""
    shutil.copytree(prepared, target, symlinks=True)
    for split in ("train", "val"):
        (place,) = (target / "data/prepared" / split).glob("masks-*.npy")
        masks = np.load(place)
        masks[::3, 2:] = 255
        np.save(place, masks)
    reseal(target / "data/prepared")
    return target


@pytest.fixture(scope="module")
def shared(
    trainers: Trainers, prepared: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Runs]:
    """By norm: three steps on 16 of 19 samples, and validations on 5."""
    root = tmp_path_factory.mktemp("shared")
    uneven = with_uneven_void(prepared, root / "uneven")
    options = {"train__batch_size": 16, "train__length": 3, "train__lr": 0.001}
    return {
        norm: Runs(trainers, uneven, root / norm, model__unet__norm=norm, **options)
        for norm in ("group", "batch")
    }


SHARED = [
    ("batch", 2, 1),
    *(
        pytest.param("group", processes, accumulation, marks=pytest.mark.slow)
        for processes in (1, 2, 4)
        for accumulation in (1, 2, 4)
        if (processes, accumulation) != (1, 1)
    ),
    pytest.param("batch", 4, 1, marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("norm", "processes", "accumulation"), SHARED)
def test_how_the_work_is_shared_out_does_not_change_the_result(
    norm: str, processes: int, accumulation: int, shared: dict[str, Runs]
) -> None:
    """Uneven void, so that the parts have unequal numbers of valid pixels, and splits that do not divide.

    Batch norm, which sees micro-batches, only without accumulation, which is said in
    docs/distributed.md.
    """
    whole, alone = shared[norm].to_the_end(1)
    parts, result = shared[norm].to_the_end(processes, accumulation)
    assert len(whole.steps) == len(parts.steps) == 3
    assert len({step.pixels for step in whole.steps}) == 3
    for ours, theirs in zip(parts.steps, whole.steps, strict=True):
        assert ours.samples == theirs.samples, "the same samples, augmented to the same bits"
        assert ours.pixels == theirs.pixels
        assert ours.loss == pytest.approx(theirs.loss, rel=LOSSES)
    assert parts.counts[0] == whole.counts[0], (
        "each pixel of the first weights' validation, by class"
    )
    assert len(parts.counts) == 4
    assert result.loss_difference(alone) < LOSSES
    assert result.weight_difference(alone) < WEIGHTS
    work = [result.summary.processes, result.summary.accumulation]
    assert work == [processes, accumulation]


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["demo", "camvid"])
def test_the_default_recipes_agree_for_eight_steps(
    recipe: str, tmp_path: Path, prepared: Path, trainers: Trainers
) -> None:
    """Network (narrower), loss, optimizer and rate of a recipe, in float32, as docs/distributed.md says."""
    params = load_overlay(ROOT / f"recipes/{recipe}.yaml")
    options = {
        "model": params.model.model_dump(mode="json"),
        "loss": params.loss.model_dump(mode="json"),
        "train__optimizer": params.train.optimizer,
        "train__lr": params.train.lr,
        "train__batch_size": 8,
        "train__length": "8 steps",
    }
    assert params.model.name == "compact_fpn"
    options["model"]["compact_fpn"]["width"] = 8
    runs = Runs(trainers, prepared, tmp_path, **options)
    whole, alone = runs.to_the_end(1)
    for processes in (2, 4):
        parts, result = runs.to_the_end(processes)
        for ours, theirs in zip(parts.steps, whole.steps, strict=True):
            assert ours.samples == theirs.samples
            assert ours.loss == pytest.approx(theirs.loss, rel=1e-3)
        assert result.weight_difference(alone) < 5e-3


@pytest.mark.slow
def test_what_is_derived_is_the_same_on_any_number_of_processes(
    tmp_path: Path, prepared: Path, trainers: Trainers
) -> None:
    """The average of the weights, class weights, picks by class, plateau's rate and an early stop."""
    options = {
        "train__ema": 0.8,
        "train__lr": 0.003,
        "train__length": 2,
        "train__validate_every": "1 step",
        "loss__class_weights": "inverse",
        "train__sampler": "class_centroids",
        "train__schedule": "plateau",
        "train__plateau": {"metric": "val_miou", "factor": 0.5, "patience": 0, "threshold": 9.0},
        "train__early_stopping": {"metric": "val_miou", "patience": 5, "threshold": 9.0},
    }
    runs = Runs(trainers, prepared, tmp_path, **options)
    (whole, one), (parts, two) = runs.to_the_end(1), runs.to_the_end(2)
    assert [step.samples for step in parts.steps] == [step.samples for step in whole.steps]
    assert one.weight_difference(two) < WEIGHTS
    assert one.loss_difference(two) < LOSSES
    rates = [[row[2] for row in result.history] for result in (one, two)]
    assert rates[0] == rates[1]
    assert len(set(rates[0])) > 2
    assert len(one.steps) == 6, "the first validation, and five without gain"


def test_a_batch_that_does_not_divide_is_refused(
    tmp_path: Path, prepared: Path, trainers: Trainers
) -> None:
    workspace = workspace_with(prepared, tmp_path / "w", train__batch_size=3)
    done = trainers.train(workspace, 2)
    assert done.codes == [1, 1]
    assert (
        "cannot be shared by 2 processes with 1 accumulation steps each; it can be 2 or 4"
        in done.said[0]
    )
    assert "Traceback" not in done.said[0]
    assert not (workspace / "models").exists()
