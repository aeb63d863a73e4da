"""Rules that the zoo does not reach: rasters, left-out images, thresholds, memory, refusing."""

import random
from pathlib import Path
from typing import Any

import pytest

from segpipe.labels.load import load_scheme
from segpipe.labels.scheme import VOID, LabelScheme
from segpipe.params.prepare import PrepareParams
from segpipe.preflight.classes import absent_classes, one_class, void_share
from segpipe.preflight.files import sizes_differ
from segpipe.preflight.image_rules import distorted, enlarged, featureless
from segpipe.preflight.judge import judge
from segpipe.preflight.splits import torn_groups
from segpipe.preflight.training_rules import large_batch, too_large
from segpipe.preflight.values import unknown_values
from segpipe.preparation.sample_stats import SampleStats, Survey
from segpipe.raw.sample import Sample, Window
from segpipe.runtime.errors import DataError
from segpipe.runtime.findings import Finding, refuse, say_warnings
from tests.forge import CLASSES_CSV

ALL = {0: 500, 1: 300, 2: 150, VOID: 50}
CANVAS = PrepareParams(height=32, width=48)


@pytest.fixture(scope="module")
def scheme(tmp_path_factory: pytest.TempPathFactory) -> LabelScheme:
    folder = tmp_path_factory.mktemp("labels")
    (folder / "classes.csv").write_text(CLASSES_CSV)
    return load_scheme("classes.csv", {}, folder)


def stats(split: str, number: int, window: bool = False, **changes: Any) -> SampleStats:
    sample = Sample(
        f"{split}{number}",
        changes.pop("group", f"{split}{number}"),
        f"images/{split}/{number}.png",
        f"masks/{split}/{number}.png",
        window=Window(0, 0, 32, 48) if window else None,
    )
    sound: dict[str, Any] = {
        "image_side": (64, 96),
        "mask_side": (64, 96),
        "image_mode": "RGB",
        "mask_mode": "L",
        "train_pixels": dict(ALL),
        "brightness": 0.4,
        "dhash": random.Random(f"{split}{number}").getrandbits(64),
    }
    return SampleStats(sample, split, **{**sound, **changes})


def splits(**changes: Any) -> list[SampleStats]:
    return [stats(s, n, **changes) for s, count in (("train", 8), ("val", 5)) for n in range(count)]


def test_sound_facts_are_judged_sound(scheme: LabelScheme) -> None:
    assert judge(Survey(splits()), [], scheme, CANVAS, batch_size=8) == []


def test_a_truth_coarser_than_its_raster_has_the_size_of_the_window() -> None:
    assert sizes_differ(splits(window=True)) == []


def test_a_square_mask_of_another_size_is_not_called_turned() -> None:
    square = stats("train", 0, image_side=(64, 64), mask_side=(32, 32))
    assert [finding.kind for finding in sizes_differ([square])] == ["size_differs"]


def test_windows_may_show_one_class_each_and_photographs_may_not(scheme: LabelScheme) -> None:
    def flat(window: bool) -> list[SampleStats]:
        return [stats("train", n, window=window, train_pixels={n % 3: 64}) for n in range(20)]

    assert one_class(flat(window=True), scheme) == []
    assert [finding.kind for finding in one_class(flat(window=False), scheme)] == ["flat_masks"]
    # Below nine tenths it may well be so, as in masks of a rare thing.
    mixed = [*flat(window=False), stats("train", 90), stats("train", 91), stats("train", 92)]
    assert one_class(mixed, scheme) == []


def test_void_of_exactly_half_is_no_finding() -> None:
    half = [stats("val", 0, train_pixels={0: 50, VOID: 50})]
    more = [stats("val", 0, train_pixels={0: 49, VOID: 51})]
    assert void_share(half) == []
    assert [finding.kind for finding in void_share(more)] == ["much_void"]
    assert "51.0 % of the pixels of val" in void_share(more)[0].text


def test_a_test_split_of_void_is_a_warning_since_truth_may_be_withheld() -> None:
    (finding,) = void_share([stats("test", 0, train_pixels={VOID: 10})])
    assert (finding.kind, finding.severity) == ("only_void", "warning")


def test_classes_are_not_judged_where_most_masks_have_errors(scheme: LabelScheme) -> None:
    broken = [stats("train", n, unknown={77: 9}, train_pixels={0: 1, VOID: 9}) for n in range(6)]
    sound = [stats("train", 9)]
    val = [stats("val", n) for n in range(5)]
    assert absent_classes([*broken, *sound, *val], scheme) == []
    assert void_share([*broken, *sound, *val]) == []


def test_a_class_of_validation_alone_is_named_with_strong_words(scheme: LabelScheme) -> None:
    train = [stats("train", n, train_pixels={0: 5, 1: 5}) for n in range(5)]
    (finding,) = absent_classes([*train, stats("val", 0)], scheme)
    assert (finding.kind, finding.items) == ("untaught_class", ("car",))
    assert "cannot learn" in finding.text


