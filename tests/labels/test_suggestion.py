"""What may have been meant by values and colours outside a scheme."""

from pathlib import Path

import numpy as np
import pytest
from cityscapesscripts.helpers.labels import labels as official
from numpy.typing import NDArray
from PIL import Image
from ruamel.yaml import YAML

from segpipe.labels.colour_suggestion import nearest_colour, suggest_colours
from segpipe.labels.load import built_in_scheme, built_in_schemes, load_scheme
from segpipe.labels.scheme import LabelScheme, pack_colours
from segpipe.labels.suggestion import (
    Suggestion,
    looks_like_label_ids,
    looks_like_train_ids,
    suggest_mapping,
)

OFFICIAL = [label for label in official if label.id >= 0]
TRAIN_ID = {label.id: label.trainId for label in OFFICIAL}
# Shares of the label ids in a street scene, in thousandths: ego vehicle, margin, out of roi, static,
# dynamic, ground, then the labels that count.
STREET = {1: 40, 2: 10, 3: 15, 4: 12, 5: 3, 6: 8, 7: 320, 8: 50, 9: 5, 10: 2, 11: 190, 12: 6, 13: 8}
STREET |= {17: 10, 18: 1, 19: 2, 20: 5, 21: 140, 22: 9, 23: 35, 24: 11, 25: 2, 26: 60, 27: 3, 28: 2}
STREET |= {29: 1, 30: 1, 31: 2, 32: 1, 33: 4}
LABEL_ID_SCHEMES = ["cityscapes8", "cityscapes19", "cityscapes24", "cityscapes34", "sky"]


def by_train_ids(street: dict[int, int]) -> dict[int, int]:
    """The same scene with the official train ids."""
    counts: dict[int, int] = {}
    for value, pixels in street.items():
        counts[TRAIN_ID[value]] = counts.get(TRAIN_ID[value], 0) + pixels
    return counts


def numbered(folder: Path, text: str) -> LabelScheme:
    (folder / "own.yaml").write_text(text)
    return load_scheme("own.yaml", {}, folder)


def followed(scheme: LabelScheme, suggestion: Suggestion | None, file: Path) -> LabelScheme:
    """The scheme with the line that the words give, read as a person would paste it."""
    assert suggestion is not None
    line = str(suggestion).split("`")[1]
    pasted = YAML(typ="safe", pure=True).load(line)
    assert pasted == {"map": suggestion.map}
    return load_scheme(file.name, pasted["map"], file.parent)


def names(scheme: LabelScheme, values: list[int]) -> list[str]:
    train = scheme.encode(np.array([values], np.uint16))[0]
    return ["void" if k == 255 else scheme.classes[k] for k in train[0].tolist()]


@pytest.mark.parametrize("name", built_in_schemes())
def test_what_fits_gets_no_suggestion(name: str) -> None:
    scheme = built_in_scheme(name)
    if name in LABEL_ID_SCHEMES:
        values = STREET
    elif name == "cityscapes19_trainids":
        values = by_train_ids(STREET)
    else:
        values = {label.id: 5 for label in scheme.raw}
    assert suggest_mapping(scheme, values) is None
    assert suggest_mapping(scheme, {}) is None


def test_two_values_look_binary(tmp_path: Path) -> None:
    scheme = numbered(tmp_path, "classes: [land, open water]\nvoid: 9\n")
    found = suggest_mapping(scheme, {0: 900, 255: 100})
    assert "0 and 255 look binary" in str(found)
    assert "`map: {255: open water}` under labels" in str(found)
    mended = followed(scheme, found, tmp_path / "own.yaml")
    assert names(mended, [0, 255]) == ["land", "open water"]


def test_binary_masks_of_sky_name_both_values() -> None:
    scheme = built_in_scheme("sky")
    for value in (255, 1):
        found = suggest_mapping(scheme, {0: 7, value: 3})
        assert found is not None
        assert found.map == {0: "rest", value: "sky"}
        mended = load_scheme("sky", found.map, Path("nowhere"))
        assert names(mended, [0, value]) == ["rest", "sky"]


def test_binary_masks_for_many_classes_leave_the_choice_to_the_reader() -> None:
    found = suggest_mapping(built_in_scheme("camvid11"), {0: 7, 255: 3})
    assert "look binary, but camvid11 has 11 classes" in str(found)
    assert "map: {255: void}" in str(found)


def test_train_ids_under_label_ids_hold_no_unknown_value_and_are_found() -> None:
    scheme, values = built_in_scheme("cityscapes19"), by_train_ids(STREET)
    numbers = np.array([list(set(values) - {255})], np.uint8)
    assert scheme.encode(numbers)[1] == {}
    assert looks_like_train_ids(scheme, values)
    found = suggest_mapping(scheme, values)
    assert found is not None
    assert found.scheme == "cityscapes19_trainids"
    assert "`scheme: cityscapes19_trainids` under labels" in str(found)
    assert "look like train ids, where cityscapes19 wants label ids" in str(found)


