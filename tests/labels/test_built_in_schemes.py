"""The schemes that come with segpipe, against the official table of Cityscapes."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from cityscapesscripts.helpers.labels import Label
from cityscapesscripts.helpers.labels import labels as official

from segpipe.labels.load import built_in_scheme, built_in_schemes, load_scheme
from segpipe.labels.scheme import VOID, LabelScheme
from segpipe.runtime.validation import typed

# Less the licence plate, -1, which no mask holds.
OFFICIAL: list[Label] = [label for label in official if label.id >= 0]
OF_LABEL_IDS = ("cityscapes8", "cityscapes19", "cityscapes24", "cityscapes34", "sky")
RARE = {"rail track", "trailer", "caravan", "tunnel", "guard rail"}


def classes_by_id(scheme: LabelScheme) -> dict[int, str]:
    """The class, or void, of each raw id."""
    return {
        label.id: "void" if label.train_id == VOID else scheme.classes[label.train_id]
        for label in scheme.raw
    }


def test_all_schemes_are_there() -> None:
    assert built_in_schemes() == sorted(
        [*OF_LABEL_IDS, "cityscapes19_trainids", "camvid11", "camvid_sky", "land_cover4"]
    )


@pytest.mark.parametrize("name", OF_LABEL_IDS)
def test_ids_names_and_colours_are_the_official_ones(name: str) -> None:
    raw = built_in_scheme(name).raw
    assert len(raw) == len(OFFICIAL) == 34
    for ours, theirs in zip(raw, OFFICIAL, strict=True):
        assert (ours.id, ours.name, ours.colour) == (theirs.id, theirs.name, theirs.color)


def test_34_labels_less_the_category_void_are_27_classes() -> None:
    scheme = built_in_scheme("cityscapes34")
    wanted = {label.id: "void" if label.category == "void" else label.name for label in OFFICIAL}
    assert classes_by_id(scheme) == wanted
    assert scheme.classes == tuple(label.name for label in OFFICIAL[7:])
    assert scheme.void_ids == [0, 1, 2, 3, 4, 5, 6]


def test_24_colours_are_the_official_ones_less_five_rare_classes() -> None:
    scheme = built_in_scheme("cityscapes24")
    colours = {label.color for label in OFFICIAL if label.name not in RARE}
    assert len(colours) == 24
    assert len({label.color for label in OFFICIAL}) == 29
    painted = {tuple(colour) for colour in scheme.palette_K3.tolist()}
    assert painted | {(0, 0, 0)} == colours
    assert scheme.num_classes == 23
    for label in OFFICIAL:
        void = label.color == (0, 0, 0) or label.name in RARE
        same_colour = next(other.name for other in OFFICIAL if other.color == label.color)
        assert classes_by_id(scheme)[label.id] == ("void" if void else same_colour)
    # In every painted mask each colour has one meaning, that of the licence plate too.
    assert scheme.ambiguous_colours == {}
    plate = next(label for label in official if label.id == -1)
    train, unknown = scheme.encode_colours(np.array([[plate.color]], np.uint8))
    assert (scheme.classes[train[0, 0]], unknown) == ("car", {})


def test_painted_and_numbered_masks_mean_the_same_in_24_colours() -> None:
    scheme = built_in_scheme("cityscapes24")
    raw = np.random.default_rng(0).integers(0, 34, (11, 13)).astype(np.uint8)
    colours = np.array([label.color for label in OFFICIAL], np.uint8)
    assert (scheme.encode_colours(colours[raw])[0] == scheme.encode(raw)[0]).all()


def test_8_categories_have_7_that_count() -> None:
    scheme = built_in_scheme("cityscapes8")
    assert classes_by_id(scheme) == {label.id: label.category for label in OFFICIAL}
    assert scheme.classes == tuple(dict.fromkeys(label.category for label in OFFICIAL[7:]))
    for label in OFFICIAL[7:]:
        assert scheme.encode(np.array([[label.id]], np.uint8))[0][0, 0] == label.categoryId - 1


def test_sky_against_the_rest() -> None:
    scheme = built_in_scheme("sky")
    assert scheme.classes == ("rest", "sky")
    wanted = {
        label.id: "void" if label.category == "void" else "sky" if label.id == 23 else "rest"
        for label in OFFICIAL
    }
    assert classes_by_id(scheme) == wanted


def test_train_ids_are_the_official_ones() -> None:
    scheme = built_in_scheme("cityscapes19_trainids")
    by_label_id = built_in_scheme("cityscapes19")
    assert scheme.classes == by_label_id.classes
    assert (scheme.palette_K3 == by_label_id.palette_K3).all()
    table = {label.id: label.trainId for label in OFFICIAL}
    raw = np.random.default_rng(1).integers(0, 34, (9, 9)).astype(np.uint8)
    numbered = np.array([[table[value] for value in row] for row in raw.tolist()], np.uint8)
    train, unknown = scheme.encode(numbered)
    assert unknown == {}
    assert (train == by_label_id.encode(raw)[0]).all()
    assert (scheme.decode(train) == numbered).all()
    # The palette of train ids has a colour a class, so that masks painted in it can be read.
    assert (scheme.encode_colours(scheme.paint(train))[0] == train).all()


def test_camvid_is_numbered_as_published() -> None:
    """SegNet's numbers (Badrinarayanan et al. 2017), in the colours of Brostow et al. 2009."""
    scheme = built_in_scheme("camvid11")
    assert scheme.num_classes == 11
    assert [label.id for label in scheme.raw] == list(range(12))
    assert scheme.void_ids == [11]
    assert scheme.raw_ids_K.tolist() == list(range(11))
    by_name = dict(zip(scheme.classes, scheme.palette_K3.tolist(), strict=True))
    assert by_name["sky"] == [128, 128, 128]
    assert by_name["road"] == [128, 64, 128]
    assert by_name["pavement"] == [0, 0, 192]
    assert by_name["bicyclist"] == [0, 128, 192]
    assert scheme.ambiguous_colours == {}


