"""Weights that two processes share out, in a training that is stopped and killed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.forge import (
    child_environment,
    children,
    newest_checkpoint,
    run_stage,
    runs,
    wait_until,
    workspace_with,
)
from tests.published import Result

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux's /proc"),
]

STEPS = 60


@pytest.fixture
def workspace(tmp_path: Path, prepared: Path) -> Path:
    options = {
        "train__length": f"{STEPS} steps",
        "train__validate_every": "20 steps",
        "train__sharding": "fsdp2",
        "train__ema": 0.9,
        "model__unet__dropout": 0.2,
        "checkpoint__steps": 4,
    }
    return workspace_with(prepared, tmp_path / "w", **options)


def started(workspace: Path) -> "subprocess.Popen[str]":
    """Start the training, and wait until it has saved once more."""
    before = newest_checkpoint(workspace)
    launcher = subprocess.Popen(
        [sys.executable, "-m", "stages.train"],
        cwd=workspace,
        env=child_environment(SEGPIPE_PROCESSES="2"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    wait_until(lambda: newest_checkpoint(workspace) > before or launcher.poll() is not None)
    assert launcher.poll() is None, launcher.communicate()
    return launcher


def test_stopped_and_killed_it_ends_in_the_bits_of_one_that_was_not(workspace: Path) -> None:
    launcher = started(workspace)
    launcher.terminate()
    said, _ = launcher.communicate(timeout=100)
    assert launcher.returncode == 75, said
    assert 0 < newest_checkpoint(workspace) < STEPS

    launcher = started(workspace)
    trainers = children(launcher.pid)
    assert len(trainers) == 2
    os.kill(trainers[1], signal.SIGKILL)
    said, _ = launcher.communicate(timeout=100)
    assert launcher.returncode == 128 + 9, said
    assert "each process has its part of weights, gradients and optimizer state" in said
    assert "resuming at" in said
    assert not any(map(runs, trainers))

    last = run_stage("train", workspace, SEGPIPE_PROCESSES="2")
    assert last.returncode == 0, last.stderr
    assert "resuming at" in last.stdout
    result = Result(workspace)
    unhurt = run_stage("train", workspace, SEGPIPE_PROCESSES="2")
    assert unhurt.returncode == 0, unhurt.stderr
    assert "resuming at" not in unhurt.stdout
    assert result.differences(Result(workspace)) == []
