"""What is found to predict; folders of pictures are tried in tests/cli/test_predict.py."""

from pathlib import Path

import numpy as np
import pytest

from segpipe.inference.find import find
from segpipe.raw.build import build_reader
from segpipe.raw.input_spec import PICTURES
from segpipe.runtime.errors import DataError
from tests.forge import save, scene
from tests.raw.rasters.geotiffs import make_esd_tile, write_tif
from tests.raw.test_build import RASTERS, TILES


def test_pictures_are_found_by_suffix(tmp_path: Path) -> None:
    reader = build_reader(PICTURES)
    for name in ("b.png", "a.JPG", ".hidden.png"):
        save(tmp_path / name, scene(0)[0])
    (tmp_path / "notes.txt").write_text("no picture")
    found = find(reader, tmp_path, tmp_path / "out")
    assert [path.name for path in found.paths] == ["a.JPG", "b.png"]
    assert found.left_out() == "1 .txt"
    (tmp_path / "drive.MP4").touch()
    films = "1 films (they are read where they are named: 'DIR/*.mp4')"
    assert find(reader, tmp_path, tmp_path / "out").left_out() == f"1 .txt, {films}"
    with pytest.raises(
        DataError, match=r"holds no GeoTIFF \(.tif, .tiff\); what it holds: 1 .jpg, 1 .mp4"
    ):
        find(build_reader(RASTERS), tmp_path, tmp_path / "out")
    # What a person names is taken, whatever it is called.
    [one] = find(reader, tmp_path / "notes.txt", tmp_path / "out").paths
    assert one.name == "notes.txt"


def test_tiles_are_found_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    reader = build_reader(TILES)
    for name in ("Tile10", "Tile2", "more/Tile3"):
        make_esd_tile(tmp_path / name, truth=2, ratio=50)
    write_tif(tmp_path / "more/other.tif", np.zeros((2, 2), np.float32))
    found = find(reader, tmp_path, tmp_path / "out")
    names = [path.relative_to(tmp_path).as_posix() for path in found.paths]
    assert names == ["Tile2", "Tile10", "more/Tile3"]
    assert found.left_out() == "1 .tif"
    alone = find(reader, tmp_path / "Tile2", tmp_path / "out")
    assert (alone.paths, alone.root) == ([tmp_path / "Tile2"], tmp_path)
    for wrong in (tmp_path / "more/other.tif", tmp_path / "none"):
        (tmp_path / "none").mkdir(exist_ok=True)
        with pytest.raises(DataError, match="is not an ESD tile, nor a folder of tiles"):
            find(reader, wrong, tmp_path / "out")


def test_links_in_both_directions_end(tmp_path: Path) -> None:
    save(tmp_path / "a/one.png", scene(0)[0])
    (tmp_path / "b").mkdir()
    (tmp_path / "a/b").symlink_to(tmp_path / "b")
    (tmp_path / "b/a").symlink_to(tmp_path / "a")
    found = find(build_reader(PICTURES), tmp_path, tmp_path / "out")
    names = [path.relative_to(tmp_path).as_posix() for path in found.paths]
    assert names == ["a/one.png", "b/a/one.png"]


def test_links_that_multiply_end(tmp_path: Path) -> None:
    """Ten folders that link to one another have more than a million ways."""
    for number in range(10):
        save(tmp_path / f"in/{number}/x.png", scene(0)[0])
        for other in range(10):
            (tmp_path / f"in/{number}/to{other}").symlink_to(tmp_path / f"in/{other}")
    (tmp_path / "in/up").symlink_to(tmp_path)
    found = find(build_reader(PICTURES), tmp_path / "in", tmp_path / "out")
    assert {f"in/{number}/x.png" for number in range(10)} < {
        path.relative_to(tmp_path).as_posix() for path in found.paths
    }
    assert 10 < len(found.paths) <= 170
    assert "leads where 16 other links lead to" in found.unreadable[0]
