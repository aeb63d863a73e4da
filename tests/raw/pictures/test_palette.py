"""Palettes that contradict their numbers, and palettes that say nothing about the classes."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segpipe.labels.load import load_scheme
from segpipe.labels.scheme import LabelScheme
from segpipe.raw.pictures.files import read_mask
from segpipe.runtime.errors import DataError

BLACK, WHITE, RED, GREEN = (0, 0, 0), (255, 255, 255), (255, 0, 0), (0, 255, 0)
SKY, ROAD, CAR = (70, 130, 180), (128, 64, 128), (0, 0, 142)
VOC = [
    tuple(sum((n >> 3 * bit + c & 1) << 7 - bit for bit in range(3)) for c in range(3))
    for n in range(256)
]
Palette = list[tuple[int, ...]]


def scheme_of(folder: Path, *labels: tuple[str, tuple[int, int, int]]) -> LabelScheme:
    """Labels with ids from 0 in their order; void is 9."""
    rows = [
        f"{9 if name == 'void' else number},{name},{','.join(map(str, colour))}\n"
        for number, (name, colour) in enumerate(labels)
    ]
    (folder / "classes.csv").write_text("id,name,red,green,blue\n" + "".join(rows))
    return load_scheme("classes.csv", {}, folder)


@pytest.fixture
def street(tmp_path: Path) -> LabelScheme:
    return scheme_of(tmp_path, ("background", BLACK), ("road", ROAD), ("car", CAR))


def masked(folder: Path, scheme: LabelScheme, palette: Palette, *values: int) -> list[int]:
    """Return the train ids of a palette mask of these values, one a column."""
    picture = Image.fromarray(np.array([values] * 4, np.uint8))
    picture.putpalette([channel for colour in palette for channel in colour])
    path = folder / "mask.png"
    picture.save(path)
    with Image.open(path) as stored:
        assert stored.mode == "P"
    train_HW, unknown, painted = read_mask(path, scheme)
    assert not unknown and not painted
    return train_HW[0].tolist()


def test_voc_colours_are_those_of_the_published_table() -> None:
    """The first entries as the VOC 2012 pages print them."""
    assert VOC[:8] == [
        (0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0), (0, 0, 128), (128, 0, 128), (0, 128, 128),
        (128, 128, 128),
    ]  # fmt: skip
    assert (VOC[20], VOC[255]) == ((0, 64, 128), (224, 224, 192))


@pytest.mark.parametrize(
    ("values", "value", "meant", "painted"),
    [
        ((0, 1, 2), 1, "road", "car"),  # with a white background, which the CSV lacks
        ((1, 2), 1, "road", "car"),
        ((0, 1), 1, "road", "car"),
        ((1,), 1, "road", "car"),
        ((2,), 2, "car", "road"),
    ],
)
def test_another_order_is_refused_whatever_the_mask_holds(
    tmp_path: Path,
    street: LabelScheme,
    values: tuple[int, ...],
    value: int,
    meant: str,
    painted: str,
) -> None:
    message = f"value {value} means {meant}, but its palette paints it like {painted} "
    with pytest.raises(DataError, match=message) as caught:
        masked(tmp_path, street, [WHITE, CAR, ROAD], *values)
    assert "if the colours are right, save the mask as RGB" in str(caught.value)
    assert "if the numbers are, as grey" in str(caught.value)


def test_a_mask_of_background_alone_is_judged_by_the_rest_of_its_palette(tmp_path: Path) -> None:
    scheme = scheme_of(tmp_path, ("sky", SKY), ("road", ROAD), ("car", CAR), ("void", BLACK))
    with pytest.raises(DataError, match="value 0 means sky, but its palette paints it like void"):
        masked(tmp_path, scheme, [BLACK, SKY, ROAD, CAR], 0)


def test_colours_without_their_label_in_the_numbers_are_refused(
    tmp_path: Path, street: LabelScheme
) -> None:
    with pytest.raises(DataError, match=r"value 4 means no class, but .* like car"):
        masked(tmp_path, street, [BLACK, ROAD, RED, RED, CAR], 1, 4)


def test_numbers_of_cityscapes_training_under_its_colours_are_refused(tmp_path: Path) -> None:
    scheme = load_scheme("cityscapes19", {}, tmp_path)
    painted = [tuple(colour) for colour in scheme.palette_K3.tolist()]
    message = "value 0 means unlabeled, but its palette paints it like road"
    with pytest.raises(DataError, match=message):
        masked(tmp_path, scheme, painted, 0, 10)
    by_id = {label.id: label.colour for label in scheme.raw}
    right: Palette = [by_id.get(value, RED) for value in range(34)]
    assert masked(tmp_path, scheme, right, 7, 23, 26) == [0, 10, 13]


def test_an_inverted_grey_palette_of_a_grey_scheme_is_refused(tmp_path: Path) -> None:
    scheme = scheme_of(tmp_path, ("background", BLACK), ("crack", WHITE))
    assert masked(tmp_path, scheme, [BLACK, WHITE], 0, 1) == [0, 1]
    with pytest.raises(DataError, match=r"value 0 means background, .* like crack"):
        masked(tmp_path, scheme, [WHITE, BLACK], 0, 1)


def test_a_plain_ramp_says_nothing_even_where_all_labels_are_grey(tmp_path: Path) -> None:
    lines = "id,name,red,green,blue\n0,background,255,255,255\n255,crack,0,0,0\n"
    (tmp_path / "classes.csv").write_text(lines)
    scheme = load_scheme("classes.csv", {}, tmp_path)
    ramp: Palette = [(value, value, value) for value in range(256)]
    assert masked(tmp_path, scheme, ramp, 0, 255) == [0, 1]


def test_the_scheme_in_its_order_is_read_with_a_background_of_another_colour(
    tmp_path: Path, street: LabelScheme
) -> None:
    assert masked(tmp_path, street, [BLACK, ROAD, CAR], 0, 1, 2) == [0, 1, 2]
    assert masked(tmp_path, street, [WHITE, ROAD, CAR], 0, 1, 2) == [0, 1, 2]


@pytest.mark.parametrize("values", [(0,), (0, 1), (0, 1, 2), (2, 9)])
@pytest.mark.parametrize(
    "palette",
    [
        VOC,
        [(value, value, value) for value in range(256)],  # a ramp of greys
        [(min(255, 85 * value),) * 3 for value in range(256)],  # a stretched one
        [WHITE, BLACK, (9, 9, 9)] + [BLACK] * 7,
        [BLACK, (31, 119, 180), (255, 127, 14), (44, 160, 44)] + [RED] * 6,  # matplotlib's
        np.random.default_rng(0).integers(0, 256, (256, 3)).tolist(),
    ],
    ids=["voc", "ramp", "stretched", "inverted", "tab10", "random"],
)
def test_a_palette_of_a_tool_says_nothing(
    tmp_path: Path, palette: Palette, values: tuple[int, ...]
) -> None:
    """Black, which means void in the label file, is in most of them the colour of 0."""
    scheme = scheme_of(tmp_path, ("sky", SKY), ("road", ROAD), ("car", CAR), ("void", BLACK))
    expected = [255 if value == 9 else value for value in values]
    assert masked(tmp_path, scheme, palette, *values) == expected


def test_voc_colours_of_other_classes_say_nothing(tmp_path: Path) -> None:
    """A label file that took its colours from VOC, with numbers of its own."""
    scheme = scheme_of(tmp_path, ("background", BLACK), ("person", VOC[15]), ("car", VOC[1]))
    assert masked(tmp_path, scheme, VOC, 0, 1, 2) == [0, 1, 2]


def test_one_common_colour_among_foreign_ones_says_nothing(tmp_path: Path) -> None:
    scheme = scheme_of(tmp_path, ("water", RED), ("road", ROAD), ("tree", GREEN))
    foreign: Palette = [(10, 20, 30), RED, (200, 100, 0), (0, 90, 200)]
    assert masked(tmp_path, scheme, foreign, 0, 1, 2) == [0, 1, 2]


def test_a_palette_with_alpha_of_a_tiff_is_compared_too(
    tmp_path: Path, street: LabelScheme
) -> None:
    picture = Image.fromarray(np.array([[1, 2]] * 4, np.uint8))
    picture.putpalette([0, 0, 0, *CAR, *ROAD])
    picture.convert("PA").save(tmp_path / "mask.tif")
    with Image.open(tmp_path / "mask.tif") as stored:
        assert stored.mode == "PA"
    with pytest.raises(DataError, match=r"value 1 means road, .* like car"):
        read_mask(tmp_path / "mask.tif", street)
