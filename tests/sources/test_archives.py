"""Archives: unpacked whole, or refused before anything is written."""

import contextlib
import shutil
import stat
import zipfile
from pathlib import Path

import pytest

from segpipe.runtime.errors import DataError
from segpipe.sources.archives import member_sizes, unpack


def archive_of(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "target").mkdir()
    return tmp_path / "target"


def test_the_content_comes_out_as_it_went_in(tmp_path: Path, target: Path) -> None:
    members = {"a/b.png": b"\x89PNG" + bytes(range(256)), "c.json": b"{}"}
    archive = archive_of(tmp_path / "x.zip", members)
    unpack(archive, target)
    found = {
        p.relative_to(target).as_posix(): p.read_bytes() for p in target.rglob("*") if p.is_file()
    }
    assert found == members
    assert member_sizes(archive) == {name: len(content) for name, content in members.items()}


@pytest.mark.parametrize(
    "name", ["../out.txt", "/abs.txt", "a/../../out.txt", "a\\..\\out", "c:/x"]
)
def test_a_path_out_of_the_folder_writes_nothing(name: str, tmp_path: Path, target: Path) -> None:
    archive = archive_of(tmp_path / "x.zip", {"fine.txt": b"1", name: b"2"})
    with pytest.raises(DataError, match="outside the folder"):
        unpack(archive, target)
    assert list(target.iterdir()) == []
    assert not (tmp_path / "out.txt").exists()


def test_a_link_writes_nothing(tmp_path: Path, target: Path) -> None:
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr(link, "/etc")
    with pytest.raises(DataError, match="is a link"):
        unpack(tmp_path / "x.zip", target)
    assert list(target.iterdir()) == []


def test_a_bomb_writes_nothing(tmp_path: Path, target: Path) -> None:
    archive = archive_of(tmp_path / "x.zip", {"zeros.png": bytes(50_000_000)})
    with pytest.raises(DataError, match="claim to unpack to"):
        unpack(archive, target)
    assert list(target.iterdir()) == []


def test_a_name_that_stands_twice_is_refused(tmp_path: Path, target: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as file:
        file.writestr("a", "1")
        with pytest.warns(UserWarning, match="Duplicate"):
            file.writestr("a", "2")
    with pytest.raises(DataError, match="twice"):
        unpack(tmp_path / "x.zip", target)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["a.png", "A.png"], "A.png: is the same file as a.png where case does not count"),
        (["b/\u00e9.png", "b/e\u0301.png"], "is the same file as b/\u00e9.png where"),
        (["b/c.png", "b//c.png"], "b//c.png: is the same file as b/c.png"),
        (["Train/a.png", "train"], "train: is a file, and a folder of other files"),
        ([f"b/{'x' * 300}.png"], f"b/{'x' * 58}...{'x' * 26}.png: has a name of 304 bytes; file"),
        (["b/" + "\u00e9" * 130], "has a name of 260 bytes; file systems take 255"),
        (["/".join(["y" * 200] * 6)], "is a path of 1,205 bytes, above 1,024"),
        (["c\x1b[31m/../../d"], r"'c\x1b[31m/../../d': would be written outside the folder"),
    ],
)
def test_names_that_no_file_system_can_hold_write_nothing(
    names: list[str], words: str, tmp_path: Path, target: Path
) -> None:
    archive = archive_of(tmp_path / "x.zip", dict.fromkeys(["fine.txt", *names], b"1"))
    for call in (lambda: unpack(archive, target), lambda: member_sizes(archive)):
        with pytest.raises(DataError) as caught:
            call()
        assert words in str(caught.value)
    assert list(target.iterdir()) == []


def test_names_of_up_to_255_bytes_are_unpacked(tmp_path: Path, target: Path) -> None:
    unpack(archive_of(tmp_path / "x.zip", {"z" * 255: b"1"}), target)
    assert [path.name for path in target.iterdir()] == ["z" * 255]


@pytest.mark.parametrize("place", ["central", "local"])
def test_a_name_that_is_not_utf_8_is_said(place: str, tmp_path: Path, target: Path) -> None:
    archive = archive_of(tmp_path / "x.zip", {"stra\u00dfe.png": b"1"})
    content, name = archive.read_bytes(), "stra\u00dfe.png".encode()
    at = content.rindex(name) if place == "central" else content.index(name)
    archive.write_bytes(content[: at + 4] + b"\xff\xfe" + content[at + 6 :])
    words = {"central": "claims to be UTF-8 and is not", "local": "stra\u00dfe.png is damaged"}
    with pytest.raises(DataError, match=words[place]):
        unpack(archive, target)