def test_images_left_out_take_no_part_but_are_read(scheme: LabelScheme) -> None:
    samples = splits()
    alike = [
        stats("train", 90, dhash=0x1234_5678_9ABC_DEF0, excluded=("car",)),
        stats("val", 91, dhash=0x1234_5678_9ABC_DEF0),
    ]
    cut_off = ("images/train/92.png: is cut off",)
    damaged = stats("train", 92, unreadable=cut_off, excluded=("car",))
    found = judge(Survey([*samples, *alike, damaged], ("car",)), [], scheme, CANVAS)
    assert [finding.kind for finding in found] == ["unreadable"]
    (empty,) = judge(
        Survey([stats("val", n) for n in range(5)] + alike[:1], ("car",)), [], scheme, CANVAS
    )
    assert empty.kind == "empty_split"
    assert "after 1 images were left out by labels.exclude_images_with" in empty.text


def test_a_group_in_two_splits_is_said_once(scheme: LabelScheme) -> None:
    samples = [stats("train", n, group="ulm") for n in range(5)] + [
        stats("val", n) for n in range(5)
    ]
    assert torn_groups(samples) == []
    samples.append(stats("val", 9, group="ulm"))
    (finding,) = torn_groups(samples)
    assert finding.items == ("ulm: 5 in train, 1 in val",)
    listed = Finding("torn_group", "error", "said by the source", "move it")
    found = judge(Survey(samples), [listed], scheme, CANVAS)
    assert [str(finding) for finding in found] == ["said by the source; move it"]


def test_copies_fill_a_batch() -> None:
    samples = [stats("train", n) for n in range(8)]
    assert len(large_batch(samples, 9, copies=0)) == 1
    assert large_batch(samples, 8, copies=0) == []
    assert large_batch(samples, 16, copies=1) == []
    assert large_batch(samples, None, copies=0) == []


@pytest.mark.parametrize(
    ("side", "kinds"),
    [
        ((64, 96), []),
        ((17, 25), []),
        ((16, 24), ["enlarged"]),
        ((64, 24), ["enlarged", "distorted"]),
        ((64, 119), []),
        ((64, 121), ["distorted"]),
        ((64, 76), ["distorted"]),
    ],
)
def test_sizes_are_judged_against_the_canvas(side: tuple[int, int], kinds: list[str]) -> None:
    samples = [stats("train", 0, image_side=side)]
    found = [*enlarged(samples, CANVAS), *distorted(samples, CANVAS)]
    assert [finding.kind for finding in found] == kinds
    padded = CANVAS.model_copy(update={"fit": "pad"})
    assert distorted(samples, padded) == []


def test_dark_windows_of_night_light_are_no_finding() -> None:
    assert featureless([stats("train", 0, window=True, brightness=0.0, dhash=0)]) == []
    assert len(featureless([stats("train", 0, brightness=1.0)])) == 1
    assert featureless([stats("train", 0, brightness=None, dhash=None)]) == []


def test_many_strange_values_of_one_mask_are_summed_up(scheme: LabelScheme) -> None:
    noise = stats("train", 0, unknown={value: 1000 - value for value in range(100, 160)})
    (finding,) = unknown_values([noise], scheme)
    assert len(finding.items) == 11
    assert finding.items[0] == "masks/train/0.png: value 100 in 900 pixels"
    assert finding.items[-1].endswith("50 further values in 43,275 pixels")


def test_a_training_that_does_not_fit_is_a_warning(scheme: LabelScheme) -> None:
    fits = {"total_mb": 900.0, "available_mb": 1000.0, "device": "cpu"}
    (finding,) = too_large({**fits, "total_mb": 3456.0})
    assert "about 3,456 MB of memory, but cpu has 1,000 MB free" in finding.text
    for forecast in (None, {}, fits, {**fits, "available_mb": None}):
        assert too_large(forecast) == []
    found = judge(Survey(splits()), [], scheme, CANVAS, forecast={**fits, "total_mb": 2000})
    assert [finding.kind for finding in found] == ["memory"]


def test_errors_come_first_and_all_in_one_message(capsys: pytest.CaptureFixture[str]) -> None:
    warning = Finding("a", "warning", "doubtful", "look")
    errors = [
        Finding("b", "error", "wrong", "mend", ("x", "y")),
        Finding("c", "error", "bad", "go"),
    ]
    refuse([warning])
    with pytest.raises(DataError) as caught:
        refuse([warning, *errors], Path("there/report.md"))
    assert str(caught.value) == (
        "wrong; mend:\n  x\n  y\nbad; go\nthe whole report, with pictures: there/report.md"
    )
    say_warnings([warning, *errors])
    assert capsys.readouterr().out == "warning: doubtful; look\n"
