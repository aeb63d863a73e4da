"""Files and folders that appear whole or not at all."""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from segpipe.runtime.atomic import atomic_dir, atomic_file
from tests.forge import ROOT, child_environment, wait_until

# Takes a folder, says so, and is killed in it.
WRITER = """
import sys, time
from pathlib import Path
from segpipe.runtime.atomic import atomic_dir
with atomic_dir(Path(sys.argv[1])) as partial:
    (partial / "half").write_text("")
    print(partial, flush=True)
    time.sleep(600)
"""


class Cut(Exception):  # noqa: N818 (it stands for any)
    """The end of a block before its time."""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    for name in ("first", "second"):
        with atomic_dir(tmp_path / "models") as partial:
            (partial / name).touch()
            assert not (tmp_path / "models" / name).exists()
    assert names(tmp_path) == ["models"]
    assert names(tmp_path / "models") == ["second"]


def test_a_block_that_raises_changes_nothing(tmp_path: Path) -> None:
    with atomic_dir(tmp_path / "models") as partial:
        (partial / "first").touch()
    (tmp_path / "file").write_text("first")
    with pytest.raises(Cut), atomic_dir(tmp_path / "models") as partial:
        raise Cut
    with pytest.raises(Cut), atomic_file(tmp_path / "file") as partial:
        partial.write_text("half")
        raise Cut
    assert names(tmp_path) == ["file", "models"]
    assert names(tmp_path / "models") == ["first"]
    assert (tmp_path / "file").read_text() == "first"


def test_what_a_killed_process_left_goes_with_the_next_and_nothing_else(tmp_path: Path) -> None:
    """Not what another process is still writing, and not the user's own folders."""
    target = tmp_path / "models"
    for own in (".models.original", ".models.partial", ".others.12345678.partial"):
        (tmp_path / own).mkdir()
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, target],
            cwd=ROOT,
            env=child_environment(),
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    killed, living = (Path(writer.stdout.readline().strip()) for writer in writers if writer.stdout)
    writers[0].kill()
    writers[0].communicate()
    assert (killed / "half").exists()
    with atomic_dir(target) as partial:
        (partial / "new").touch()
        assert not killed.exists()
        assert (living / "half").exists()
    writers[1].kill()
    writers[1].communicate()
    with atomic_dir(target):
        assert not living.exists()
    assert names(tmp_path) == [
        ".models.original",
        ".models.partial",
        ".others.12345678.partial",
        "models",
    ]


def test_many_at_once_keep_out_of_each_others_way(tmp_path: Path) -> None:
    """Each makes a folder and looks for left over ones at the same moments as the others."""

    def write(number: int) -> int:
        whole = 0
        for _ in range(40):
            with pytest.raises(Cut), atomic_dir(tmp_path / "models") as partial:
                (partial / str(number)).touch()
                time.sleep(0.001)
                whole += names(partial) == [str(number)]
                raise Cut
        return whole

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(write, range(8))) == [40] * 8
    wait_until(lambda: names(tmp_path) == [], 1)
