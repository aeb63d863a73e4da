"""The files below a folder: through links, and what is left out is named."""

import os
import socket
import subprocess
from pathlib import Path

import pytest

from segpipe.params.prepare import SplitParams
from segpipe.params.source import SourceParams
from segpipe.runtime.errors import DataError
from segpipe.runtime.findings import Finding
from segpipe.sources.cityscapes import fetch as cityscapes
from segpipe.sources.cityscapes_layout.samples import list_samples as list_cityscapes
from segpipe.sources.esd.fetch import fetch as fetch_esd
from segpipe.sources.folder.fetch import fetch
from segpipe.sources.folder.samples import list_samples
from segpipe.sources.folder_walk import files_below
from segpipe.sources.rasters.fetch import fetch as fetch_rasters
from tests.forge import make_folder, save, scene


def walked(root: Path, *folders: str) -> tuple[list[str], dict[str, tuple[str, ...]]]:
    """The files, and the items by kind of finding."""
    findings: list[Finding] = []
    files = files_below(root, folders or ["."], findings)
    assert len({finding.kind for finding in findings}) == len(findings)
    items = {finding.kind: finding.items for finding in findings}
    return [path.relative_to(root).as_posix() for path in files], items


def write(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def test_files_are_listed_sorted_and_hidden_ones_are_not(tmp_path: Path) -> None:
    names = ["b/2.png", "b/1.PNG", "a.txt", ".DS_Store", "b/._1.png", ".git/x", "b/Icon\r", "c/x"]
    write(*(tmp_path / name for name in names))
    assert walked(tmp_path) == (["a.txt", "b/1.PNG", "b/2.png", "c/x"], {})
    assert walked(tmp_path, "c", "not there") == (["c/x"], {})
    assert walked(tmp_path / "nowhere") == ([], {})


def test_links_are_followed_and_links_to_folders_are_told(tmp_path: Path) -> None:
    root = tmp_path / "own"
    write(root / "images/1.png", tmp_path / "far/deep/2.png", tmp_path / "far/3.png")
    (root / "images/b").symlink_to(tmp_path / "far")
    (root / "images/4.png").symlink_to(tmp_path / "far/3.png")
    (root / "masks").symlink_to(tmp_path / "far")
    files, findings = walked(root, "images", "masks")
    assert files == [
        *("images/1.png", "images/4.png", "images/b/3.png", "images/b/deep/2.png"),
        *("masks/3.png", "masks/deep/2.png"),
    ]
    far = tmp_path / "far"
    assert findings == {
        "linked_folder": (f"images/b -> {far}", f"masks -> {far}"),
        "same_folder": ("images/b and masks",),
    }


def test_the_root_itself_may_be_a_link(tmp_path: Path) -> None:
    write(tmp_path / "far/images/1.png")
    (tmp_path / "own").symlink_to(tmp_path / "far")
    assert walked(tmp_path / "own", "images") == (["images/1.png"], {})


def test_links_that_lead_in_circles_end(tmp_path: Path) -> None:
    root = tmp_path / "own"
    write(root / "images/a/1.png", tmp_path / "far/2.png")
    (root / "images/a/up").symlink_to("..")
    (root / "images/a/top").symlink_to("/")
    (root / "images/far").symlink_to(tmp_path / "far")
    (tmp_path / "far/back").symlink_to(root / "images")
    (root / "images/one").symlink_to("two")
    (root / "images/two").symlink_to("one")
    files, findings = walked(root, "images")
    assert files == ["images/a/1.png", "images/far/2.png"]
    holds = "leads to a folder that holds it"
    assert findings["unreachable"] == (
        f"images/a/top -> /: {holds}",
        f"images/a/up -> ..: {holds}",
        f"images/far/back -> {root / 'images'}: {holds}",
        "images/one -> two: Too many levels of symbolic links",
        "images/two -> one: Too many levels of symbolic links",
    )
    assert findings["linked_folder"] == (f"images/far -> {tmp_path / 'far'}",)


def test_links_that_multiply_end(tmp_path: Path) -> None:
    for level in range(30):  # 2 to the power of 30 paths
        folder = tmp_path / f"own/level{level:02d}"
        folder.mkdir(parents=True)
        for name in "xy":
            (folder / name).symlink_to(f"../level{level + 1:02d}")
    write(tmp_path / "own/level30/1.png")
    files, findings = walked(tmp_path / "own", "level00")
    assert 1 <= len(files) <= 16
    assert any("is reached on more than 16 ways" in item for item in findings["unreachable"])


def test_a_link_to_nowhere_is_an_error(tmp_path: Path) -> None:
    write(tmp_path / "images/1.png")
    (tmp_path / "images/2.png").symlink_to("gone.png")
    (tmp_path / "images/b").symlink_to(tmp_path / "far")
    files, findings = walked(tmp_path, "images")
    assert files == ["images/1.png"]
    assert findings == {
        "unreachable": (
            "images/2.png -> gone.png: No such file or directory",
            f"images/b -> {tmp_path / 'far'}: No such file or directory",
        )
    }


def test_a_folder_that_may_not_be_listed_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "images/1.png", tmp_path / "images/locked/2.png")
    scandir = os.scandir

    def refusing(path: Path) -> object:
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    files, findings = walked(tmp_path, "images")
    assert files == ["images/1.png"]
    assert findings == {"unreachable": ("images/locked: Permission denied",)}


