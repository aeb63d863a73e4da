"""Preparation in parts, as an array of Slurm, an indexed Job and Ray run it, on this machine's loopback."""

import argparse
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from stages import prepare
from tests.forge import (
    ROOT,
    child_environment,
    make_folder,
    make_workspace,
    run_python,
    run_stage,
    runs,
    wait_until,
)

ARRAY, JOB = ROOT / "deploy/slurm/prepare.sbatch", ROOT / "deploy/kubernetes/prepare.yaml"

# A part whose shards have one image to 8 KB and whose workers take half a second for each.
SLOWED = """
import sys, time
from segpipe.dataset import shards
from segpipe.preparation import pool
from stages import prepare

at_once = pool.process_samples

def slowed(jobs, context):
    time.sleep(0.5)
    return at_once(jobs, context)

if __name__ == "__main__":
    shards._LEAST_AVERAGE = {least}
    pool.process_samples = slowed
    sys.exit(prepare.start())
"""
# As `python -m stages.prepare`, with shards as small.
SMALL = SLOWED.replace("    pool.process_samples = slowed\n", "")


@pytest.fixture(scope="module")
def fetched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = make_folder(tmp_path_factory.mktemp("data"), train=12, val=3, test=2)
    workspace = make_workspace(tmp_path_factory.mktemp("w") / "w", data, prepare__copies__count=1)
    for name, code in (("slowed.py", SLOWED), ("small.py", SMALL)):
        (workspace / name).write_text(code.replace("{least}", "16384"))
    (workspace / "deploy").symlink_to(ROOT / "deploy")
    done = run_stage("fetch", workspace)
    assert done.returncode == 0, done.stderr
    return workspace


