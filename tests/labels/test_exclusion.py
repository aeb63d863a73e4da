"""Names of labels whose images are left out become the values to look for."""

from pathlib import Path

import numpy as np
import pytest
from cityscapesscripts.helpers.labels import name2label

from segpipe.labels.exclusion import excluded_labels
from segpipe.labels.load import built_in_scheme, load_scheme
from segpipe.labels.scheme import pack_colours
from segpipe.runtime.errors import ParameterError

RARE = ["rail track", "trailer", "caravan", "tunnel", "guard rail"]


def test_the_rare_labels_of_24_colours_are_found_in_both_kinds_of_masks() -> None:
    found = excluded_labels(built_in_scheme("cityscapes24"), RARE)
    assert list(found) == RARE
    for name, excluded in found.items():
        official = name2label[name]
        assert excluded.ids == {official.id}
        packed = pack_colours(np.array([official.color], np.uint8)).tolist()
        assert excluded.colours == set(packed)
        assert excluded.is_in({7, official.id, 23}, painted=False)
        assert not excluded.is_in({7, 23}, painted=False)
        assert excluded.is_in({0x804080: 5, packed[0]: 9}, painted=True)
        assert not excluded.is_in({0x804080: 5}, painted=True)


def test_a_number_is_not_taken_for_a_colour() -> None:
    """Car has the colour 0,0,142, which is 142 when packed: another mask's number."""
    car = excluded_labels(built_in_scheme("cityscapes24"), ["car"])["car"]
    assert car.is_in({142}, painted=True)
    assert not car.is_in({142}, painted=False)
    assert not car.is_in({26}, painted=True)


def test_a_class_stands_for_all_of_its_labels() -> None:
    found = excluded_labels(built_in_scheme("cityscapes8"), ["human", "sky", "tunnel"])
    assert found["human"].ids == {24, 25}
    assert found["sky"].ids == {23}
    assert found["tunnel"].ids == {16}
    joined = load_scheme("cityscapes19", {40: "car", 29: "car"}, Path("nowhere"))
    assert excluded_labels(joined, ["car"])["car"].ids == {26, 29, 40}


def test_unknown_names_are_refused_together() -> None:
    with pytest.raises(ParameterError) as raised:
        excluded_labels(built_in_scheme("cityscapes24"), ["rail trak", "tunnel", "Caravan", "qqq"])
    said = str(raised.value).splitlines()
    assert len(said) == 3
    assert all(line.startswith("params.yaml: labels.exclude_images_with: ") for line in said)
    assert (
        "'rail trak' is neither a label nor a class of cityscapes24; did you mean rail track?"
        in said[0]
    )
    assert "did you mean caravan?" in said[1]
    assert "'qqq'" in said[2]
    assert "guard rail" in said[2]


def test_a_colour_that_others_share_cannot_be_looked_for() -> None:
    found = excluded_labels(built_in_scheme("cityscapes34"), ["polegroup"])["polegroup"]
    assert found.is_in({18}, painted=False)
    assert not found.is_in({17}, painted=False)
    assert not found.is_in({0x804080}, painted=True)
    with pytest.raises(ParameterError, match="polegroup has the colour of pole"):
        found.is_in({0x804080, 0x999999}, painted=True)


def test_nothing_is_excluded_by_an_empty_list() -> None:
    assert excluded_labels(built_in_scheme("sky"), []) == {}
