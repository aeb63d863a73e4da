"""What tells runs of the peers apart, and that a killed one is started again until it is done."""

import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from bench.peers import task
from bench.peers.__main__ import row, table
from bench.peers.compare import difference, read_steps, sample_faults
from bench.peers.runs import SCRIPTS, Script, moments, train


def batches(epoch: int) -> list[list[int]]:
    """The samples of an epoch in order."""
    return [
        [(epoch + step * task.BATCH + k) % task.SAMPLES for k in range(task.BATCH)]
        for step in range(task.EPOCH_STEPS)
    ]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run of two epochs on two processes, whose weights are those of a convolution and its bias."""
    for rank in (0, 1):
        monkeypatch.setenv("RANK", str(rank))
        monkeypatch.chdir(tmp_path)
        log = task.StepLog()
        for step, samples in enumerate(batches(0) + batches(1)):
            log.add(step, samples[rank::2], loss=float(rank))
    write_weights(tmp_path)
    monkeypatch.setenv("RANK", "0")
    return tmp_path


def write_weights(folder: Path, kernel: float = 0.0, bias: float = 0.0) -> None:
    folder.mkdir(exist_ok=True)
    weights = {
        "weight": np.full((2, 3, 3, 3), kernel, np.float32),
        "bias": np.array([bias], np.float32),
    }
    save_file(weights, folder / "final.safetensors")


def test_the_parts_of_the_processes_make_the_global_batch(run: Path) -> None:
    steps = read_steps(run)
    assert list(steps) == list(range(10))
    assert steps[1] == (list(range(8, 16)), 0.5)
    assert sample_faults(steps) == (0, 0)
    assert difference(run, run) == "same bits"


def test_a_step_counts_as_it_was_taken_last_and_repeated_samples_are_found(run: Path) -> None:
    task.StepLog().add(6, batches(1)[0][0::2], loss=0.0)
    assert sample_faults(read_steps(run)) == (4, 4)
    task.StepLog().add(6, batches(1)[1][0::2], loss=0.0)
    assert sample_faults(read_steps(run)) == (0, 0)


def test_differences_name_kernels_loss_and_samples(
    run: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path_factory.mktemp("other")
    write_weights(other, kernel=0.25, bias=9.0)
    monkeypatch.chdir(other)
    log = task.StepLog()
    for step, samples in enumerate(batches(0) + batches(2)):
        log.add(step, samples, loss=0.75 if step == 9 else 0.5)
    assert difference(run, other) == "kernels 2e-01, loss 2e-01, other samples in 5 steps"


def test_by_hand_an_epoch_goes_on_where_it_was_and_its_parts_are_the_batch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = list(task.EpochBatches(task.EPOCH_STEPS))
    assert sorted(index for batch in whole for _, index in batch) == list(range(task.SAMPLES))
    assert list(task.EpochBatches(task.EPOCH_STEPS + 2)) == whole[2:]
    assert list(task.EpochBatches(0)) != [[(0, index) for _, index in batch] for batch in whole]
    monkeypatch.setenv("WORLD_SIZE", "2")
    parts = []
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        parts.append(list(task.EpochBatches(task.EPOCH_STEPS)))
    assert [one + two for one, two in zip(*parts, strict=True)] == whole


def test_augmentation_by_hand_is_a_function_of_epoch_and_sample() -> None:
    scenes = task.Scenes()
    first, again, later = (scenes[key][0] for key in ((0, 1), (0, 1), (1, 1)))
    assert (first == again).all()
    assert not (first == later).all()


def test_a_peer_whose_package_is_missing_says_what_to_install() -> None:
    script = Script("nobody's trainer", "no_script", packages=("torch", "no-such-package"))
    cells = row(script, sys.executable, parts=(), kills=())
    assert "pip install no-such-package" in table([cells], "a line")


# A checkpoint is whole once `whole` lies in it; the first start hangs while it writes its third.
TRAINER = """#!/bin/sh
mkdir -p checkpoints
for step in 1 2 3 4; do
  state=checkpoints/step_$step
  [ -e $state/whole ] && continue
  [ -e $state ] && exit 1
  if [ $step = 3 ] && [ ! -e begun ]; then sleep 2; touch begun; mkdir $state; sleep 60; fi
  mkdir $state
  echo '{"step": '$step', "samples": [], "loss": 0}' >> seen-0.jsonl
  touch $state/whole
done
"""


def test_a_start_that_fails_on_half_a_checkpoint_is_repeated_without_it(tmp_path: Path) -> None:
    trainer = tmp_path / "trainer"
    trainer.write_text(TRAINER)
    trainer.chmod(0o755)
    killed = train(Script("", ""), str(trainer), tmp_path / "run", kills=((2, None),))
    assert (killed.kills, killed.refused) == (1, 1)
    assert list(read_steps(killed.folder)) == [1, 2, 3, 4]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["accelerate-by-hand", "segpipe"])
def test_a_training_that_is_killed_ends_in_the_same_bits(name: str, tmp_path: Path) -> None:
    whole = train(SCRIPTS[name], sys.executable, tmp_path / "whole")
    kills = tuple(moments(2, seed=1))
    killed = train(SCRIPTS[name], sys.executable, tmp_path / "killed", kills=kills)
    assert killed.kills == 2
    assert sorted(read_steps(killed.folder)) == list(range(task.STEPS))
    assert difference(whole.folder, killed.folder) == "same bits"


@pytest.mark.slow
def test_accelerate_as_documented_trains_to_the_end_after_kills(tmp_path: Path) -> None:
    kills = tuple(moments(2, seed=1))
    killed = train(SCRIPTS["accelerate"], sys.executable, tmp_path / "killed", kills=kills)
    assert killed.kills == 2
    assert sorted(read_steps(killed.folder)) == list(range(task.STEPS))
