"""Lock files: one holder at a time, also where each deletes the file; nothing is left."""

import subprocess
import sys
from pathlib import Path

import pytest

from segpipe.runtime.lock import held_file

COUNT = """
import sys, time
from pathlib import Path
from segpipe.runtime.lock import held_file

lock, number = Path(sys.argv[1]), Path(sys.argv[2])
for _ in range(int(sys.argv[3])):
    with held_file(lock, lambda holder: None, delete=True):
        before = int(number.read_text())
        time.sleep(0.0005)
        number.write_text(str(before + 1))
"""


def test_processes_that_delete_the_file_still_hold_it_one_after_the_other(tmp_path: Path) -> None:
    lock, number = tmp_path / "state.lock", tmp_path / "number"
    number.write_text("0")
    command = [sys.executable, "-c", COUNT, str(lock), str(number), "100"]
    started = [subprocess.Popen(command) for _ in range(4)]
    assert [one.wait(timeout=60) for one in started] == [0] * 4
    assert number.read_text() == "400"
    assert not lock.exists()


def test_whoever_is_refused_leaves_the_file_of_the_holder(tmp_path: Path) -> None:
    lock = tmp_path / "state.lock"

    def refuse(holder: str) -> None:
        raise ValueError(holder)

    with held_file(lock, refuse, delete=True):
        holder = lock.read_text()
        with pytest.raises(ValueError, match=holder), held_file(lock, refuse, delete=True):
            pytest.fail("two hold it")
        assert lock.read_text() == holder
    assert not lock.exists()


def test_the_file_goes_also_when_the_block_raises(tmp_path: Path) -> None:
    lock = tmp_path / "state.lock"
    with pytest.raises(KeyboardInterrupt), held_file(lock, pytest.fail, delete=True):
        raise KeyboardInterrupt
    assert not lock.exists()
    with held_file(lock, pytest.fail):
        pass
    assert lock.exists(), "without delete it stays"
