"""Windows, scales and mirror images, and scores by strips (views.py and strips.py)."""

import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from segpipe.bundle import Bundle
from segpipe.inference import strips
from segpipe.inference.predictor import Predictor
from segpipe.inference.strips import logits_of, probabilities_of, score_strips
from segpipe.inference.views import (
    BlendedRows,
    Views,
    WholeRows,
    sliding_windows,
    window_starts,
    window_weights,
)
from segpipe.models.parts.network import Network
from segpipe.params.model import ModelParams
from segpipe.raw.input_spec import PICTURES, FileSpec, InputSpec, Scaling
from segpipe.runtime.errors import ParameterError
from tests.forge import child_environment
from tests.inference.test_predictor import SCHEME, picture, predictor

SIDE = st.integers(1, 40)


class Pixelwise(Network):
    """Scores each pixel by its own colour, or by its red alone where there is one logit."""

    def __init__(self, scores: int = 3) -> None:
        super().__init__()
        self.scores = scores

    def forward(self, image_BCHW: Tensor) -> Tensor:
        return 4 * image_BCHW[:, : self.scores] - 2


class LastAgainstFirst(Network):
    """Scores the difference of the last and the first frame of a clip."""

    takes_clips = True

    def forward(self, frames_BTCHW: Tensor) -> Tensor:
        return frames_BTCHW[:, -1] - 2 * frames_BTCHW[:, 0]


def bundle_of(
    network: Network, frames: int = 1, threshold: float | None = None, files: FileSpec = PICTURES
) -> Bundle:
    spec = InputSpec(files, 8, 12, "stretch", frames, [0.0] * 3, [1.0] * 3)
    return Bundle(network.eval(), ModelParams(), SCHEME, spec, "fp32", {}, threshold)  # type: ignore[arg-type]


def pixelwise(views: Views, **options: Any) -> Predictor:
    scores = 1 if options.get("threshold") else 3
    return Predictor(bundle_of(Pixelwise(scores), **options), torch.device("cpu"), views)


@given(SIDE, SIDE, SIDE, SIDE)
@settings(deadline=None)
def test_windows_cover_every_pixel_and_weights_sum_to_one(
    height: int, width: int, window_height: int, window_width: int
) -> None:
    weight_HW = torch.zeros(height, width)
    windows = sliding_windows(height, width, window_height, window_width)
    for window in windows:
        assert 0 <= window.top <= height - window.height
        assert 0 <= window.left <= width - window.width
        weights_hw = window_weights(window.height, window.width)
        assert weights_hw.min() > 0
        weight_HW[window.rows(), window.columns()] += weights_hw
    assert weight_HW.min() > 0
    share_HW = torch.zeros(height, width)
    for window in windows:
        area = window.rows(), window.columns()
        share_HW[area] += window_weights(window.height, window.width) / weight_HW[area]
    torch.testing.assert_close(share_HW, torch.ones(height, width))