@pytest.mark.timeout(30)
def test_pipes_and_sockets_are_named_and_never_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_folder(tmp_path / "own", train=3, val=2)
    os.mkfifo(tmp_path / "own/images/train/pipe.png")
    (tmp_path / "own/masks/train/link.png").symlink_to("../../images/train/pipe.png")
    monkeypatch.chdir(tmp_path / "own/masks")  # a socket's path has less than 108 characters
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket.png")
        found = list_samples(tmp_path / "own", SplitParams())
    (finding,) = found.findings
    assert (finding.kind, finding.severity) == ("special_file", "error")
    assert finding.items == (
        "images/train/pipe.png",
        "masks/socket.png",
        "masks/train/link.png -> ../../images/train/pipe.png",
    )
    assert len(found.samples["train"]) == 3
    (tmp_path / "raw").mkdir()
    with pytest.raises(DataError, match="3 entries are pipes, sockets or devices"):
        fetch(tmp_path / "own", tmp_path / "raw")
    assert list((tmp_path / "raw").iterdir()) == []


def test_names_that_no_terminal_and_no_table_should_meet_are_refused(tmp_path: Path) -> None:
    latin1 = os.fsdecode("Stra\u00dfe".encode("latin-1"))
    write(*(tmp_path / "images" / name for name in ("Stra\u00dfe.png", f"{latin1}.png", "a b.png")))
    write(*(tmp_path / "images" / name for name in ("red\x1b[31m.png", "two\nlines\r.png")))
    write(tmp_path / "images" / latin1 / "inside.png")
    files, findings = walked(tmp_path, "images")
    assert files == ["images/Stra\u00dfe.png", "images/a b.png"]
    assert findings == {
        "unusable_name": (
            r"images/Stra\xdfe",
            r"images/Stra\xdfe.png",
            r"images/red\x1b[31m.png",
            r"images/two\nlines\r.png",
        ),
    }


