"""What predict has written itself; overwriting is tried in tests/cli/test_predict.py."""

from pathlib import Path

import numpy as np

from segpipe.inference.geotiff import PredictionWriter
from segpipe.inference.overwriting import written_by_predict
from segpipe.raw.rasters.grid import read_grid
from segpipe.raw.sample import Window
from segpipe.rendering.png import write_png
from tests.raw.rasters.geotiffs import write_tif


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