@given(st.integers(1, 300), st.integers(1, 100))
@settings(deadline=None)
def test_neighbours_share_half_a_window(length: int, window: int) -> None:
    starts = window_starts(length, window)
    assert starts[0] == 0
    assert starts[-1] == max(length - window, 0)
    for before, start in pairwise(starts):
        assert 0 < start - before <= max(window // 2 + window % 2, 1)


def test_a_hand_case_of_weights_and_starts() -> None:
    assert window_starts(8, 4) == [0, 2, 4]
    assert window_starts(9, 4) == [0, 2, 3, 5]
    expected = torch.tensor([0.25, 0.75, 0.75, 0.25])
    torch.testing.assert_close(window_weights(4, 2), expected[:, None] * torch.tensor([0.5, 0.5]))


@given(st.integers(1, 40), st.integers(1, 30), st.integers(1, 9), st.data())
@settings(deadline=None)
def test_blended_rows_are_those_of_the_whole(
    height: int, width: int, rows: int, data: st.DataObject
) -> None:
    """Asked for in strips of any height that share a row, as bilinear resizing asks for them."""
    torch.manual_seed(0)
    whole_KHW = torch.rand(2, height, width)
    sides = data.draw(st.tuples(SIDE, SIDE))
    source = BlendedRows(
        sliding_windows(height, width, *sides),
        width,
        lambda window: whole_KHW[:, window.rows(), window.columns()],
    )
    assert source.height == height
    for start in range(0, height, rows):
        first, stop = max(start - 1, 0), min(start + rows, height)
        torch.testing.assert_close(source.rows(first, stop), whole_KHW[:, first:stop])


@given(SIDE, SIDE, SIDE, SIDE, st.integers(1, 500))
@settings(deadline=None)
def test_strips_are_the_rows_of_bilinear_scores(
    height: int, width: int, given_height: int, given_width: int, values: int
) -> None:
    torch.manual_seed(0)
    small_KHW = torch.randn(3, given_height, given_width)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(strips, "_VALUES", values)
        found = list(score_strips([WholeRows(small_KHW)], 3, height, width, averaged=False))
    expected = F.interpolate(small_KHW[None], size=(height, width), mode="bilinear")[0]
    assert [rows.start for rows, _ in found] == list(
        range(0, height, max(1, values // (3 * width)))
    )
    joined = torch.cat([logits_KRW for _, logits_KRW in found], 1)
    torch.testing.assert_close(joined, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("scores", [1, 4])
def test_logits_stand_for_their_probabilities(scores: int) -> None:
    torch.manual_seed(0)
    chance_BKHW = probabilities_of(20 * torch.randn(1, scores, 5, 7))
    again_BKHW = probabilities_of(logits_of(chance_BKHW[0])[None])
    torch.testing.assert_close(again_BKHW, chance_BKHW)
    assert logits_of(torch.tensor([[[0.0, 1.0]]] * scores)).isfinite().all()


@pytest.mark.parametrize("threshold", [None, 0.3])
@pytest.mark.parametrize("size", [(8, 12), (31, 45), (5, 60), (40, 3), (1, 1)])
def test_a_network_of_local_support_gives_in_windows_what_it_gives_of_the_whole(
    size: tuple[int, int], threshold: float | None
) -> None:
    sliding = pixelwise(Views("slide"), threshold=threshold)
    clip = picture(*size)
    with torch.inference_mode():
        image = torch.from_numpy(clip[0]).permute(2, 0, 1)[None] / 255
        expected = probabilities_of(sliding.bundle.model(image))[0]
    found = probabilities_of(sliding.logits(clip)[None])[0]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    again = pixelwise(Views("slide", flip=True), threshold=threshold)
    torch.testing.assert_close(again.logits(clip), sliding.logits(clip), rtol=1e-4, atol=1e-5)


def test_the_mean_of_mirrored_views_is_by_hand() -> None:
    one, clip = predictor(), picture(32, 48)
    mirrored = one.logits(np.flip(clip, 2)).flip(-1)
    expected = (one.logits(clip).softmax(0) + mirrored.softmax(0)) / 2
    both = Predictor(one.bundle, one.device, Views(flip=True))
    torch.testing.assert_close(both.logits(clip).softmax(0), expected, rtol=1e-4, atol=1e-5)
    assert (expected - one.logits(clip).softmax(0)).abs().max() > 1e-3


def test_the_mean_of_scales_is_by_hand() -> None:
    """Each is the network's probability at a multiple of the training size, brought back."""
    one, clip = predictor(), picture(64, 96)
    total = torch.zeros(3, 64, 96)
    for scale in (0.5, 1.0):
        sized = predictor(height=round(32 * scale), width=round(48 * scale))
        small = sized.score_strips([sized._resized(clip, 1.0)])[0]
        chance_Khw = torch.cat([part for _, part in small], 1).softmax(0)
        total += F.interpolate(chance_Khw[None], size=(64, 96), mode="bilinear")[0] / 2
    both = Predictor(one.bundle, one.device, Views(scales=(0.5, 1.0)))
    torch.testing.assert_close(both.logits(clip).softmax(0), total, rtol=1e-4, atol=1e-5)


def test_all_frames_of_a_clip_are_mirrored_and_cut_alike() -> None:
    frames_THWC = np.random.default_rng(0).integers(0, 256, (3, 20, 30, 3)).astype(np.uint8)
    expected = torch.from_numpy(frames_THWC[-1] / 255 - 2 * (frames_THWC[1] / 255))
    one = Predictor(
        bundle_of(LastAgainstFirst(), frames=2), torch.device("cpu"), Views("slide", flip=True)
    )
    found = one.logits(frames_THWC).softmax(0)
    torch.testing.assert_close(
        found, expected.permute(2, 0, 1).softmax(0).float(), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("views", [Views(), Views("slide", (0.5, 1.0), flip=True)])
def test_several_pictures_at_once_are_labelled_as_one_by_one(views: Views) -> None:
    one = Predictor(predictor("pad").bundle, torch.device("cpu"), views)
    clips = [picture(*size) for size in ((64, 96), (70, 50), (32, 48), (128, 192))]
    for found, clip in zip(one.predict_many(clips), clips, strict=True):
        assert (found == one.predict(clip)).all()


def test_pictures_of_one_network_size_go_through_it_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one, batches = predictor("pad"), []
    network: Callable[..., Tensor] = one._network
    monkeypatch.setattr(one, "_network", lambda clips: batches.append(len(clips)) or network(clips))
    one.predict_many([picture(64, 96), picture(64, 64), picture(32, 48)])
    assert batches == [2, 1]


def test_rasters_are_seen_mirrored_and_at_their_own_size_alone() -> None:
    scaling = Scaling((1, 2, 3), (0.0,) * 3, (1.0,) * 3)
    files = FileSpec("raster", ("a", "b", "c"), (0, 1, 2), scaling=scaling)
    bundle, cpu = bundle_of(Pixelwise(), files=files), torch.device("cpu")
    for views in (Views("slide"), Views(scales=(0.5,))):
        with pytest.raises(ParameterError, match="are for pictures, and this model's rasters"):
            Predictor(bundle, cpu, views)
    image = picture(20, 30).astype(np.float32) / 255
    found = Predictor(bundle, cpu, Views(flip=True)).logits(image).softmax(0)
    torch.testing.assert_close(found, Predictor(bundle, cpu).logits(image).softmax(0))


def test_views_are_said_in_words() -> None:
    assert Views().summary() == "single scale, no flip"
    mean = "; the mean of their probabilities"
    assert Views(scales=(0.5, 1), flip=True).summary() == f"scales 0.5, 1, mirrored too{mean}"


LARGE = """
import sys
import numpy as np, torch
from segpipe.bundle import Bundle
from segpipe.inference.predictor import Predictor
from segpipe.inference.views import Views
from segpipe.labels.scheme import LabelScheme, RawLabel
from segpipe.models.parts.network import Network
from segpipe.params.model import ModelParams
from segpipe.runtime.hardware import peak_resident_bytes
from segpipe.raw.input_spec import PICTURES, InputSpec

class Colours(Network):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Conv2d(3, 150, 1)
    def forward(self, image_BCHW):
        return self.layer(image_BCHW)

raw = tuple(RawLabel(k, str(k), (k, k, k), k) for k in range(150))
scheme = LabelScheme("many", tuple(map(str, range(150))), raw)
spec = InputSpec(PICTURES, 256, 384, "stretch", 1, [0.5] * 3, [0.2] * 3)
bundle = Bundle(Colours().eval(), ModelParams(), scheme, spec, "fp32", {})
views = Views(sys.argv[1])
predictor = Predictor(bundle, torch.device("cpu"), views)
image = np.random.default_rng(0).integers(0, 256, (1, 3000, 4000, 3), np.uint8)
labels = predictor.predict(image)
assert labels.shape == (3000, 4000)
print(peak_resident_bytes())
"""


@pytest.mark.slow
@pytest.mark.parametrize("windows", ["whole", "slide"])
def test_12_megapixels_of_150_classes_are_labelled_in_2_gb(windows: str) -> None:
    """All scores at once would take 7.2 GB."""
    said = subprocess.run(
        [sys.executable, "-c", LARGE, windows],
        env=child_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    print(f"{windows}: {int(said.stdout) / 1e6:.2f} GB")
    assert int(said.stdout) < 2e9
