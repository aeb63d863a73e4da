"""DVC as a program; tests/cli/test_train.py and tests/pipeline run the real one with stages."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from segpipe.runtime.dvc_process import dvc_command, dvc_environment, start_dvc, wait_for_dvc
from segpipe.runtime.process_exit import Terminated

# Stands for DVC: it starts a stage, which saves its state when it is told to end, and waits for it.
DVC = """
import subprocess, sys
subprocess.run([sys.executable, "-S", "-c", sys.argv[1]])
"""
STAGE = """
import pathlib, signal, time
def save(number, _):
    pathlib.Path("saved").touch()
    raise SystemExit(75)
signal.signal(signal.SIGTERM, save)
pathlib.Path("begun").touch()
time.sleep(60)
"""


def test_the_stages_find_the_python_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin")
    found = dvc_environment({"SEGPIPE_PROCESSES": "2"})
    assert found["PATH"].split(os.pathsep) == [str(Path(sys.executable).parent), "/usr/bin"]
    assert found["SEGPIPE_PROCESSES"] == "2"
    assert dvc_command("repro")[-3:] == ["-m", "dvc", "repro"]


def test_the_output_goes_into_a_file_and_the_code_is_returned(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("ab") as output:
        code = wait_for_dvc(start_dvc(["status"], output=output, folder=tmp_path))
    assert code != 0
    assert b"not inside of a DVC repository" in log.read_bytes()


def test_a_sigterm_is_raised_when_the_stage_has_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dvc = subprocess.Popen([sys.executable, "-S", "-c", DVC, STAGE], cwd=tmp_path)
    until = time.monotonic() + 60
    while not (tmp_path / "begun").exists() and time.monotonic() < until:
        time.sleep(0.01)
    wait, told = dvc.wait, iter([Terminated()])

    def interrupted() -> int:
        for one in told:
            raise one
        return wait()

    monkeypatch.setattr(dvc, "wait", interrupted)
    with pytest.raises(Terminated):
        wait_for_dvc(dvc)
    assert (tmp_path / "saved").exists()
    assert dvc.returncode == 0, "what stands for DVC ended by itself, after its stage"
