"""Predictor: any image size in, a label image of that size out."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from segpipe.bundle import Bundle
from segpipe.inference.predictor import Predictor
from segpipe.labels.scheme import LabelScheme, RawLabel
from segpipe.models.build import build_model
from segpipe.params.model import ModelParams, UNetParams
from segpipe.raw.input_spec import PICTURES, InputSpec
from segpipe.runtime.errors import DataError

SCHEME = LabelScheme(
    "three",
    ("a", "b", "c"),
    tuple(RawLabel(10 * k, name, (k, k, k), k) for k, name in enumerate("abc")),
)


def predictor(fit: str = "stretch", height: int = 32, width: int = 48, **unet: object) -> Predictor:
    params = ModelParams(unet=UNetParams(width=4, depth=2, **unet))
    torch.manual_seed(0)
    spec = InputSpec(PICTURES, height, width, fit, 1, [0.5, 0.4, 0.3], [0.2, 0.3, 0.2])
    return Predictor(Bundle(build_model(params, 3, 3).eval(), params, SCHEME, spec, "fp32", {}))


def picture(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (1, height, width, 3)).astype(np.uint8)


@pytest.mark.parametrize("fit", ["stretch", "pad", "crop"])
@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("size", [(32, 48), (33, 47), (9, 120), (200, 11), (1, 1)])
def test_the_label_image_has_the_size_of_the_image(
    fit: str, padding: str, size: tuple[int, int]
) -> None:
    labels = predictor(fit, padding=padding).predict(picture(*size))
    assert labels.shape == size
    assert labels.dtype == np.uint8
    assert labels.max() < 3


def test_at_the_training_size_it_is_the_network_itself() -> None:
    one, image = predictor(), picture(32, 48)
    normal = (torch.from_numpy(image[0]) / 255 - torch.tensor([0.5, 0.4, 0.3])) / torch.tensor(
        [0.2, 0.3, 0.2]
    )
    with torch.inference_mode():
        expected = one.bundle.model(normal.permute(2, 0, 1)[None])[0]
    torch.testing.assert_close(one.logits(image), expected, rtol=1e-4, atol=1e-4)


def test_scores_come_back_bilinearly() -> None:
    one, image = predictor(), picture(64, 96)
    small = one.logits(np.asarray(Image.fromarray(image[0]).resize((48, 32), 2))[None])
    expected = F.interpolate(small[None], size=(64, 96), mode="bilinear", align_corners=False)[0]
    torch.testing.assert_close(one.logits(image), expected)


def test_valid_padding_scores_every_pixel_in_its_place() -> None:
    """Where no mirrored edge is seen, the scores are those of a larger piece of the same image."""
    large = picture(96, 112)
    whole = predictor(height=96, width=112, padding="valid").logits(large)
    part = predictor(height=64, width=80, padding="valid").logits(large[:, 16:80, 16:96])
    inner = 24
    torch.testing.assert_close(
        part[:, inner:-inner, inner:-inner],
        whole[:, 16 + inner : 80 - inner, 16 + inner : 96 - inner],
        rtol=1e-4,
        atol=1e-4,
    )


@pytest.mark.parametrize(("precision", "repair"), [("fp32", "train again"), ("bf16", "to fp32 in")])
def test_scores_that_are_not_finite_stop_the_prediction(precision: str, repair: str) -> None:
    """One pixel of one class is enough, also where the size of the image differs."""
    one = predictor()
    one = Predictor(replace(one.bundle, precision=precision))
    head = one.bundle.model.get_submodule("head")
    with torch.no_grad():
        head.weight.fill_(3e38)
    for size in ((32, 48), (64, 96)):
        with pytest.raises(DataError, match=f"scores of it are not finite.*{repair}"):
            one.predict(picture(*size))


def test_values_of_the_image_that_are_not_finite_are_named_as_the_cause() -> None:
    image = picture(32, 48).astype(np.float32)
    image[0, 3, 4, 1] = np.nan
    with pytest.raises(DataError, match=r"^holds values that are not finite"):
        predictor().predict(image)


def test_an_image_of_other_channels_is_refused() -> None:
    with pytest.raises(DataError, match="has 4 channels, but the model takes 3: red, green, blue"):
        predictor().predict(np.zeros((1, 32, 48, 4), np.uint8))


def test_a_model_of_clips_is_shown_as_many_frames_as_in_its_training() -> None:
    params = ModelParams.model_validate(
        {"name": "resnet_lstm", "resnet_lstm": {"grid_height": 2, "grid_width": 2}}
    )
    spec = InputSpec(PICTURES, 32, 64, "stretch", 3, [0.5] * 3, [0.2] * 3)
    torch.manual_seed(0)
    one = Predictor(Bundle(build_model(params, 3, 3).eval(), params, SCHEME, spec, "fp32", {}))
    assert one.frames == 3
    frames_THWC = np.random.default_rng(0).integers(0, 256, (4, 32, 64, 3)).astype(np.uint8)
    logits = one.logits(frames_THWC)
    torch.testing.assert_close(logits, one.logits(frames_THWC[1:]))
    still = one.logits(frames_THWC[-1:].repeat(3, 0))
    assert (logits - still).abs().max() > 1e-4, "the frames before change the scores"
    with pytest.raises(DataError, match="takes clips of 3 frames, and 1 are given"):
        one.predict(frames_THWC[-1:])
