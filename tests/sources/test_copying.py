"""Copies of the user's files."""

import shutil
from pathlib import Path

import pytest

from segpipe.runtime.errors import DataError
from segpipe.sources.copying import copy_files, size_of_files


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for name, size in (("a/1.png", 300), ("b/c/2.png", 700)):
        (tmp_path / "source" / name).parent.mkdir(parents=True)
        (tmp_path / "source" / name).write_bytes(bytes(size))
    (tmp_path / "target").mkdir()
    return tmp_path / "source"


def test_the_content_is_copied_and_never_linked(source: Path, tmp_path: Path) -> None:
    files = sorted(source.rglob("*.png"))
    copy_files(source, files, tmp_path / "target")
    for file in files:
        copy = tmp_path / "target" / file.relative_to(source)
        assert copy.read_bytes() == file.read_bytes()
        assert not copy.is_symlink() and copy.stat().st_ino != file.stat().st_ino


def test_a_disk_too_small_is_said_before_the_first_copy(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        shutil, "disk_usage", lambda _path: shutil._ntuple_diskusage(2000, 1001, 999)
    )
    files = sorted(source.rglob("*.png"))
    assert size_of_files(files) == 1000
    with pytest.raises(DataError, match=r"needs 1,000 bytes, but only 999 are free"):
        copy_files(source, files, tmp_path / "target")
    assert list((tmp_path / "target").iterdir()) == []


def test_a_link_to_nowhere_is_named(source: Path, tmp_path: Path) -> None:
    (source / "a/3.png").symlink_to(source / "gone.png")
    with pytest.raises(DataError, match=r"3\.png: cannot be read"):
        copy_files(source, sorted(source.rglob("*.png")), tmp_path / "target")
    assert list((tmp_path / "target").iterdir()) == []
