"""Predictions as GeoTIFFs."""

import signal
from pathlib import Path

import numpy as np
import pytest
import rasterio

from segpipe.inference.geotiff import PredictionWriter, write_labels
from segpipe.labels.scheme import VOID, LabelScheme, RawLabel
from segpipe.raw.rasters.gdal import opened
from segpipe.raw.rasters.grid import Grid, read_grid
from segpipe.raw.rasters.windows import windows
from segpipe.raw.sample import Window
from segpipe.runtime.errors import DataError
from tests.forge import ROOT, run_python
from tests.raw.rasters.geotiffs import METRES, write_tif

RANDOM = np.random.default_rng(9)
PALETTE = np.array([[128, 64, 128], [0, 0, 142], [70, 130, 180]], np.uint8)


@pytest.mark.parametrize("ratio", [1, 10])
def test_a_prediction_lines_up_with_its_image(tmp_path: Path, ratio: int) -> None:
    image = write_tif(tmp_path / "image.tif", np.ones((3, 700, 500), np.uint16))
    labels = RANDOM.integers(0, 3, (700 // ratio, 500 // ratio)).astype(np.uint8)
    cut = windows(700, 500, 300, 200, overlap=40, step=ratio)
    RANDOM.shuffle(cut)
    with PredictionWriter(tmp_path / "p.tif", read_grid(image), ratio, PALETTE) as writer:
        for window in cut:
            top, left = window.top // ratio, window.left // ratio
            part = labels[top : top + 300 // ratio, left : left + 200 // ratio]
            writer.write(window, part)
        assert not (tmp_path / "p.tif").exists()
    with rasterio.open(image) as theirs, rasterio.open(tmp_path / "p.tif") as ours:
        assert ours.bounds == theirs.bounds and ours.crs == theirs.crs
        assert ours.res == (10 * ratio, 10 * ratio)
        assert ours.nodata == 255 and ours.dtypes == ("uint8",) and ours.count == 1
        assert ours.profile["tiled"] and ours.profile["compress"] == "deflate"
        np.testing.assert_array_equal(ours.read(1), labels)
        assert [ours.colormap(1)[k][:3] for k in range(3)] == [
            tuple(rgb) for rgb in PALETTE.tolist()
        ]


def test_what_no_window_covers_is_void(tmp_path: Path) -> None:
    grid = Grid(600, 600, 1, "uint8", tuple(METRES)[:6])
    with PredictionWriter(tmp_path / "p.tif", grid) as writer:
        writer.write(Window(10, 20, 5, 5), np.ones((5, 5), np.uint8))
    wanted = np.full((600, 600), 255)
    wanted[10:15, 20:25] = 1
    with rasterio.open(tmp_path / "p.tif") as file:
        np.testing.assert_array_equal(file.read(1), wanted)


def test_a_raster_without_georeference_gives_one_without(tmp_path: Path) -> None:
    with PredictionWriter(tmp_path / "p.tif", Grid(64, 64, 1, "uint8"), 2) as writer:
        writer.write(Window(0, 0, 64, 64), np.zeros((32, 32), np.int64))
    grid = read_grid(tmp_path / "p.tif")
    assert (grid.height, grid.placed, grid.crs) == (32, False, None)


def test_large_ids_need_two_bytes_and_say_so(tmp_path: Path) -> None:
    grid = Grid(8, 8, 1, "uint8", tuple(METRES)[:6])
    part = np.full((8, 8), 700)
    with PredictionWriter(tmp_path / "p.tif", grid, void=None, dtype="uint16") as writer:
        writer.write(Window(0, 0, 8, 8), part)
    with rasterio.open(tmp_path / "p.tif") as file:
        assert file.nodata is None and (file.read(1) == 700).all()
    with (
        pytest.raises(ValueError, match="label 700 does not fit into uint8"),
        PredictionWriter(tmp_path / "q.tif", grid) as writer,
    ):
        writer.write(Window(0, 0, 8, 8), part)
    assert [path.name for path in tmp_path.iterdir()] == ["p.tif"]


def test_a_failure_leaves_the_old_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "p.tif"
    path.write_text("old")
    with pytest.raises(RuntimeError), PredictionWriter(path, Grid(64, 64, 1, "uint8")) as writer:
        writer.write(Window(0, 0, 64, 64), np.zeros((64, 64), np.uint8))
        raise RuntimeError("the model failed")
    assert path.read_text() == "old" and len(list(tmp_path.iterdir())) == 1


def test_labels_that_do_not_fit_their_window_are_refused(tmp_path: Path) -> None:
    with PredictionWriter(tmp_path / "p.tif", Grid(64, 64, 1, "uint8"), 4) as writer:
        for window, side in (
            (Window(0, 0, 8, 8), 8),
            (Window(2, 0, 8, 8), 2),
            (Window(60, 0, 8, 8), 2),
        ):
            with pytest.raises(ValueError, match="do not fit"):
                writer.write(window, np.zeros((side, side), np.uint8))
    with pytest.raises(ValueError, match="do not divide by 5"):
        PredictionWriter(tmp_path / "p.tif", Grid(64, 64, 1, "uint8"), 5)


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="needs a limit on the size of files")
def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    program = (
        "import resource, signal, sys, numpy as np\n"
        "from pathlib import Path\n"
        "from segpipe.runtime.errors import DataError\n"
        "from segpipe.raw.rasters.grid import Grid\n"
        "from segpipe.inference.geotiff import PredictionWriter\n"
        "from segpipe.raw.sample import Window\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
        "labels = np.random.default_rng(0).integers(0, 250, (300, 300), np.uint8)\n"
        "try:\n"
        "    with PredictionWriter(Path(sys.argv[1]), Grid(1200, 1200, 1, 'uint8')) as writer:\n"
        "        for top in range(0, 1200, 300):\n"
        "            for left in range(0, 1200, 300):\n"
        "                writer.write(Window(top, left, 300, 300), labels)\n"
        "except DataError as error:\n"
        "    print(error)\n"
    )
    done = run_python(["-c", program, str(tmp_path / "p.tif")], ROOT)
    assert done.returncode == 0, done.stderr
    assert f"{tmp_path}/p.tif: cannot be written" in done.stdout
    assert "is the disk full?" in done.stdout
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_to_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises((DataError, OSError)):
        PredictionWriter(tmp_path / "file" / "p.tif", Grid(8, 8, 1, "uint8")).__enter__()


@pytest.mark.parametrize(
    ("building", "voids", "nodata", "dtype"),
    [
        (255, (), 254, "uint8"),
        (1, (), 255, "uint8"),
        (255, (7,), 7, "uint8"),
        (255, (-1,), 254, "uint8"),
        (300, (), 65535, "uint16"),
        (65535, (-1,), 65534, "uint16"),
    ],
)
def test_no_data_is_a_value_that_no_class_has(
    building: int, voids: tuple[int, ...], nodata: int, dtype: str, tmp_path: Path
) -> None:
    labels = [RawLabel(0, "ground", (1, 2, 3), 0), RawLabel(building, "building", (200, 0, 0), 1)]
    labels += [RawLabel(value, "void", (9, 9, 9), VOID) for value in voids]
    scheme = LabelScheme("buildings", ("ground", "building"), tuple(labels))
    train_hw = np.array([[0, 1], [VOID, 1]], np.uint8)
    write_labels(tmp_path / "p.tif", Grid(2, 2, 3, "uint8"), 1, train_hw, scheme)
    with opened(tmp_path / "p.tif") as file:
        assert (file.nodata, file.dtypes) == (nodata, (dtype,))
        assert file.read(1).tolist() == [[0, building], [nodata, building]]
        assert file.dataset_mask().tolist() == [[255, 255], [0, 255]]
        if dtype == "uint8":
            assert file.colormap(1)[building][:3] == (200, 0, 0)
            assert file.colormap(1)[nodata][:3] == ((9, 9, 9) if nodata == 7 else (0, 0, 0))