@pytest.fixture(scope="module")
def alone(fetched: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The workspace in which one process has prepared, by the module that did."""
    made: dict[str, Path] = {}

    def prepared(module: str) -> Path:
        if module not in made:
            made[module] = copied(fetched, tmp_path_factory.mktemp("alone") / "w")
            done = run_python(["-m", module], made[module])
            assert done.returncode == 0, done.stderr
        return made[module]

    return prepared


def copied(workspace: Path, target: Path) -> Path:
    """A copy with the times of change of the raw files, by which these are known."""
    return Path(shutil.copytree(workspace, target, symlinks=True))


def outputs(workspace: Path) -> dict[str, bytes]:
    folders = ("prepared", "report", "statistics")
    paths = [path for name in folders for path in (workspace / "data" / name).rglob("*")]
    assert not list((workspace / ".segpipe/shards").glob("*")), "they are taken, and removed"
    return {
        path.relative_to(workspace).as_posix(): path.read_bytes()
        for path in paths
        if path.is_file()
    }


def in_the_array(workspace: Path, task: int, tasks: int) -> "subprocess.Popen[str]":
    """Run the batch script as one task of an array; srun runs its command here."""
    tools = workspace / "bin"
    tools.mkdir(exist_ok=True)
    (tools / "srun").write_text('#!/usr/bin/env bash\nshift\nexec "$@"\n')
    (tools / "srun").chmod(0o755)
    environment = child_environment(
        PATH=f"{tools}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        SLURM_ARRAY_TASK_ID=str(task),
        SLURM_ARRAY_TASK_COUNT=str(tasks),
        SLURM_CPUS_PER_TASK="2",
    )
    return subprocess.Popen(
        ["bash", ARRAY],
        cwd=workspace,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_the_array_and_the_stage_write_what_one_process_writes(
    fetched: Path, alone: Callable[[str], Path], tmp_path: Path
) -> None:
    workspace = copied(fetched, tmp_path / "w")
    tasks = [in_the_array(workspace, task, 2) for task in (1, 2)]
    for number, task in enumerate(tasks, start=1):
        said, errors = task.communicate(timeout=600)
        assert task.returncode == 0, errors
        assert f"part {number}/2: " in said
    assert not (workspace / "data/prepared").exists()
    # What the stage took from them it need not read.
    [store] = (workspace / ".segpipe/shards").iterdir()
    assert {path.name for path in store.iterdir()} == {"train-00000", "val-00000", "test-00000"}
    done = run_stage("prepare", workspace)
    assert done.returncode == 0, done.stderr
    assert "0 of 0 images" in done.stderr
    assert outputs(workspace) == outputs(alone("stages.prepare"))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_shards_of_a_worker_that_died_are_made_again(
    number: signal.Signals, fetched: Path, alone: Callable[[str], Path], tmp_path: Path
) -> None:
    workspace = copied(fetched, tmp_path / "w")
    worker = subprocess.Popen(
        [sys.executable, "-m", "slowed", "--part", "1/1"],
        cwd=workspace,
        env=child_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_until(lambda: list(workspace.glob(".segpipe/shards/*/*")) or worker.poll() is not None)
    worker.send_signal(number)
    _, errors = worker.communicate(timeout=600)
    assert worker.returncode == (-9 if number == signal.SIGKILL else 143), errors
    [store] = (workspace / ".segpipe/shards").iterdir()
    left = [path for path in store.iterdir() if path.name.startswith(".")]
    assert bool(left) == (number == signal.SIGKILL)
    done = run_python(["-m", "small"], workspace)
    assert done.returncode == 0, done.stderr
    assert outputs(workspace) == outputs(alone("small"))


@pytest.mark.slow
@pytest.mark.parametrize("lost", [False, True], ids=["unhurt", "a worker is killed"])
def test_ray_and_the_stage_write_what_one_process_writes(
    lost: bool, fetched: Path, alone: Callable[[str], Path], tmp_path: Path
) -> None:
    pytest.importorskip("ray", reason="pip install 'segpipe[ray]'")
    workspace = copied(fetched, tmp_path / "w")
    driver = subprocess.Popen(
        [sys.executable, "-m", "deploy.ray_prepare", "--parts", "2"],
        cwd=workspace,
        # A cluster of its own, with its token.
        env=child_environment(HOME=str(tmp_path)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    if lost:
        wait_until(lambda: parts_at_work(workspace) or driver.poll() is not None)
        part = parts_at_work(workspace)[0]
        os.kill(parent(part), signal.SIGKILL)
        wait_until(lambda: not runs(part), 30)
    _, errors = driver.communicate(timeout=600)
    assert driver.returncode == 0, errors
    [store] = (workspace / ".segpipe/shards").iterdir()
    made = {path.name for path in store.iterdir() if not path.name.startswith(".")}
    assert made == {"train-00000", "val-00000", "test-00000"}
    done = run_stage("prepare", workspace)
    assert done.returncode == 0, done.stderr
    assert outputs(workspace) == outputs(alone("stages.prepare"))


def parts_at_work(workspace: Path) -> list[int]:
    """The processes that make a part in this workspace."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            command = (folder / "cmdline").read_bytes()
            if b"--part\0" in command and (folder / "cwd").resolve() == workspace.resolve():
                found.append(int(folder.name))
    return found


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_the_indexed_job_has_a_pod_for_each_part() -> None:
    [job] = YAML(typ="safe").load_all(JOB.read_text())
    command = job["spec"]["template"]["spec"]["containers"][0]["command"]
    assert command[:2] == ["bash", "-c"]
    parts = []
    for index in range(job["spec"]["completions"]):
        shown = subprocess.run(
            ["bash", "-c", command[2].replace("exec", "echo")],
            env={**os.environ, "JOB_COMPLETION_INDEX": str(index)},
            capture_output=True,
            text=True,
            check=True,
        )
        parts.append(shown.stdout.split()[-1])
    total = job["spec"]["completions"]
    assert parts == [f"{number}/{total}" for number in range(1, total + 1)]
    assert job["spec"]["completionMode"] == "Indexed"
    assert job["spec"]["parallelism"] == total


def test_the_array_begins_with_one() -> None:
    """Its number of tasks is the number of parts only so."""
    assert re.search(r"^#SBATCH --array=1-\d+$", ARRAY.read_text(), re.MULTILINE)


@pytest.mark.parametrize("text", ["", "3", "0/2", "3/2", "1/0", "a/b", "-1/2", "1/2/3"])
def test_what_is_no_part_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is not K/N with K from 1 to N"):
        prepare._part(text)
    assert prepare._part("3/16") == (3, 16)