def test_a_folder_and_other_damage_in_the_place_of_an_archive(tmp_path: Path, target: Path) -> None:
    with pytest.raises(DataError, match="cannot be read: Is a directory"):
        unpack(target, target)
    archive = archive_of(tmp_path / "x.zip", {f"{n}.png": bytes(range(256)) for n in range(3)})
    content = archive.read_bytes()
    for at in range(len(content) - 250, len(content)):
        archive.write_bytes(content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :])
        with contextlib.suppress(DataError):  # and nothing else is raised
            unpack(archive, target)


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.9])
def test_a_truncated_archive_is_named(kept: float, tmp_path: Path, target: Path) -> None:
    archive = archive_of(tmp_path / "x.zip", {f"{n}.png": bytes(range(256)) for n in range(20)})
    content = archive.read_bytes()
    archive.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(DataError, match=r"x\.zip: is not a complete zip archive"):
        unpack(archive, target)


def test_a_flipped_bit_is_found(tmp_path: Path, target: Path) -> None:
    archive = tmp_path / "x.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as file:
        file.writestr("a.png", bytes(range(256)))
    content = bytearray(archive.read_bytes())
    content[100] ^= 1
    archive.write_bytes(bytes(content))
    with pytest.raises(DataError, match=r"a\.png is damaged"):
        unpack(archive, target)


def test_a_disk_too_small_is_said_before_writing(
    tmp_path: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = archive_of(tmp_path / "x.zip", {"a.png": bytes(1000)})
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: shutil._ntuple_diskusage(10, 5, 5))
    with pytest.raises(DataError, match="only 5 are free"):
        unpack(archive, target)
    assert list(target.iterdir()) == []


def test_a_name_that_is_file_and_folder_is_refused(tmp_path: Path, target: Path) -> None:
    archive = archive_of(tmp_path / "x.zip", {"a": b"1", "a/b": b"2"})
    with pytest.raises(DataError, match="a: is a file, and a folder of other files"):
        unpack(archive, target)
    assert list(target.iterdir()) == []


def test_a_missing_archive_is_named(tmp_path: Path, target: Path) -> None:
    with pytest.raises(DataError, match="there is no such file"):
        unpack(tmp_path / "none.zip", target)


class TestWanted:
    def test_only_the_wanted_comes_out(self, tmp_path: Path, target: Path) -> None:
        members = {f"{kind}/{n}.png": f"{kind}{n}".encode() for kind in "ab" for n in range(3)}
        archive = archive_of(tmp_path / "x.zip", members)
        unpack(archive, target, lambda name: name.startswith("a/") and not name.endswith("1.png"))
        found = {p.relative_to(target).as_posix(): p.read_bytes() for p in target.rglob("*.*")}
        assert found == {name: members[name] for name in ("a/0.png", "a/2.png")}
        assert not (target / "b").exists()

    def test_an_unsafe_member_is_refused_even_if_nobody_wants_it(
        self, tmp_path: Path, target: Path
    ) -> None:
        archive = archive_of(tmp_path / "x.zip", {"a.png": b"1", "../b.png": b"2"})
        with pytest.raises(DataError, match="outside the folder"):
            unpack(archive, target, lambda name: name == "a.png")
        assert list(target.iterdir()) == []

    def test_a_bomb_is_refused_even_if_nobody_wants_it(self, tmp_path: Path, target: Path) -> None:
        archive = archive_of(tmp_path / "x.zip", {"a.png": b"1", "zeros.png": bytes(50_000_000)})
        with pytest.raises(DataError, match="claim to unpack to"):
            unpack(archive, target, lambda name: name == "a.png")
        assert list(target.iterdir()) == []

    def test_the_disk_must_hold_the_wanted_alone(
        self, tmp_path: Path, target: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        archive = archive_of(tmp_path / "x.zip", {"a.png": bytes(400), "b.png": bytes(4000)})
        monkeypatch.setattr(
            shutil, "disk_usage", lambda _path: shutil._ntuple_diskusage(9999, 9499, 500)
        )
        unpack(archive, target, lambda name: name == "a.png")
        assert [path.name for path in target.iterdir()] == ["a.png"]
        with pytest.raises(DataError, match="needs 4,400 bytes, but only 500 are free"):
            unpack(archive, target)

    def test_damage_in_what_nobody_wants_does_no_harm(self, tmp_path: Path, target: Path) -> None:
        archive = tmp_path / "x.zip"
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as file:
            file.writestr("a.png", bytes(range(256)))
            file.writestr("b.png", bytes(range(256)))
        content = bytearray(archive.read_bytes())
        content[100] ^= 1
        archive.write_bytes(bytes(content))
        unpack(archive, target, lambda name: name == "b.png")
        assert (target / "b.png").read_bytes() == bytes(range(256))
        with pytest.raises(DataError, match=r"a\.png is damaged"):
            unpack(archive, target)
