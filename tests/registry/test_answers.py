import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import segpipe
from segpipe.inference.predictor import Predictor
from segpipe.params.model import ModelParams
from segpipe.params.prepare import EsdParams
from segpipe.raw.input_spec import FileSpec
from segpipe.registry.answers import answers
from segpipe.runtime.errors import DataError
from tests.dashboard.project import BUNDLE
from tests.export.make_bundle import make_bundle
from tests.forge import scene
from tests.inference.test_raster_prediction import BRIGHT, DARK, VOID_ID, pixelwise, values
from tests.raw.rasters.geotiffs import write_tif


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor.load(BUNDLE)


def encoded(image: Any, kind: str = "PNG") -> str:
    content = io.BytesIO()
    Image.fromarray(image).save(content, kind)
    return base64.b64encode(content.getvalue()).decode()


def decoded(text: str) -> Any:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(text))))


def test_a_file_and_its_numbers_have_the_labels_of_segpipe_predict(
    predictor: Predictor, tmp_path: Path
) -> None:
    image_HW3, _ = scene(7, 40, 60)
    Image.fromarray(image_HW3).save(tmp_path / "one.png")
    [written] = segpipe.predict(tmp_path / "one.png", tmp_path / "out", predictor)
    given = encoded(image_HW3)
    rows = [given, f"data:image/png;base64,{given}", [given], image_HW3, image_HW3.tolist()]
    for found in answers(predictor, rows, "png"):
        assert base64.b64decode(found["label_map"]) == written.read_bytes()
        assert (found["height"], found["width"], found["void_id"]) == (40, 60, 9)
        assert found["classes"] == {"0": "sky", "1": "road", "2": "car"}
    [as_array] = answers(predictor, [given], "array")
    assert as_array["label_map"] == np.asarray(Image.open(written)).tolist()


@pytest.mark.parametrize(
    ("image", "why"),
    [
        ("@@@", "image 0: is not valid base64"),
        ("é", "image 0: is not valid base64"),
        ("", "frame 0: cannot be read as a picture: it is empty"),
        (base64.b64encode(b"%!PS-Adobe").decode(), "it is a PostScript file"),
        (encoded(np.zeros((4, 4), np.uint16)), "image 0: frame 0: "),
        (encoded(np.zeros((4, 4, 3), np.uint8))[:60], "cannot be read as a picture"),
        (None, "neither the base64 text"),
        (7, "neither the base64 text"),
        ([], "neither the base64 text"),
        ([[1, 2], [3, 4]], "neither the base64 text"),
        ([[[1, 2, 3]], [[1]]], "neither the base64 text"),
        ([[["a", "b", "c"]]], "neither the base64 text"),
        ([[[10**400, 0, 0]]], "neither the base64 text"),
        ([[[1, 2], [3, 4]]], "has 2 channels, but the model takes 3"),
        ([[[1, 2, 256]]], "numbers outside of 0 to 255"),
        ([[[1, 2, -1]]], "numbers outside of 0 to 255"),
        ([[[1, 2, float("nan")]]], "numbers outside of 0 to 255"),
        ([[[1, 2, 0.5]]], "holds fractions"),
        ([[[[1, 2, 3]]], [[[1, 2, 3]]]], "has 2 frames, where this model takes 1"),
    ],
)
def test_what_is_no_image_is_refused_with_the_reason(
    predictor: Predictor, image: Any, why: str
) -> None:
    with pytest.raises(DataError, match=why) as refused:
        answers(predictor, [image], "png")
    assert "/tmp" not in str(refused.value)


def test_a_request_has_one_image_or_more_and_a_known_form(predictor: Predictor) -> None:
    with pytest.raises(DataError, match="there is no image"):
        answers(predictor, [], "png")
    with pytest.raises(DataError, match="labels is 'gif'"):
        answers(predictor, ["", ""], "gif")  # type: ignore[arg-type]


def test_the_pixels_of_a_request_are_bounded_before_they_are_decoded(
    predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEGPIPE_MAX_PIXELS", "1000")
    small, large = np.zeros((20, 20, 3), np.uint8), np.zeros((40, 30, 3), np.uint8)
    assert len(answers(predictor, [encoded(small), small], "png")) == 2
    for one in (large, [[[0, 0, 0]] * 30] * 40):
        with pytest.raises(DataError, match=r"image 0: has 1,200 pixels, and 1,000 are left"):
            answers(predictor, [one], "png")
    with pytest.raises(DataError, match=r"image 0: .*1,200 pixels"):
        answers(predictor, [encoded(large)], "png")
    with pytest.raises(DataError, match=r"image 2: has 400 pixels, and 200 are left"):
        answers(predictor, [encoded(small), small, encoded(small)], "png")


def test_clips_and_bands_have_numbers_or_files_of_all_frames(tmp_path: Path) -> None:
    options = ModelParams.model_validate({"name": "resnet_lstm"})
    clips = Predictor.load(make_bundle(tmp_path / "clips", options, sides=(64, 64), frames=2))
    frames = [scene(seed, 64, 64)[0] for seed in (1, 2)]
    of_files, of_numbers = answers(clips, [[*map(encoded, frames)], np.stack(frames)], "array")
    assert of_files == of_numbers
    with pytest.raises(DataError, match="takes clips of 2 frames, and 1 are given"):
        answers(clips, [encoded(frames[0])], "png")
    with pytest.raises(DataError, match="different sizes"):
        answers(clips, [[encoded(frames[0]), encoded(frames[1][:32])]], "png")
    unet = ModelParams.model_validate({"name": "unet", "unet": {"width": 4, "depth": 2}})
    files = FileSpec("esd", ("a", "b"), (0, 1, 1), truth_ratio=2, esd=EsdParams())
    bands = Predictor.load(make_bundle(tmp_path / "bands", unet, files=files, sides=(32, 32)))
    [found] = answers(bands, [np.full((32, 48, 2), 0.5).tolist()], "array")
    assert np.shape(found["label_map"]) == (32, 48)
    with pytest.raises(DataError, match="folder of files; send its numbers"):
        answers(bands, [encoded(frames[0])], "png")
    with pytest.raises(DataError, match="numbers outside of 0 to 1"):
        answers(bands, [np.full((32, 48, 2), 2.0)], "png")


def test_a_geotiff_has_void_where_it_has_no_data(tmp_path: Path) -> None:
    band_HW = values(37, 53)
    band_HW[3:20, 5:9] = -1
    path = write_tif(tmp_path / "a.tif", band_HW, nodata=-1)
    text = base64.b64encode(path.read_bytes()).decode()
    [found] = answers(pixelwise(), [text], "array")
    expected = np.where(band_HW < 0, VOID_ID, np.where(band_HW > 0.5, BRIGHT, DARK))
    assert found["label_map"] == expected.tolist()
    with pytest.raises(DataError, match="image 0: frame 0: ") as refused:
        answers(pixelwise(), [encoded(scene(1, 16, 24)[0])], "png")
    assert "/tmp" not in str(refused.value)
