"""A stage that is told to stop or killed: no process works on, and nothing half-made is left."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.forge import (
    child_environment,
    children,
    make_folder,
    make_workspace,
    run_stage,
    runs,
    wait_until,
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux's /proc"),
    pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one core: there are no workers"),
]

# The stage prepare, whose workers take half a second for each image.
DRIVER = """
import os, signal, sys, time
from pathlib import Path
from segpipe.preparation import pool
from stages import prepare
from stages.entry import run_stage

at_once = pool.process_samples

def slowed(jobs, context):
    Path(f"worker-{os.getpid()}").touch()
    time.sleep(0.5)
    return at_once(jobs, context)

if __name__ == "__main__":
    # As in a terminal; what a shell starts in the background is deaf to Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    pool.process_samples = slowed
    sys.exit(run_stage("prepare", prepare.run, ""))
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """So many images that two processes read them, and that it takes ten seconds."""
    made = make_workspace(tmp_path / "w", make_folder(tmp_path / "data", train=40, val=2))
    done = run_stage("fetch", made)
    assert done.returncode == 0, done.stderr
    (made / "driver.py").write_text(DRIVER)
    return made


@pytest.fixture
def started(workspace: Path) -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Start a command in the workspace, and wait until two workers are at work."""
    processes: list[subprocess.Popen[str]] = []

    def start(*command: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            command,
            cwd=workspace,
            env=child_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        processes.append(process)
        wait_until(lambda: len(workers(workspace)) >= 2 or process.poll() is not None)
        assert process.poll() is None, process.communicate()
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def workers(workspace: Path) -> list[int]:
    return [int(path.name.partition("-")[2]) for path in workspace.glob("worker-*")]


def published(workspace: Path) -> list[str]:
    return sorted(path.name for path in (workspace / "data").iterdir() if path.name != "raw")


@pytest.mark.parametrize("ctrl_c", [False, True], ids=["SIGTERM", "Ctrl-C"])
def test_a_stage_that_is_told_to_stop(
    ctrl_c: bool, workspace: Path, started: Callable[..., "subprocess.Popen[str]"]
) -> None:
    """A Ctrl-C reaches all processes of the terminal, also the workers."""
    process = started(sys.executable, "-m", "driver")
    if ctrl_c:
        os.killpg(process.pid, signal.SIGINT)
    else:
        process.terminate()
    _, said = process.communicate(timeout=100)
    assert process.returncode == (130 if ctrl_c else 143)
    assert said.endswith("interrupted; nothing was published\n")
    assert "Traceback" not in said
    wait_until(lambda: not any(map(runs, workers(workspace))), 20)
    assert published(workspace) == []


@pytest.mark.parametrize("victim", ["parent", "stage"])
def test_killed_a_stage_leaves_no_process(
    victim: str, workspace: Path, started: Callable[..., "subprocess.Popen[str]"]
) -> None:
    """As DVC is, under a shell that waits for its command; the stage sees that it is alone."""
    shell = started("sh", "-c", f"{sys.executable} -m driver; exit $?")
    [stage] = children(shell.pid)
    os.kill(shell.pid if victim == "parent" else stage, signal.SIGKILL)
    wait_until(lambda: not any(map(runs, [stage, *workers(workspace)])), 30)
    assert not (workspace / "data/prepared").exists()
    again = run_stage("prepare", workspace)
    assert again.returncode == 0, again.stderr
    assert published(workspace) == ["prepared", "report", "statistics"], "nothing half-made is left"
