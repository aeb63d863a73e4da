"""Charts of a data set (statistics.py and channels.py): what they show, the same bytes again,
extremes and misfits."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from PIL import Image

from segpipe.rendering import channels, statistics
from segpipe.rendering.chart import percent
from segpipe.runtime.errors import SegpipeError

CLASSES = ["road", "train", "car"]
PIXELS = {"train": np.array([90, 0, 910]), "val": np.array([400, 100, 500])}
HOLDING = {"train": np.array([3, 0, 4]), "val": np.array([1, 1, 1])}
IMAGES = {"train": 4, "val": 1}
BRIGHTNESS = {"train": np.array([0, 3, 1, 0]), "val": np.array([2, 0, 0, 0])}
SIZES = {"train": {(720, 960): 30, (480, 640): 2}, "val": {(720, 960): 10}}
MANY_SIZES = {"train": {(h, 100): h - 99 for h in range(100, 130)}, "val": {(100, 100): 4}}
RANDOM = np.random.default_rng(0)
RGB = RANDOM.integers(1, 100, (3, 256))
BANDS = [f"sentinel2_{date}_B{band:02d}" for date in range(4) for band in range(12)]

DRAWINGS: dict[str, Callable[[Path], None]] = {
    "classes": lambda path: statistics.class_frequencies(CLASSES, PIXELS, HOLDING, IMAGES, path),
    "brightness": lambda path: statistics.brightness_histogram(BRIGHTNESS, path),
    "few sizes": lambda path: statistics.image_sizes(SIZES, path),
    "many sizes": lambda path: statistics.image_sizes(MANY_SIZES, path),
    "rgb": lambda path: channels.channel_histograms(RGB, ["red", "green", "blue"], path),
    "five": lambda path: channels.channel_histograms(RGB[[0, 1, 2, 0, 1]], list("abcde"), path),
    "map": lambda path: channels.channel_histograms(RGB[[0, 1] * 24], BANDS, path),
}


def bars(container: Any) -> list[tuple[float, float]]:
    """Left end and right end of each bar."""
    assert isinstance(container, BarContainer)
    return [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in container]


# --- all charts ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", DRAWINGS)
def test_the_same_counts_give_the_same_bytes_whatever_the_users_settings(
    tmp_path: Path, name: str
) -> None:
    before = dict(matplotlib.rcParams)
    DRAWINGS[name](tmp_path / "one.png")
    assert dict(matplotlib.rcParams) == before
    with matplotlib.rc_context({"font.size": 31, "axes.grid": True}):
        DRAWINGS[name](tmp_path / "two.png")
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    with Image.open(tmp_path / "one.png") as picture:
        picture.load()
        assert picture.width > 500
        assert set(picture.info) <= {"dpi"}


@pytest.mark.parametrize("name", ["classes", "map"])
def test_on_a_full_disk_nothing_is_left(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SegpipeError, match="disk is full"):
        DRAWINGS[name](tmp_path / "x.png")
    assert list(tmp_path.iterdir()) == []


# --- classes -------------------------------------------------------------------------------


def test_classes_show_shares_images_and_mean_pixels(drawn: list[Figure]) -> None:
    DRAWINGS["classes"](Path("x.png"))
    left, middle, right = drawn[0].axes
    # By their share in the first split: car, road, train.
    assert [label.get_text() for label in left.get_yticklabels()] == ["car", "road", "train"]
    ends = [[end for _, end in bars(group)] for group in left.containers]
    np.testing.assert_allclose(ends, [[0.91, 0.09, 0], [0.5, 0.4, 0.1]])
    ends = [[end for _, end in bars(group)] for group in middle.containers]
    np.testing.assert_allclose(ends, [[1, 0.75, 0], [1, 1, 1]])
    texts = [text.get_text() for text in left.texts]
    assert texts == ["91.0", "9.0", "none", "50.0", "40.0", "10.0"]
    # 910 / 4, 90 / 3 and nothing; 500, 400 and 100 in the one image.
    texts = [text.get_text() for text in right.texts]
    assert texts == ["228", "30", "none", "500", "400", "100"]
    legend = [text.get_text() for text in drawn[0].legends[0].get_texts()]
    assert legend == ["train (4 images)", "val (1 image)"]
    assert left.get_ylim()[0] > left.get_ylim()[1]  # the first on top


def test_shares_far_apart_are_on_a_logarithmic_scale(drawn: list[Figure]) -> None:
    pixels = {"train": np.array([10**8, 10, 0])}
    statistics.class_frequencies(
        CLASSES, pixels, {"train": np.array([9, 1, 0])}, {"train": 9}, Path("x.png")
    )
    left, middle, _right = drawn[0].axes
    assert left.get_xscale() == "log"
    assert middle.get_xscale() == "linear"
    (first, rare, none) = bars(left.containers[0])
    assert first[0] == rare[0] == none[0] == left.get_xlim()[0] == pytest.approx(1e-8)
    assert first[1] == pytest.approx(1)
    assert rare[1] == pytest.approx(1e-7)
    assert none[0] == none[1]
    assert [text.get_text() for text in left.texts] == ["100.0", "<0.0001", "none"]
    assert max(left.get_xticks()) <= 1.001


@pytest.mark.parametrize("classes", [1, 40, 41, 255])
def test_any_number_of_classes_can_be_drawn(drawn: list[Figure], classes: int) -> None:
    names = [f"a class with a name that is long enough to be cut {k:03d}" for k in range(classes)]
    counts = {"train": np.arange(1, classes + 1)}
    statistics.class_frequencies(names, counts, counts, {"train": 255}, Path("x.png"))
    left = drawn[0].axes[0]
    labels = [label.get_text() for label in left.get_yticklabels()]
    assert len(set(labels)) == classes
    assert max(map(len, labels)) <= 44
    assert len(left.texts) == (classes if classes <= 40 else 0)
    assert drawn[0].get_size_inches()[1] * 150 < 65536  # the largest side that can be written


def test_a_data_set_without_a_labelled_pixel_is_drawn(tmp_path: Path) -> None:
    none = {"train": np.zeros(1, np.int64), "val": np.zeros(1, np.int64)}
    images = {"train": 3, "val": 0}
    statistics.class_frequencies(["sky"], none, none, images, tmp_path / "x.png")
    assert (tmp_path / "x.png").exists()


@pytest.mark.parametrize(
    ("classes", "pixels", "holding"),
    [
        ([], {"train": np.zeros(0)}, {"train": np.zeros(0)}),
        (CLASSES, {"train": np.zeros(2)}, {"train": np.zeros(2)}),
        (CLASSES, {"train": np.zeros(3)}, {"val": np.zeros(3)}),
        (CLASSES, {}, {}),
    ],
)
def test_counts_that_do_not_fit_are_refused(classes: Any, pixels: Any, holding: Any) -> None:
    with pytest.raises(ValueError, match="do not fit"):
        statistics.class_frequencies(classes, pixels, holding, {"train": 1}, Path("x.png"))


# --- brightness and sizes --------------------------------------------------------------------


def test_brightness_is_a_share_of_each_split(drawn: list[Figure]) -> None:
    DRAWINGS["brightness"](Path("x.png"))
    axes = drawn[0].axes[0]
    lines = [patch for patch in axes.patches if not patch.get_fill()]
    values = [line.get_data().values.tolist() for line in lines]
    assert values == [[0, 0.75, 0.25, 0], [1, 0, 0, 0]]
    np.testing.assert_allclose(lines[0].get_data().edges, [0, 0.25, 0.5, 0.75, 1])
    assert axes.get_legend() is not None
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["train (4 images)", "val (2 images)"]


def test_splits_of_other_bins_and_none_are_refused() -> None:
    for counts in ({}, {"a": np.zeros(0)}, {"a": np.zeros(3), "b": np.zeros(4)}):
        with pytest.raises(ValueError, match="bins"):
            statistics.brightness_histogram(counts, Path("x.png"))


def test_a_few_sizes_are_stacked_bars(drawn: list[Figure]) -> None:
    DRAWINGS["few sizes"](Path("x.png"))
    axes = drawn[0].axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["720 x 960", "480 x 640"]
    assert [bars(group) for group in axes.containers] == [[(0, 30), (0, 2)], [(30, 40), (2, 2)]]
    assert [text.get_text() for text in axes.texts] == ["40", "2"]


def test_many_sizes_are_points_by_width_and_height(drawn: list[Figure]) -> None:
    DRAWINGS["many sizes"](Path("x.png"))
    axes = drawn[0].axes[0]
    train, val = axes.collections
    points = np.asarray(train.get_offsets())
    np.testing.assert_array_equal(points, [[100, height] for height in range(100, 130)])
    area = train.get_sizes()
    assert (np.diff(area) > 0).all()
    assert np.asarray(val.get_offsets()).tolist() == [[100, 100]]
    # Every point is on the paper.
    assert axes.get_ylim()[0] < 100
    assert axes.get_ylim()[1] > 129


def test_no_image_has_no_sizes() -> None:
    for counts in ({}, {"train": {}}):
        with pytest.raises(ValueError, match="no image"):
            statistics.image_sizes(counts, Path("x.png"))


# --- channels ------------------------------------------------------------------------------


def test_red_green_and_blue_are_three_lines(drawn: list[Figure]) -> None:
    DRAWINGS["rgb"](Path("x.png"))
    (axes,) = drawn[0].axes
    lines = [patch for patch in axes.patches if not patch.get_fill()]
    found = [line.get_data().values for line in lines]
    np.testing.assert_allclose(found, RGB / RGB.sum(1, keepdims=True))
    assert [line.get_label() for line in lines] == ["red", "green", "blue"]


def test_clipped_values_do_not_flatten_the_rest(drawn: list[Figure]) -> None:
    histogram = np.full((1, 256), 10)
    histogram[0, -1] = 2450  # half of all
    channels.channel_histograms(histogram, ["grey"], Path("x.png"))
    axes = drawn[0].axes[0]
    assert axes.get_ylim()[1] == pytest.approx(1.12 * 10 / 5000)
    assert [text.get_text() for text in axes.texts] == ["49 % at 1"]


@pytest.mark.parametrize("count", [2, 4, 5, 12])
def test_a_dozen_channels_have_a_chart_each(drawn: list[Figure], count: int) -> None:
    names = [f"B{k}" for k in range(count)]
    channels.channel_histograms(RGB[[0] * count], names, Path("x.png"))
    charts = [axes for axes in drawn[0].axes if axes.axison]
    assert [axes.get_title(loc="left") for axes in charts] == names


def test_many_channels_are_a_map_of_their_shares(drawn: list[Figure]) -> None:
    counts = np.random.default_rng(1).integers(0, 50, (48, 256))
    counts[7] = 0  # a band that holds nothing
    channels.channel_histograms(counts, BANDS, Path("x.png"))
    axes = drawn[0].axes[0]
    shown = np.asarray(axes.images[0].get_array())
    expected = counts.reshape(48, 64, 4).sum(2) / np.maximum(counts.sum(1, keepdims=True), 1)
    np.testing.assert_allclose(shown, expected)
    assert [label.get_text() for label in axes.get_yticklabels()] == BANDS
    assert len(axes.lines) == 0  # one satellite: nothing to part


def test_satellites_are_parted_on_the_map(drawn: list[Figure]) -> None:
    names = BANDS + [f"landsat_1_B{band}" for band in range(10)]
    channels.channel_histograms(RGB[[0] * 58], names, Path("x.png"))
    lines = drawn[0].axes[0].lines
    assert [line.get_ydata()[0] for line in lines] == [47.5]


def test_channels_without_names_and_none_are_refused() -> None:
    for histogram, names in ((RGB, ["red"]), (np.zeros((0, 256)), []), (RGB[0], ["red"])):
        with pytest.raises(ValueError, match="histogram of shape"):
            channels.channel_histograms(histogram, names, Path("x.png"))


def test_percent_is_short() -> None:
    assert [percent(value, 0) for value in (0, 1e-7, 0.0005, 0.5, 1)] == [
        "0",
        "0.00001",
        "0.05",
        "50",
        "100",
    ]
