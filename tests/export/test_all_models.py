"""Every model of the list as ONNX and as OpenVINO: the same logits, also at other sizes where it can."""

from pathlib import Path

import pytest
import torch

from segpipe.bundle import load_bundle
from segpipe.bundle_format import read_description
from segpipe.export.file_content import onnx_content, openvino_content
from segpipe.export.image_network import ImageNetwork
from segpipe.export.onnx_file import onnx_network
from segpipe.inference.exported import exported_bundle
from segpipe.inference.exported_file import OnnxSession, OpenvinoSession
from segpipe.raw.input_spec import PICTURES, FileSpec, Scaling
from tests.export.make_bundle import make_bundle
from tests.models.test_all_models import FRAMES, NAMES, RATIO, options

# Those that pool onto a fixed grid take the training's size alone.
FIXED = {"pspnet", "resnet_lstm"}
BANDS = FileSpec(
    "raster", ("a", "b", "c", "d"), (0, 1, 2), scaling=Scaling((1, 2, 3, 4), (0.0,) * 4, (9.0,) * 4)
)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_files_of_every_model_have_its_logits(name: str, tmp_path: Path) -> None:
    files = PICTURES
    if name in RATIO:  # of satellite data: four bands as floats, a coarser truth
        files = FileSpec("raster", BANDS.channels, (0, 1, 2), RATIO[name], BANDS.scaling)
    sides = (100, 150) if name in RATIO else (64, 96)
    folder = make_bundle(
        tmp_path / "models", options(name), files=files, sides=sides, frames=FRAMES
    )
    bundle, about = load_bundle(folder), read_description(folder)
    made = onnx_network(bundle)
    assert made.any_batch
    assert made.any_size == (name not in FIXED), "as docs/export.md says"
    sessions = [
        OnnxSession(onnx_content(made.content, about), 1),
        OpenvinoSession(*openvino_content(made.content, about), 1),
    ]
    network = ImageNetwork(bundle).eval()
    others = [(131, 157), (64, 200)] if made.any_size else []
    for size in (sides, *others):
        images = network.example(2, *size)
        with torch.inference_mode():
            expected = network(images)
        assert expected.std() > 0
        scale = max(1.0, float(expected.abs().max()))
        for session in sessions:
            file = exported_bundle(session, about, "file").model
            found = file(images if file.takes_clips else images[:, None])
            torch.testing.assert_close(found / scale, expected / scale, rtol=0, atol=1e-4)