def test_a_folder_made_of_links_is_fetched_as_real_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Half of the training images behind a link, all masks of the training, and all of val."""
    own, far, raw = (
        tmp_path / "own",
        make_folder(tmp_path / "far", train=6, val=3),
        tmp_path / "raw",
    )
    for name in ("images/train", "masks"):
        (own / name).mkdir(parents=True)
    (own / "classes.csv").symlink_to(far / "classes.csv")
    for number in range(3):
        image = next((far / "images/train").glob(f"*_{number:03d}.png"))
        (own / "images/train" / image.name).symlink_to(image)
        mask = far / "masks/train" / image.name
        (own / "masks/train").mkdir(exist_ok=True)
        (own / "masks/train" / mask.name).symlink_to(mask)
    for part in ("images", "masks"):
        (tmp_path / part / "b").mkdir(parents=True)
        for path in sorted((far / part / "train").iterdir()):
            if int(path.stem[-3:]) >= 3:
                path.rename(tmp_path / part / "b" / path.name)
        (own / part / "train/b").symlink_to(tmp_path / part / "b")
        (own / part / "val").symlink_to(far / part / "val")
    found = list_samples(own, SplitParams())
    assert [len(found.samples[split]) for split in ("train", "val")] == [6, 3]
    assert [(each.kind, each.severity) for each in found.findings] == [("linked_folder", "warning")]
    raw.mkdir()
    fetch(own, raw)
    said = capsys.readouterr().out
    assert "warning: 4 folders are links, behind which DVC sees no change" in said
    assert "dvc repro -f fetch" in said
    copied = [path for path in raw.rglob("*") if not path.is_dir()]
    assert len(copied) == 19 and not any(path.is_symlink() for path in raw.rglob("*"))
    fetched = list_samples(raw, SplitParams())
    assert (fetched.samples, fetched.findings) == (found.samples, [])
    linked = own / "images/train/b/drive1_003.png"
    assert (raw / "images/train/b/drive1_003.png").read_bytes() == linked.read_bytes()


def test_two_names_of_one_folder_are_told(tmp_path: Path) -> None:
    make_folder(tmp_path, train=3, val=2)
    for part in ("images", "masks"):
        (tmp_path / part / "train/again").symlink_to("../val")
    found = list_samples(tmp_path, SplitParams())
    assert len(found.samples["train"]) == 5
    assert {each.kind: each.items for each in found.findings}["same_folder"] == (
        "images/train/again and images/val",
        "masks/train/again and masks/val",
    )


def test_cityscapes_has_the_same_rules(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def add(part: str, kind: str, city: Path) -> None:
        image, mask = scene(0)
        name = f"{city.name}_000000_000019_{kind}.png"
        save(city / name, image if part == "leftImg8bit" else mask)

    for part, kind in (("leftImg8bit", "leftImg8bit"), ("gtFine", "gtFine_labelIds")):
        add(part, kind, tmp_path / "own" / part / "val/lindau")
        add(part, kind, tmp_path / "far" / part / "aachen")
        (tmp_path / "own" / part / "train").mkdir()
        (tmp_path / "own" / part / "train/aachen").symlink_to(tmp_path / "far" / part / "aachen")
        (tmp_path / "own" / part / "train/bochum").symlink_to(tmp_path / "gone")
    os.mkfifo(tmp_path / "own/gtFine/val/lindau/lindau_000001_000019_gtFine_labelIds.png")
    source = SourceParams(name="cityscapes", path=str(tmp_path / "own"))
    found = list_cityscapes(tmp_path / "own", source, truth_withheld=True)
    assert [len(found.samples[split]) for split in ("train", "val")] == [1, 1]
    items = {each.kind: each.items for each in found.findings}
    assert items.keys() == {"unreachable", "special_file", "linked_folder"}
    assert items["unreachable"][1].startswith("leftImg8bit/train/bochum -> ")
    assert len(items["linked_folder"]) == 2
    before = cityscapes.check_without_unpacking(source, tmp_path / "none")
    assert before.samples == found.samples
    assert sorted(item for each in before.findings for item in each.items) == sorted(
        item for kind in items.values() for item in kind
    )
    (tmp_path / "raw").mkdir()
    with pytest.raises(DataError, match=r"nothing was copied\.\n.*links or folders cannot be"):
        cityscapes.fetch(source, tmp_path / "raw", tmp_path / "none")
    assert capsys.readouterr().out.count("warning: 1 folders are links") == 2


@pytest.mark.timeout(30)
def test_tiles_have_the_same_rules(tmp_path: Path) -> None:
    write(tmp_path / "own/Tile1/L2A_20200811_B01.tif", tmp_path / "own/Tile1/groundTruth.tif")
    os.mkfifo(tmp_path / "own/Tile1/L2A_20200811_B02.tif")
    (tmp_path / "own/Tile2").symlink_to(tmp_path / "gone")
    (tmp_path / "raw").mkdir()
    with pytest.raises(DataError) as raised:
        fetch_esd(tmp_path / "own", tmp_path / "raw")
    assert "  Tile1/L2A_20200811_B02.tif" in str(raised.value)
    assert f"  Tile2 -> {tmp_path / 'gone'}: No such file or directory" in str(raised.value)


def test_rasters_and_tiles_behind_links_are_fetched(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is opened, so that any content does."""
    rasters, tiles = tmp_path / "rasters", tmp_path / "tiles"
    for part in ("images", "masks"):
        write(tmp_path / part / "1.tif", tmp_path / part / "1.tfw", rasters / part / "val/2.tif")
        (rasters / part / "train").symlink_to(tmp_path / part)
    write(tmp_path / "far/Tile1/groundTruth.tif", tmp_path / "far/Tile1/L2A_20200811_B01.tif")
    tiles.mkdir()
    (tiles / "Train").symlink_to(tmp_path / "far")
    for fetching, source in ((fetch_rasters, rasters), (fetch_esd, tiles)):
        (tmp_path / f"raw-{source.name}").mkdir()
        fetching(source, tmp_path / f"raw-{source.name}")
        assert "folders are links, behind which DVC sees no change" in capsys.readouterr().out
    names = ["1.tfw", "1.tif"]
    assert walked(tmp_path / "raw-rasters") == (
        [
            *(f"images/train/{name}" for name in names),
            "images/val/2.tif",
            *(f"masks/train/{name}" for name in names),
            "masks/val/2.tif",
        ],
        {},
    )
    assert walked(tmp_path / "raw-tiles") == (
        ["Tile1/L2A_20200811_B01.tif", "Tile1/groundTruth.tif"],
        {},
    )


@pytest.mark.slow
def test_dvc_sees_links_as_the_warning_says(tmp_path: Path) -> None:
    """A change behind a link to a folder is seen where that is the dependency itself, not below."""
    write(tmp_path / "far/1.png", tmp_path / "own/images/0.png")
    (tmp_path / "own/images/b").symlink_to(tmp_path / "far")
    (tmp_path / "link").symlink_to(tmp_path / "far")
    stages = "".join(
        f"  {name}:\n    cmd: cp -RL {name}/. out-{name}\n    deps: [{name}]\n    outs: [out-{name}]\n"
        for name in ("own", "link")
    )
    (tmp_path / "dvc.yaml").write_text(f"stages:\n{stages}")

    def dvc(*arguments: str) -> str:
        command = ["dvc", *arguments]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        return done.stdout

    dvc("init", "--no-scm")
    dvc("repro")
    write(tmp_path / "far/2.png")
    assert "Stage 'own' didn't change" in dvc("repro")
    found = {
        name: (tmp_path / f"out-{name}/{rest}2.png").exists()
        for name, rest in (("own", "images/b/"), ("link", ""))
    }
    assert found == {"own": False, "link": True}
    dvc("repro", "-f", "own")
    assert (tmp_path / "out-own/images/b/2.png").exists()
