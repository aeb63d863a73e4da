"""How the files of a source are read: the scaling of bands, measured on the training rasters."""

from pathlib import Path

import numpy as np
import pytest

from segpipe.params.prepare import PrepareParams
from segpipe.preparation import file_spec as measuring
from segpipe.preparation.file_spec import choose_files, measure_scaling
from segpipe.raw.input_spec import PICTURES
from segpipe.raw.rasters.read import read_window
from segpipe.raw.sample import Sample, Window
from segpipe.runtime.errors import DataError
from tests.raw.rasters.geotiffs import write_tif

RANDOM = np.random.default_rng(5)


@pytest.mark.parametrize(("bands", "display"), [(1, (0, 0, 0)), (2, (0, 1, 1)), (5, (0, 1, 2))])
def test_bands_of_rasters_are_scaled_and_the_first_are_shown(
    bands: int, display: tuple[int, int, int], tmp_path: Path
) -> None:
    values = RANDOM.integers(0, 255, (bands, 8, 8)).astype(np.uint8)
    write_tif(tmp_path / "a.tif", values)
    samples = {"train": [Sample("a", "a", "a.tif", None)]}
    files = choose_files("rasters", samples, tmp_path, PrepareParams(), truth_ratio=2)
    assert (files.kind, files.truth_ratio, files.display) == ("raster", 2, display)
    assert files.channels == tuple(f"band {number + 1}" for number in range(bands))
    assert files.scaling == measure_scaling([tmp_path / "a.tif"], None, (0.01, 0.99))


def test_other_sources_need_no_file_to_know_how_they_are_read(tmp_path: Path) -> None:
    nothing: dict[str, list[Sample]] = {"train": []}
    for source in ("folder", "cityscapes", "synthetic"):
        assert choose_files(source, nothing, tmp_path, PrepareParams(), 1) == PICTURES
    for source in ("esd", "synthetic_esd"):
        files = choose_files(source, nothing, tmp_path, PrepareParams(), 50)
        assert (files.kind, files.truth_ratio, len(files.channels)) == ("esd", 50, 99)


def test_scaling_is_the_quantiles_of_all_valid_training_pixels(tmp_path: Path) -> None:
    first = RANDOM.normal(100, 30, (2, 40, 50)).astype(np.float32)
    second = RANDOM.normal(500, 9, (2, 30, 20)).astype(np.float32)
    first[0, :10] = -1
    first[1, 20, 20] = np.nan
    paths = [
        write_tif(tmp_path / "a.tif", first, nodata=-1),
        write_tif(tmp_path / "b.tif", second, nodata=-1),
    ]
    scaling = measure_scaling(paths, None, (0.02, 0.9))
    finite = np.isfinite(first).all(0)
    for band in range(2):  # where the other band alone has no data a value counts
        kept = first[band][finite & (first[band] != -1)]
        both = np.concatenate([kept, second[band].ravel()]).astype(np.float64)
        assert kept.size == (1499, 1999)[band]
        np.testing.assert_allclose(scaling.low[band], np.quantile(both, 0.02))
        np.testing.assert_allclose(scaling.high[band], np.quantile(both, 0.9))
    assert scaling == measure_scaling(paths, None, (0.02, 0.9))


def test_zero_of_a_saturated_colour_is_measured_and_not_left_out(tmp_path: Path) -> None:
    values = np.full((3, 10, 10), 200, np.uint8)
    values[1:, :3] = 0  # red
    values[:, 9] = 0  # no data in any band
    scaling = measure_scaling([write_tif(tmp_path / "a.tif", values, nodata=0)], None, (0, 1))
    assert (scaling.low, scaling.high) == ((200, 0, 0), (200, 200, 200))


def test_reduced_reading_is_near_the_whole_and_within_its_budget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ramp = np.add.outer(np.arange(300), np.arange(400)).astype(np.uint16)
    paths = [write_tif(tmp_path / "a.tif", np.stack([ramp, ramp]))]
    exact = measure_scaling(paths, (2,), (0.1, 0.9))
    monkeypatch.setattr(measuring, "_BUDGET", 2000)
    read = []
    monkeypatch.setattr(
        measuring,
        "read_values",
        lambda *arguments, shape: read.append(shape) or original(*arguments, shape=shape),
    )
    reduced = measure_scaling(paths, (2,), (0.1, 0.9))
    assert len(read) == 1 and 1000 < read[0][0] * read[0][1] <= 2100
    np.testing.assert_allclose([*reduced.low, *reduced.high], [*exact.low, *exact.high], rtol=0.03)


original = measuring.read_values


def test_a_constant_band_becomes_zero_not_nan(tmp_path: Path) -> None:
    path = write_tif(tmp_path / "a.tif", np.full((6, 6), 12, np.uint8))
    scaling = measure_scaling([path], None, (0.01, 0.99))
    assert scaling.low == scaling.high == (12.0,)
    image = read_window(path, Window(0, 0, 6, 6), scaling)
    assert image.valid_HW.all() and not image.image_HWC.any()


def test_scaling_refuses_rasters_that_do_not_fit_and_names_them_all(tmp_path: Path) -> None:
    three = write_tif(tmp_path / "three.tif", np.ones((3, 9, 9), np.uint8))
    four = write_tif(tmp_path / "four.tif", np.ones((4, 9, 9), np.uint8))
    (tmp_path / "broken.tif").write_text("x")
    with pytest.raises(DataError, match=r"(?s)three.tif: 3 bands.*four.tif: 4 bands"):
        measure_scaling([three, four], None, (0.0, 1.0))
    assert measure_scaling([three, four], (1, 3), (0.0, 1.0)).bands == (1, 3)
    with pytest.raises(DataError, match=r"(?s)three.tif.*band 4.*broken.tif"):
        measure_scaling([three, tmp_path / "broken.tif", four], (4,), (0.0, 1.0))
    empty = write_tif(tmp_path / "empty.tif", np.zeros((9, 9), np.uint8), nodata=0)
    with pytest.raises(DataError, match="no valid pixel in band 1"):
        measure_scaling([empty], None, (0.0, 1.0))