@pytest.mark.parametrize("name", ["cityscapes24", "cityscapes34"])
def test_classes_without_train_id_lead_to_the_19(name: str) -> None:
    found = suggest_mapping(built_in_scheme(name), by_train_ids(STREET))
    assert found is not None
    assert found.scheme == "cityscapes19_trainids"


@pytest.mark.parametrize("name", ["sky", "cityscapes8"])
def test_train_ids_are_mapped_where_the_classes_allow(name: str) -> None:
    scheme = built_in_scheme(name)
    found = suggest_mapping(scheme, by_train_ids(STREET))
    assert found is not None
    mended = load_scheme(name, found.map, Path("nowhere"))
    for label in OFFICIAL:
        if label.trainId < 19:
            assert names(mended, [label.trainId]) == names(scheme, [label.id])
    assert names(mended, [255]) == ["void"]


def test_label_ids_are_not_taken_for_train_ids() -> None:
    for name in LABEL_ID_SCHEMES:
        scheme = built_in_scheme(name)
        assert not looks_like_train_ids(scheme, STREET)
        # Nor a few masks of roads and walls alone, nor void alone.
        assert not looks_like_train_ids(scheme, {7: 50, 8: 30, 11: 40, 1: 5})
        assert not looks_like_train_ids(scheme, {0: 50, 3: 20})
        assert not looks_like_train_ids(scheme, {})


def test_label_ids_under_train_ids_are_found() -> None:
    scheme = built_in_scheme("cityscapes19_trainids")
    assert looks_like_label_ids(scheme, STREET)
    found = suggest_mapping(scheme, STREET)
    assert found is not None
    assert found.scheme == "cityscapes19"
    assert not looks_like_label_ids(scheme, by_train_ids(STREET))
    assert not looks_like_label_ids(scheme, {0: 5, 40: 5, 41: 5})
    assert not looks_like_label_ids(built_in_scheme("camvid11"), STREET)


def test_ones_own_ids_can_be_train_ids_too(tmp_path: Path) -> None:
    scheme = numbered(tmp_path, "classes: {road: 7, tree: 21, car: 26}\nvoid: 0\n")
    found = suggest_mapping(scheme, {0: 60, 1: 30, 2: 10, 255: 4})
    assert "look like train ids" in str(found)
    mended = followed(scheme, found, tmp_path / "own.yaml")
    assert names(mended, [0, 1, 2, 255]) == ["road", "tree", "car", "void"]


@pytest.mark.parametrize(
    ("classes", "values", "expected"),
    [
        (3, [0, 127, 254], {127: "c1", 254: "c2"}),
        (3, [0, 127, 255], {127: "c1", 255: "c2"}),
        (4, [0, 85, 170, 255], {85: "c1", 170: "c2", 255: "c3"}),
        (4, [0, 85, 255], {85: "c1", 255: "c3"}),
        (4, [0, 85, 170], {85: "c1", 170: "c2"}),
        (5, [0, 64, 128, 191, 255], {64: "c1", 128: "c2", 191: "c3", 255: "c4"}),
        (5, [0, 10, 20, 30, 40], {10: "c1", 20: "c2", 30: "c3", 40: "c4"}),
    ],
)
def test_stretched_ramps(
    classes: int, values: list[int], expected: dict[int, str], tmp_path: Path
) -> None:
    scheme = numbered(tmp_path, f"classes: [{', '.join(f'c{k}' for k in range(classes))}]\n")
    found = suggest_mapping(scheme, dict.fromkeys(values, 9))
    assert found is not None
    assert "look like a grey ramp" in found.cause
    assert found.map == expected
    mended = followed(scheme, found, tmp_path / "own.yaml")
    assert mended.encode(np.array([values], np.uint8))[1] == {}


def test_uneven_values_are_no_ramp(tmp_path: Path) -> None:
    scheme = numbered(tmp_path, "classes: [c0, c1, c2, c3, c4, c5, c6, c7]\n")
    for values in ([0, 100, 130], [0, 3, 5, 9, 40], [0, 2, 4, 10], [9, 18, 27], [0, 9, 13, 18]):
        assert suggest_mapping(scheme, dict.fromkeys(values, 9)) is None


def test_ids_from_one_where_zero_was_due(tmp_path: Path) -> None:
    scheme = numbered(tmp_path, "classes: [sky, road, car]\nvoid: 255\n")
    found = suggest_mapping(scheme, {1: 5, 2: 5, 3: 5, 255: 1})
    assert "look like ids that start at 1, where own starts at 0" in str(found)
    mended = followed(scheme, found, tmp_path / "own.yaml")
    assert names(mended, [1, 2, 3, 255]) == ["sky", "road", "car", "void"]
    # With a 0 the 3 may as well be a fourth class, or void.
    assert suggest_mapping(scheme, {0: 5, 1: 5, 2: 5, 3: 5}) is None


