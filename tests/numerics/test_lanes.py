"""The promise of `train.lanes`: the same bits on any number of processes, also of a run that moves.

Every process has one thread (`tests/conftest.py`), as docs/distributed.md asks for.
"""

import signal
from pathlib import Path
from typing import Any

import pytest

from tests.forge import ROOT, make_prepared, workspace_with
from tests.published import Result
from tests.trainers import Outcome, Trainers

OPTIONS: dict[str, Any] = {
    "train__batch_size": 8,
    "train__lanes": 4,
    "train__length": 2,
    "train__lr": 0.01,
}
# All that a step may do beside: dropout by lane, the average, samples by class, a clipped gradient, and
# a rate that depends on the validation loss.
ALL = {
    "model__unet__dropout": 0.2,
    "train__ema": 0.9,
    "train__sampler": "class_centroids",
    "train__clip": 0.1,
    "train__scores": True,
    "train__schedule": "plateau",
    "train__plateau": {"metric": "val_loss", "factor": 0.5, "patience": 0, "threshold": 9.0},
    "loss__class_weights": "inverse",
}
CASES: dict[str, dict[str, Any]] = {
    "batch norm and all": ALL,
    "group norm": {"model__unet__norm": "group"},
    "no norm": {"model__unet__norm": "none", "train__optimizer": "sgd"},
    "regseg": {"model__name": "regseg", "train__batch_size": 16},
    "pspnet": {"model__name": "pspnet"},
    "bf16": {"train__precision": "bf16"},
    "muon": {"train__optimizer": "muon", "train__precision": "bf16"},
    "one sample a lane": {"train__lanes": 8},
}
# Clips of three frames of generated streets, 19 for training.
CLIPS: dict[str, Any] = {
    "source__name": "synthetic",
    "source__synthetic__train": 19,
    "source__synthetic__val": 3,
    "source__synthetic__test": 0,
    "source__synthetic__height": 32,
    "source__synthetic__width": 64,
    "source__clip__frames": 3,
    "labels__scheme": "cityscapes19",
    "prepare__height": 32,
    "prepare__width": 64,
    "model__name": "resnet_lstm",
    "model__resnet_lstm__grid_height": 1,
    "model__resnet_lstm__grid_width": 2,
}


@pytest.fixture(scope="module")
def prepared_clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("clips")
    return make_prepared(root / "w", ROOT / "data/synthetic.yaml", **CLIPS)


def trained(
    trainers: Trainers, prepared: Path, root: Path, processes: int, **options: Any
) -> tuple[Outcome, Result]:
    workspace = workspace_with(prepared, root / str(processes), **OPTIONS | options)
    outcome = trainers.train(workspace, processes)
    assert outcome.codes == [0] * processes, outcome.said
    return outcome, Result(workspace)


def check_bits(
    trainers: Trainers, prepared: Path, root: Path, numbers: list[int], **options: Any
) -> None:
    whole, alone = trained(trainers, prepared, root, 1, **options)
    assert len(whole.steps) > 1
    for processes in numbers:
        parts, result = trained(trainers, prepared, root, processes, **options)
        assert parts.steps == whole.steps, "samples, valid pixels, and losses to the bit"
        assert parts.counts == whole.counts, "each pixel of every validation, by class"
        assert result.differences(alone) == []


@pytest.mark.slow
def test_two_processes_end_in_the_bits_of_one(
    tmp_path: Path, prepared: Path, trainers: Trainers
) -> None:
    check_bits(trainers, prepared, tmp_path, [2], **ALL | {"train__length": 1})


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_the_number_of_processes_does_not_change_a_bit(
    case: str, tmp_path: Path, prepared: Path, trainers: Trainers
) -> None:
    numbers = [2, 4, 8] if CASES[case].get("train__lanes") == 8 else [2, 4]
    check_bits(trainers, prepared, tmp_path, numbers, **CASES[case])


@pytest.mark.slow
def test_clips_of_frames_have_the_same_bits_too(
    prepared_clips: Path, tmp_path: Path, trainers: Trainers
) -> None:
    options = {**CLIPS, "train__sampler": "class_centroids"}
    check_bits(trainers, prepared_clips, tmp_path, [2, 4], **options)


@pytest.mark.slow
def test_a_run_that_is_killed_goes_on_with_other_processes_and_ends_in_the_same_bits(
    tmp_path: Path, prepared: Path, trainers: Trainers
) -> None:
    """Killed on four processes, stopped on one, and ended on two; against one that was left alone."""
    options = {**ALL, "checkpoint__steps": 1}
    whole, alone = trained(trainers, prepared, tmp_path, 1, **options)
    assert len(whole.steps) == 4
    workspace = workspace_with(prepared, tmp_path / "moved", **OPTIONS | options)
    kill = {"rank": 3, "phase": "step", "count": 2, "number": signal.SIGKILL}
    killed = trainers.train(workspace, 4, kill)
    assert killed.codes[3] == -signal.SIGKILL
    assert 0 not in killed.codes
    stop = {"rank": 0, "phase": "step", "count": 1, "number": signal.SIGTERM}
    stopped = trainers.train(workspace, 1, stop)
    assert stopped.codes == [75], stopped.said
    assert "processes was 4 and is 1 now" in stopped.said[0]
    ended = trainers.train(workspace, 2)
    assert ended.codes == [0, 0], ended.said
    assert "processes was 1 and is 2 now" in ended.said[0]
    assert stopped.steps + ended.steps == whole.steps[4 - len(stopped.steps + ended.steps) :]
    assert ended.steps, "each of them has trained"
    assert Result(workspace).differences(alone) == []


@pytest.mark.slow
def test_processes_that_do_not_divide_the_lanes_are_refused(
    tmp_path: Path, prepared: Path, trainers: Trainers
) -> None:
    options = {**OPTIONS, "train__batch_size": 12}
    done = trainers.train(workspace_with(prepared, tmp_path / "w", **options), 3)
    assert done.codes == [1, 1, 1]
    said = "train.lanes (4) cannot be shared by 3 processes; start 1 or 2 or 4"
    assert said in done.said[0]
    assert "Traceback" not in done.said[0]