def test_camvid_sky_is_camvid_with_its_sky_as_the_second_class() -> None:
    """The one logit of a binary loss is of train id 1."""
    scheme, all_classes = built_in_scheme("camvid_sky"), built_in_scheme("camvid11")
    assert scheme.classes == ("rest", "sky")
    assert classes_by_id(scheme) == {
        number: name if name in ("sky", "void") else "rest"
        for number, name in classes_by_id(all_classes).items()
    }
    published = {(label.id, label.name, label.colour) for label in all_classes.raw}
    assert {(label.id, label.name, label.colour) for label in scheme.raw} == published


def test_land_cover_is_numbered_from_1_and_0_is_unknown() -> None:
    scheme = built_in_scheme("land_cover4")
    assert scheme.raw_ids_K.tolist() == [1, 2, 3, 4]
    train, unknown = scheme.encode(np.array([[1, 2, 3, 4, 0, 5]], np.uint8))
    assert train.tolist() == [[0, 1, 2, 3, VOID, VOID]]
    assert unknown == {0: 1, 5: 1}
    with_power = [" without " not in name for name in scheme.classes]
    settled = [not name.startswith("no ") for name in scheme.classes]
    assert (with_power, settled) == ([False, False, True, True], [True, False, True, False])


@pytest.mark.parametrize("name", built_in_schemes())
def test_every_scheme_can_be_mapped_and_comes_back(name: str) -> None:
    first = built_in_scheme(name).classes[0]
    scheme = load_scheme(name, {700: first, 701: "void"}, Path("nowhere"))
    train, unknown = scheme.encode(np.array([[700, 701]], np.uint16))
    assert (train.tolist(), unknown) == ([[0, VOID]], {})
    assert scheme.ambiguous_colours.keys() == built_in_scheme(name).ambiguous_colours.keys()
    every = np.arange(scheme.num_classes, dtype=np.uint8)[None]
    assert (scheme.encode(scheme.decode(every))[0] == every).all()
    assert typed(LabelScheme, asdict(scheme)) == scheme
