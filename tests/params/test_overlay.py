"""Files that name only what differs from the defaults."""

import pytest

from segpipe.params.load import validate
from segpipe.params.overlay import differences, overlaid
from segpipe.params.schema import Params
from segpipe.runtime.errors import ParameterError


def test_an_overlay_changes_what_it_names() -> None:
    params = validate(overlaid({"train": {"lr": 0.5, "augment": {"flip": 0.0}}}), "overlay")
    assert params.train.lr == 0.5
    assert params.train.augment.flip == 0.0
    assert params.train.augment.scale == Params().train.augment.scale
    assert params.model == Params().model


def test_a_dictionary_that_is_a_value_is_replaced_as_a_whole() -> None:
    assert validate(overlaid({"loss": {"sum": {"dice": 3.0}}}), "overlay").loss.sum == {"dice": 3.0}


def test_the_smallest_overlay_is_found_again() -> None:
    changes = {"model": {"name": "regseg"}, "train": {"length": "12 steps", "clip": None}}
    assert differences(validate(overlaid(changes), "overlay")) == changes
    assert differences(Params()) == {}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"train": {"lrr": 1.0}}, "train.lrr is not a parameter; did you mean train.lr"),
        ({"trian": {"lr": 1.0}}, "did you mean train"),
        ({"train": 3}, "train is 3; it must be a section"),
        ([], "must hold sections"),
    ],
)
def test_a_fault_in_an_overlay_is_named(content: object, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        validate(overlaid(content), "overlay")
