"""What is shown of an image: sizes, classes that are switched off, scores, whole tiles."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segpipe.bundle import Bundle
from segpipe.dashboard.image_list import ImageChoice, images_at, split_place
from segpipe.dashboard.looking import Look, legend_html, look_at, panels
from segpipe.dataset.layout import Row, write_index
from segpipe.inference.predictor import Predictor
from segpipe.labels.scheme import VOID, LabelScheme, RawLabel
from segpipe.models.build import build_model
from segpipe.params.model import ModelParams
from segpipe.raw.input_spec import InputSpec
from segpipe.raw.sample import Sample, Window
from segpipe.rendering.overlay import WRONG
from segpipe.runtime.errors import DataError
from tests.dashboard.project import make_project
from tests.forge import make_folder, save
from tests.inference.test_predictor import PICTURES
from tests.inference.test_raster_prediction import SCHEME as TILE_SCHEME
from tests.inference.test_raster_prediction import esd_files, pixelwise, save_random_bundle, values
from tests.raw.rasters.geotiffs import make_esd_tile, write_tif

SCHEME = LabelScheme(
    "two",
    ("<b>sky</b>", "road"),
    (RawLabel(0, "<b>sky</b>", (0, 0, 255), 0), RawLabel(1, "road", (255, 0, 0), 1)),
)
# Right, sky taken for road, void, road taken for sky.
TRUTH = np.array([[0, 0, VOID, 1]], np.uint8)
PREDICTION = np.array([[0, 1, 1, 0]], np.uint8)
LOOK = Look(np.zeros((1, 4, 3), np.uint8), TRUTH, PREDICTION, [], None, 1, 4, {})


def test_errors_are_those_of_the_classes_that_are_switched_on() -> None:
    def wrong(*classes: str) -> list[bool]:
        shown = panels(LOOK, SCHEME, 1.0, classes)["Errors"]
        return [tuple(pixel) == WRONG for pixel in shown[0].tolist()]

    assert wrong("<b>sky</b>", "road") == [False, True, False, True]
    assert wrong("road") == [False, True, False, True]
    assert wrong() == [False] * 4


def test_classes_that_are_switched_off_are_not_coloured() -> None:
    image = [[0, 0, 0]] * 4
    assert panels(LOOK, SCHEME, 1.0, ())["Truth"][0].tolist() == image
    shown = panels(LOOK, SCHEME, 1.0, ("road",))["Truth"][0]
    assert shown[:3].tolist() == image[:3] and shown[3, 0] == 255


def test_the_legend_has_what_is_shown_and_no_html_of_names() -> None:
    text = legend_html(LOOK, SCHEME, SCHEME.classes)
    assert "&lt;b&gt;sky&lt;/b&gt;" in text and "<b>" not in text
    assert "wrong" in text and "void" in text
    assert "sky" not in legend_html(LOOK, SCHEME, ("road",))


@pytest.mark.parametrize(
    ("height", "width", "shown"), [(48, 64, (288, 384)), (600, 1920, (300, 960))]
)
def test_pictures_are_shown_at_a_size_for_the_page(
    height: int, width: int, shown: tuple[int, int], tmp_path: Path
) -> None:
    make_project(tmp_path)
    folder = make_folder(tmp_path / "big", train=0, val=1, height=height, width=width)
    name = "val/drive0_000.png"
    choice = ImageChoice(folder, Sample("s", "", f"images/{name}", f"masks/{name}"))
    look = look_at(choice, Predictor.load(tmp_path / "models"))
    assert look.image_HW3.shape == (*shown, 3) and look.prediction_HW.shape == shown
    assert (look.height, look.width) == (height, width)
    assert look.scores is not None
    assert 0.9 * height * width < look.scores.pixels_K.sum() < height * width  # some are void


def test_a_mask_without_a_pixel_that_counts_has_no_scores(tmp_path: Path) -> None:
    make_project(tmp_path)
    mask = tmp_path / "samples/masks/val/drive0_000.png"
    save(mask, np.full((48, 64), 9, np.uint8))
    name = "val/drive0_000.png"
    choice = ImageChoice(tmp_path / "samples", Sample("s", "", f"images/{name}", f"masks/{name}"))
    predictor = Predictor.load(tmp_path / "models")
    assert look_at(choice, predictor).scores is None
    save(mask, np.full((48, 64), 77, np.uint8))
    look = look_at(choice, predictor)
    assert look.scores is None and look.unknown == {77: 48 * 64}


def test_a_tile_is_shown_whole_with_its_restitched_prediction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make_esd_tile(tmp_path / "data/raw/Tile3", truth=6, ratio=8)
    predictor = Predictor.load(save_random_bundle(tmp_path / "models", esd_files(8), 16, 16))
    subtiles = [
        Row(Sample(f"Tile3/{place}", "Tile3", "Tile3", "Tile3/groundTruth.tif",
                   window=Window(0, 16 * place, 16, 16)), 0)
        for place in range(3)
    ]  # fmt: skip
    (tmp_path / "data/prepared/val").mkdir(parents=True)
    write_index(tmp_path / "data/prepared/val/index.csv", subtiles)
    found = images_at(split_place("val"), [], predictor.reader)
    assert [*found] == ["Tile3"]
    look = look_at(found["Tile3"], predictor)
    assert (look.height, look.width) == (48, 48)
    assert look.truth_HW is not None and look.truth_HW.shape == look.prediction_HW.shape
    image, _ = predictor.reader.read_image(tmp_path / "data/raw/Tile3")
    labels = predictor.predict(image[None])  # window by window
    assert look.prediction_HW[::64, ::64].tolist() == labels.tolist()
    assert TILE_SCHEME.classes == predictor.scheme.classes


def test_a_raster_is_shown_whole_up_to_the_limit_of_pixels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values_HW = values(20, 40)
    write_tif(tmp_path / "a.tif", values_HW[None])
    choice = ImageChoice(tmp_path, Sample("a", "", "a.tif", None))
    look = look_at(choice, pixelwise())
    assert (look.height, look.width, look.truth_HW) == (20, 40, None)
    factor = look.prediction_HW.shape[0] // 20
    assert (look.prediction_HW[::factor, ::factor] == (values_HW > 0.5)).all()
    monkeypatch.setenv("SEGPIPE_MAX_PIXELS", "799")
    with pytest.raises(DataError, match=r"a\.tif: has 800 pixels"):
        look_at(choice, pixelwise())


def test_the_input_frames_of_a_clip_are_shown(tmp_path: Path) -> None:
    make_project(tmp_path)
    params = ModelParams.model_validate(
        {"name": "resnet_lstm", "resnet_lstm": {"grid_height": 2, "grid_width": 2}}
    )
    spec = InputSpec(PICTURES, 32, 64, "stretch", 2, [0.5] * 3, [0.2] * 3)
    scheme = Predictor.load(tmp_path / "models").scheme
    model = build_model(params, 3, scheme.num_classes).eval()
    predictor = Predictor(Bundle(model, params, scheme, spec, "fp32", {}))
    folder = tmp_path / "samples/images/train"
    look = look_at(ImageChoice(folder, Sample("s", "", "drive1_001.png", None)), predictor)
    [frame] = look.frames
    assert (frame == np.asarray(Image.open(folder / "drive0_000.png"))).all()
    assert look.scores is None
