"""What a trial of a sweep and the sweep tell each other (also runtime/lock: a lock that a child keeps)."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from segpipe.runtime.lock import lock_folder
from segpipe.runtime.trial import FOLDER, ask_to_end, end_is_asked, report_rows, reported_rows


def test_what_a_trial_and_its_sweep_tell_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report_rows([{"val_loss": 1.0}])
    assert not end_is_asked()
    monkeypatch.setenv(FOLDER, str(tmp_path))
    assert reported_rows(tmp_path) == []
    report_rows([{"step": 3, "val_loss": float("nan")}])
    assert reported_rows(tmp_path) == [{"step": 3, "val_loss": None}]
    assert not end_is_asked()
    ask_to_end(tmp_path)
    assert end_is_asked()


def test_a_child_keeps_the_lock_of_a_folder(tmp_path: Path) -> None:
    held = lock_folder(tmp_path)
    assert held is not None
    assert lock_folder(tmp_path) is None
    child = subprocess.Popen(
        [sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE, pass_fds=[held]
    )
    os.close(held)
    assert lock_folder(tmp_path) is None
    child.communicate(b"\n")
    free = lock_folder(tmp_path)
    assert free is not None
    os.close(free)
    assert lock_folder(tmp_path / "nothing") is None
