"""Files and folders that appear whole or not at all."""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from segpipe.runtime.atomic import atomic_dir, atomic_file, write_text
from tests.forge import ROOT, child_environment, wait_until

# Takes a folder, or a folder for a file, says so, and is killed in it.
WRITER = """
import sys, time
from pathlib import Path
from segpipe.runtime import atomic
with getattr(atomic, sys.argv[2])(Path(sys.argv[1])) as partial:
    half = partial / "half" if sys.argv[2] == "atomic_dir" else partial
    half.write_text("")
    print(half, flush=True)
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


@pytest.mark.parametrize("kind", ["atomic_dir", "atomic_file"])
def test_what_a_killed_process_left_goes_with_the_next_and_nothing_else(
    kind: str, tmp_path: Path
) -> None:
    """Not what another process is still writing, and not the user's own folders."""
    target = tmp_path / "models"
    others = [".models.partial", ".segpipe", ".segpipe-0123456789abcdeg.partial"]
    for own in others:
        (tmp_path / own).mkdir()
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, target, kind],
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
    assert killed.exists()
    write_text(tmp_path / "another", "")
    assert not killed.exists()
    assert living.exists()
    writers[1].kill()
    writers[1].communicate()
    with atomic_dir(target):
        assert not living.exists()
    assert names(tmp_path) == sorted([*others, "another", "models"])


def test_a_process_looks_once_in_a_folder_for_what_is_left_of_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would take longer with each of 100,000 files."""
    write_text(tmp_path / "first", "")
    monkeypatch.setattr(Path, "iterdir", lambda _: pytest.fail("it was looked for again"))
    write_text(tmp_path / "second", "content")
    assert (tmp_path / "second").read_text() == "content"


@pytest.mark.parametrize("umask", [0o022, 0o007, 0o077])
def test_files_and_folders_follow_the_umask(umask: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        write_text(tmp_path / "file", "")
        with atomic_dir(tmp_path / "folder"):
            pass
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o666 & ~umask
    assert (tmp_path / "folder").stat().st_mode & 0o777 == 0o777 & ~umask


def test_a_name_may_be_as_long_as_the_file_system_allows(tmp_path: Path) -> None:
    for character in ("x", "\N{LATIN SMALL LETTER A WITH DIAERESIS}"):
        name = character * (255 // len(character.encode()))
        write_text(tmp_path / name, "whole")
        assert (tmp_path / name).read_text() == "whole"
        with atomic_dir(tmp_path / f"{name[:-1]}-") as partial:
            (partial / name).touch()
    assert len(names(tmp_path)) == 4


def test_what_is_written_beside_the_file_goes_too(tmp_path: Path) -> None:
    """Such as GDAL's .aux.xml."""
    with atomic_file(tmp_path / "a.tif") as partial:
        partial.write_text("")
        partial.with_name(f"{partial.name}.aux.xml").write_text("")
    assert names(tmp_path) == ["a.tif"]


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
