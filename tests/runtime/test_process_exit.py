"""What a signal may and may not interrupt; tests/stages/test_interrupted.py has whole stages."""

import errno
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from segpipe.runtime.process_exit import (
    Terminated,
    explained,
    interrupted_when_told,
    uninterrupted,
)
from tests.forge import ROOT, child_environment, runs, wait_until

# The main thread waits for another one, which runs on for a second after the signal.
_WAITING = """
import sys, time, threading
from concurrent.futures import ThreadPoolExecutor
from segpipe.runtime.process_exit import explained, interrupted_when_told, uninterrupted
from segpipe.runtime.workers import closing

def work():
    print("at work", flush=True)
    time.sleep(1)
    print("done", flush=True)

def stage():
    with interrupted_when_told():
        with closing(ThreadPoolExecutor(1)) as beside:
            with uninterrupted():
                beside.submit(work)
        return 0

code = explained(stage)
print("alive" if any("Pool" in t.name for t in threading.enumerate()) else "ended", flush=True)
sys.exit(code)
"""
# The signal comes where Python drops exceptions.
_DROPPED = """
import os, signal, sys, time
from segpipe.runtime.process_exit import explained, interrupted_when_told

class Last:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.01)

def stage():
    with interrupted_when_told():
        Last()
        print("on", flush=True)
        time.sleep(60)
        return 0

sys.exit(explained(stage))
"""

# The signal comes when the first worker has been started, before the thread that will end it.
_STARTING = """
import os, signal, sys
from multiprocessing.context import SpawnProcess
from segpipe.runtime.process_exit import explained, interrupted_when_told
from segpipe.runtime.workers import ordered_map

start = SpawnProcess.start

def start_and_tell(process):
    start(process)
    os.kill(os.getpid(), signal.SIGTERM)

SpawnProcess.start = start_and_tell

def stage():
    with interrupted_when_told():
        list(ordered_map(abs, [-1, -2, -3], 2))
    return 0

sys.exit(explained(stage))
"""


def started(code: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=child_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("signals", [1, 3])
def test_no_signal_cuts_the_wait_for_a_thread_short(signals: int) -> None:
    """An interrupted join would take the thread for ended, and the interpreter would go first."""
    process = started(_WAITING)
    assert process.stdout is not None
    assert process.stdout.readline() == "at work\n"
    for _ in range(signals):
        process.terminate()
    out, err = process.communicate(timeout=60)
    assert out == "done\nended\n"
    assert err == "interrupted; nothing was published\n"
    assert process.returncode == 143


def test_a_signal_that_python_drops_is_raised_anew() -> None:
    process = started(_DROPPED)
    out, err = process.communicate(timeout=30)
    assert (out, err) == ("on\n", "interrupted; nothing was published\n")
    assert process.returncode == 143


def test_a_signal_while_workers_are_started_leaves_none_that_waits_for_ever() -> None:
    process = started(_STARTING)
    try:
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert err == "interrupted; nothing was published\n"
    assert process.returncode == 143


def test_a_signal_in_a_block_that_must_not_be_interrupted_comes_after_it() -> None:
    done = []
    with pytest.raises(Terminated), interrupted_when_told():
        with uninterrupted():
            os.kill(os.getpid(), signal.SIGTERM)
            done.append("whole")
        done.append("never")
    assert done == ["whole"]
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN, "the process is ending"
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def test_other_threads_are_not_concerned() -> None:
    before = signal.getsignal(signal.SIGINT)
    seen = []

    def work() -> None:
        with uninterrupted():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs Linux's /proc")
def test_a_stage_goes_with_its_parent_while_it_imports(tmp_path: Path) -> None:
    stages = tmp_path / "stages"
    stages.mkdir()
    (stages / "__init__.py").write_text((ROOT / "stages/__init__.py").read_text())
    (stages / "slow.py").write_text("import time\nprint(flush=True)\ntime.sleep(60)\n")
    script = f"{sys.executable} -m stages.slow & echo $!; wait"
    parent = subprocess.Popen(
        ["sh", "-c", script],
        cwd=tmp_path,
        env=child_environment(PYTHONPATH=str(ROOT)),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    stage = int(parent.stdout.readline())
    parent.stdout.readline()  # the stage imports
    parent.kill()
    parent.wait()
    wait_until(lambda: not runs(stage), 10)
    parent.stdout.close()


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.ENOSPC])
def test_a_protected_or_full_disk_is_said_without_a_traceback(
    number: int, capsys: pytest.CaptureFixture[str]
) -> None:
    def write() -> int:
        raise OSError(number, os.strerror(number), "metrics/history.csv")

    assert explained(write) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert "metrics/history.csv" in said or number == errno.ENOSPC
