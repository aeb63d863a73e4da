"""The names of rendered files; the rest is tried in tests/stages/test_raster_stages.py."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from segpipe.bundle import Bundle
from segpipe.inference.pictures import Drawing, draw_samples
from segpipe.inference.predictor import Predictor
from segpipe.labels.scheme import LabelScheme, RawLabel
from segpipe.models.parts.network import Network
from segpipe.params.model import ModelParams
from segpipe.raw.input_spec import PICTURES, InputSpec
from segpipe.raw.sample import Sample
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