def test_ids_from_zero_where_one_was_due() -> None:
    scheme = built_in_scheme("land_cover4")
    found = suggest_mapping(scheme, {0: 50, 1: 5, 2: 5, 3: 5})
    assert found is not None
    assert "start at 0, where land_cover4 starts at 1" in found.cause
    mended = load_scheme("land_cover4", found.map, Path("nowhere"))
    assert names(mended, [0, 1, 2, 3]) == list(scheme.classes)
    assert suggest_mapping(scheme, {0: 5, 1: 5, 2: 5, 3: 5, 4: 5}) is None


@pytest.mark.parametrize("strange", [{255}, {65535}, {255, 65535}])
def test_minus_one_as_it_is_stored(strange: set[int]) -> None:
    values = dict.fromkeys([0, 1, 2, 5, 11, *strange], 7)
    found = suggest_mapping(built_in_scheme("camvid11"), values)
    assert found is not None
    assert found.map == dict.fromkeys(sorted(strange), "void")
    assert "or -1" in found.cause


def test_numbers_below_zero_look_like_void() -> None:
    scheme = built_in_scheme("land_cover4")
    found = suggest_mapping(scheme, {-1: 5, 1: 5, 2: 7})
    assert found is not None
    assert found.map == {-1: "void"}
    assert load_scheme("land_cover4", found.map, Path("nowhere")).meanings[-1] == "void"
    found = suggest_mapping(scheme, {-(2**31): 5, 1: 5, 2: 7})
    assert found is not None
    assert not found.map
    assert "nodata" in found.repair


def test_values_without_a_pattern_get_no_suggestion() -> None:
    assert suggest_mapping(built_in_scheme("camvid11"), {0: 5, 3: 5, 77: 5, 180: 5}) is None
    assert suggest_mapping(built_in_scheme("camvid11"), {0: 5, 3: 5, 255: 0}) is None


def test_names_are_quoted_where_yaml_needs_it(tmp_path: Path) -> None:
    scheme = numbered(tmp_path, "classes: ['no', 'true', 'a, b: c', \"it's 5\"]\n")
    found = suggest_mapping(scheme, dict.fromkeys([0, 85, 170, 255], 3))
    mended = followed(scheme, found, tmp_path / "own.yaml")
    assert names(mended, [85, 170, 255]) == ["true", "a, b: c", "it's 5"]


def unknown_of(scheme: LabelScheme, painted_HW3: NDArray[np.uint8]) -> dict[int, int]:
    return scheme.encode_colours(painted_HW3)[1]


def street_in_colours(scheme: LabelScheme) -> NDArray[np.uint8]:
    places = np.random.default_rng(0).integers(0, scheme.num_classes, (8, 12))
    return np.kron(scheme.palette_K3[places], np.ones((16, 16, 1), np.uint8))


def test_the_colours_of_a_jpeg_are_near_those_of_the_scheme(tmp_path: Path) -> None:
    scheme = built_in_scheme("camvid11")
    Image.fromarray(street_in_colours(scheme)).save(tmp_path / "mask.jpg", quality=92)
    unknown = unknown_of(scheme, np.asarray(Image.open(tmp_path / "mask.jpg")))
    assert len(unknown) > 5
    found = suggest_colours(scheme, unknown)
    assert found is not None
    assert "steps from known ones" in found.cause
    assert "JPEG" in found.cause


def test_the_nearest_colour_is_named() -> None:
    scheme = built_in_scheme("camvid11")
    found = suggest_colours(scheme, {0x824081: 100, 0x000310: 4})
    assert "up to 16 steps" in str(found)
    assert "130,64,129 near road" in str(found)
    random = np.random.default_rng(4).integers(0, 256, (40, 3))
    for red, green, blue in random.tolist():
        label, far = nearest_colour(scheme, (red << 16) | (green << 8) | blue)
        every = np.abs(np.array([one.colour for one in scheme.raw]) - [red, green, blue]).max(1)
        assert far == every.min()
        assert label == scheme.raw[int(every.argmin())]


def test_blue_before_red_is_recognised() -> None:
    scheme = built_in_scheme("cityscapes24")
    swapped = street_in_colours(scheme)[..., ::-1]
    unknown = unknown_of(scheme, np.ascontiguousarray(swapped))
    assert "red and blue exchanged" in str(suggest_colours(scheme, unknown))


def test_foreign_colours_get_no_suggestion() -> None:
    scheme = built_in_scheme("camvid11")
    foreign = pack_colours(np.array([[[255, 0, 255], [0, 255, 0], [30, 255, 255]]], np.uint8))
    assert suggest_colours(scheme, dict.fromkeys(foreign.ravel().tolist(), 50)) is None
    assert suggest_colours(scheme, {}) is None
