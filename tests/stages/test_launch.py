"""Starting, stopping and losing the processes of a training."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from segpipe.dataset.digests import write_sums
from segpipe.runtime.errors import DataError, LaunchError, ParameterError
from segpipe.training.distributed.launch import already_launched, number_of_processes
from stages.train import prepared_folder
from tests.forge import (
    checkpoints,
    child_environment,
    children,
    runs,
    wait_for_checkpoint,
    wait_until,
    workspace_with,
)

BIN = Path(sys.executable).parent


@pytest.fixture
def workspace(tmp_path: Path, prepared: Path) -> Path:
    return workspace_with(prepared, tmp_path / "w", train__length=2000)


def shorten(workspace: Path) -> None:
    path = workspace / "params.yaml"
    path.write_text(path.read_text().replace("length: 2000", "length: 2"))


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux's /proc")
def test_a_training_that_loses_its_parent_saves_and_ends(workspace: Path) -> None:
    """Of several processes: tests/pipeline/test_dvc_killed.py."""
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import subprocess, sys; subprocess.run([sys.executable, '-m', 'stages.train'])",
        ],
        cwd=workspace,
        env=child_environment(SEGPIPE_PROCESSES="1"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_for_checkpoint(workspace, parent)
    [trainer] = children(parent.pid)
    parent.kill()
    parent.wait()
    wait_until(lambda: not runs(trainer))
    assert checkpoints(workspace), "the state is kept"
    assert not (workspace / "models").exists()


@pytest.mark.parametrize(
    ("sent", "processes"),
    [
        (signal.SIGINT, 1),  # SIGTERM to one: tests/stages/test_stages.py
        pytest.param(signal.SIGINT, 2, marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, 2, marks=pytest.mark.slow),
    ],
)
def test_a_signal_saves_and_leaves_resumable(sent: int, processes: int, workspace: Path) -> None:
    trainer = subprocess.Popen(
        [sys.executable, "-m", "stages.train"],
        cwd=workspace,
        env=child_environment(SEGPIPE_PROCESSES=str(processes)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    wait_for_checkpoint(workspace, trainer)
    if sent == signal.SIGINT:
        os.killpg(trainer.pid, sent)  # as a terminal does it: to all processes at once
    else:
        trainer.send_signal(sent)
    output, errors = trainer.communicate(timeout=200)
    assert trainer.returncode == 75, errors
    assert "start again to go on" in output
    assert "Traceback" not in errors
    assert 1 <= len(checkpoints(workspace)) <= 2, "the last two are kept"


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        [BIN / "torchrun", "--nproc_per_node", "2", "-m", "stages.train"],
        [BIN / "torchrun", "--nproc_per_node", "2", "stages/train.py"],
        [BIN / "accelerate", "launch", "--multi_gpu", "--num_processes", "2", "stages/train.py"],
        [BIN / "accelerate", "launch", "--num_processes", "1", "stages/train.py"],
    ],
    ids=["torchrun-module", "torchrun-file", "accelerate-2", "accelerate-1"],
)
def test_other_launchers_work(command: list[str], workspace: Path) -> None:
    shorten(workspace)
    done = subprocess.run(
        command,
        cwd=workspace,
        env=child_environment(ACCELERATE_USE_CPU="1"),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    wanted = 1 if "1" in command else 2
    assert json.loads((workspace / "metrics/training.json").read_text())["processes"] == wanted


@pytest.mark.slow
def test_a_launch_that_started_fewer_than_asked_is_refused(workspace: Path) -> None:
    done = subprocess.run(
        [BIN / "accelerate", "launch", "--cpu", "--num_processes", "2", "stages/train.py"],
        cwd=workspace,
        env=child_environment(SEGPIPE_PROCESSES="2"),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode != 0
    assert "SEGPIPE_PROCESSES asks for 2 processes, but 1 were started" in done.stderr


def test_the_number_of_processes_comes_from_the_first_that_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("WORLD_SIZE", "ACCELERATE_MIXED_PRECISION", "SEGPIPE_PROCESSES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    assert number_of_processes() == 1
    assert not already_launched()
    monkeypatch.setattr("torch.cuda.device_count", lambda: 4)
    assert number_of_processes() == 4
    (tmp_path / "accelerate").mkdir()
    (tmp_path / "accelerate/default_config.yaml").write_text("num_processes: 3\nnum_machines: 1\n")
    assert number_of_processes() == 3
    monkeypatch.setenv("SEGPIPE_PROCESSES", "2")
    assert number_of_processes() == 2
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert already_launched()
    monkeypatch.setenv("WORLD_SIZE", "1")
    with pytest.raises(LaunchError, match="asks for 2 processes, but 1 were started"):
        already_launched()
    monkeypatch.setenv("SEGPIPE_PROCESSES", "two")
    with pytest.raises(LaunchError, match="must be a whole number"):
        number_of_processes()
    monkeypatch.delenv("SEGPIPE_PROCESSES")
    (tmp_path / "accelerate/default_config.yaml").write_text("num_processes: 3\nnum_machines: 2\n")
    with pytest.raises(LaunchError, match="names 2 machines"):
        number_of_processes()
    (tmp_path / "accelerate/default_config.yaml").write_text("- 3\n")
    with pytest.raises(LaunchError, match="must hold what `accelerate config` writes"):
        number_of_processes()
    (tmp_path / "accelerate/default_config.yaml").write_text("a: &a [*a]\n")
    with pytest.raises(ParameterError, match=r"default_config\.yaml: line 1: an alias"):
        number_of_processes()


def test_a_copy_of_the_prepared_data_is_read_if_it_is_one(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workspace_with(prepared, tmp_path / "w"))
    monkeypatch.delenv("SEGPIPE_PREPARED", raising=False)
    assert prepared_folder() == Path("data/prepared")
    copy = tmp_path / "copy"
    monkeypatch.setenv("SEGPIPE_PREPARED", str(copy))
    with pytest.raises(DataError, match=r"copy/dataset\.json: there is no such file"):
        prepared_folder()
    shutil.copytree("data/prepared", copy)
    assert prepared_folder() == copy
    about = json.loads((copy / "dataset.json").read_text())
    (copy / "dataset.json").write_text(json.dumps(about | {"fingerprint": "of yesterday"}))
    write_sums(copy)
    with pytest.raises(DataError, match="is a copy of other data than data/prepared/ is now"):
        prepared_folder()
