"""Names of what is written; overwriting is tried in tests/cli/test_predict.py."""

from pathlib import Path

import numpy as np

from segpipe.inference.geotiff import PredictionWriter
from segpipe.inference.targets import fitting, flat_names, output_names, written_by_predict
from segpipe.raw.rasters.grid import read_grid
from segpipe.raw.sample import Window
from segpipe.rendering.png import write_png
from tests.raw.rasters.geotiffs import write_tif


def test_long_names_are_cut_at_a_whole_character_and_stay_apart() -> None:
    names = [f"{'ä' * 130}{end}" for end in "xy"]
    short = [fitting(name, 100) for name in names]
    assert short[0] != short[1]
    assert all(name.startswith("ä" * 41 + "-") for name in short)
    assert [len(name.encode()) for name in short] == [99, 99]
    assert fitting("a" * 251) == "a" * 251
    assert len(fitting("a" * 252)) == 251


def test_flat_names_are_one_to_one() -> None:
    names = ["val/a/b", "val/a__b", "val/c", "x" * 300, f"{'x' * 300}y"]
    flat = flat_names(names, 240)
    assert flat["val/c"] == "val__c"
    assert flat["val/a/b"].startswith("val__a__b-")
    assert len(set(flat.values())) == len(names)
    assert max(map(len, flat.values())) == 240
    assert flat == flat_names(reversed(names), 240)


def test_a_name_that_is_another_ones_whole_name_stays_apart() -> None:
    places = {
        Path("in", name): Path(name)
        for name in ("a.jpg", "a.png", "a.jpg.tif", "b/a.jpg", "c.d.jpg")
    }
    names = output_names(places)
    assert list(names.values()) == ["a.jpg", "a.png", "a.jpg.tif", "b/a", "c.d"]


def test_only_what_predict_wrote_bears_its_mark(tmp_path: Path) -> None:
    values = np.zeros((4, 4), np.uint8)
    write_png(tmp_path / "own.png", values, "segpipe predict")
    write_png(tmp_path / "other.png", values)
    write_tif(tmp_path / "other.tif", values)
    with PredictionWriter(tmp_path / "own.tif", read_grid(tmp_path / "other.tif")) as writer:
        writer.write(Window(0, 0, 4, 4), values)
    (tmp_path / "own.txt").write_bytes((tmp_path / "own.png").read_bytes())
    (tmp_path / "cut.tif").write_bytes((tmp_path / "own.tif").read_bytes()[:100])
    (tmp_path / "empty.png").touch()
    found = [path.name for path in sorted(tmp_path.iterdir()) if written_by_predict(path)]
    assert found == ["own.png", "own.tif"]
