"""The names of rendered files; the rest is tried in tests/stages/test_raster_stages.py."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from segpipe.bundle import Bundle
from segpipe.inference.pictures import Drawing, draw_examples, draw_samples
from segpipe.inference.predictor import Predictor
from segpipe.labels.scheme import LabelScheme, RawLabel
from segpipe.models.parts.network import Network
from segpipe.params.model import ModelParams
from segpipe.raw.input_spec import PICTURES, InputSpec
from segpipe.raw.sample import Sample
from segpipe.rendering.overlay import WRONG
from tests.forge import save

IDS = {"a": 10, "b": 20, "c": 30}
SCHEME = LabelScheme(
    "three",
    tuple(IDS),
    tuple(RawLabel(number, name, (k, k, k), k) for k, (name, number) in enumerate(IDS.items())),
)


class Channel(Network):
    """The class of each pixel is the brightest channel."""

    def forward(self, image_BCHW: Tensor) -> Tensor:
        return image_BCHW


class LastFrame(Network):
    """The class of each pixel is the brightest channel of the last frame."""

    takes_clips = True

    def forward(self, image_BTCHW: Tensor) -> Tensor:
        return image_BTCHW[:, -1]


def test_an_example_has_its_earlier_frames_and_its_errors(tmp_path: Path) -> None:
    for number in range(3):
        image = np.zeros((8, 12, 3), np.uint8)
        image[..., number] = 255
        save(tmp_path / f"raw/{number}.png", image)
    truth = np.full((8, 12), 30, np.uint8)
    truth[:2] = 10
    save(tmp_path / "raw/mask.png", truth)
    sample = Sample("a/b", "", "2.png", "mask.png", ("0.png", "1.png"))
    spec = InputSpec(PICTURES, 8, 12, "stretch", 3, [0.0] * 3, [1.0] * 3)
    bundle = Bundle(LastFrame().eval(), ModelParams(), SCHEME, spec, "fp32", {})
    predictor = Predictor(bundle, torch.device("cpu"))
    drawing = Drawing(predictor, tmp_path / "raw", tmp_path, 0.5, {})
    [example], legend = draw_examples({"worst": [sample], "best": []}, drawing, {})
    assert (example.kind, example.name) == ("worst", "a/b")
    assert [int(frame[0, 0].argmax()) for frame in example.frames] == [0, 1]
    assert list(example.panels) == ["image", "truth", "prediction", "errors"]
    wrong = (example.panels["errors"] == WRONG).all(-1).mean()
    assert wrong == 2 / 8
    assert [entry.name for entry in legend] == ["a", "c", "wrong"]
    drawn = draw_samples([sample], drawing, "All")
    (tmp_path / "raw/2.png").unlink()  # what was drawn is not read and predicted again
    [again], _ = draw_examples({"worst": [sample]}, drawing, drawn)
    assert list(again.panels) == list(example.panels)
    for one, other in zip(again.panels.values(), example.panels.values(), strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(again.frames, example.frames)


def test_each_sample_has_files_of_its_own(tmp_path: Path) -> None:
    long = "/".join(["deep" * 20] * 5)
    names = ["a/b", "a__b", f"{long}/x", f"{long}/y", "c"]
    samples = []
    for number, name in enumerate(names):
        image = np.zeros((8, 12, 3), np.uint8)
        image[..., number % 3] = 255
        save(tmp_path / f"raw/images/val/{name}.png", image)
        samples.append(Sample(name, "", f"images/val/{name}.png", None))
    spec = InputSpec(PICTURES, 8, 12, "stretch", 1, [0.0] * 3, [1.0] * 3)
    bundle = Bundle(Channel().eval(), ModelParams(), SCHEME, spec, "fp32", {})
    predictor, target = Predictor(bundle, torch.device("cpu")), tmp_path / "predictions"
    draw_samples(samples, Drawing(predictor, tmp_path / "raw", target, 0.5, {}), "All")
    for folder in ("labels", "colours", "overlays", "comparisons"):
        assert len(list((target / folder).iterdir())) == len(names), folder
    found = {}
    for path in (target / "labels").iterdir():
        with Image.open(path) as picture:
            [value] = np.unique(picture).tolist()
        found.setdefault(path.name[:2], []).append(value)
    assert {start: sorted(values) for start, values in found.items()} == {
        "a_": [10, 20],
        "de": [10, 30],
        "c.": [20],
    }
