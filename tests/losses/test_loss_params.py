"""The section `loss` of params.yaml: what is refused, and in which words."""

import pytest

from segpipe.params.load import validate
from segpipe.params.loss import LossParams
from segpipe.params.schema import Params
from segpipe.runtime.errors import ParameterError


def section(changes: dict) -> LossParams:
    content = Params().model_dump(mode="json")
    content["loss"] |= changes
    return validate(content, "params.yaml").loss


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "dise"}, "loss.name is 'dise'; it can be 'cross_entropy', 'bce'"),
        (
            {"sum": {"dise": 1.0, "focall": 2.0}},
            "loss.sum: dise is not a loss; did you mean dice?; focall is not a loss; did you mean focal?. "
            "The losses are cross_entropy, bce, dice, lovasz, focal, ohem, boundary",
        ),
        ({"sum": {"sum": 1.0}}, "sum is not a loss"),
        ({"sum": {"dice": 0}}, "loss.sum.dice is 0; it must be greater than 0"),
        ({"sum": {"dice": float("inf")}}, "loss.sum.dice is inf"),
        ({"sum": {"bce": 1.0, "cross_entropy": 1.0}}, "take one of the two out"),
        ({"name": "sum", "sum": {}}, "name is sum, but sum is empty; add losses"),
        ({"class_weights": "rare"}, "loss.class_weights is 'rare'; it can be 'none'"),
        ({"class_weights": "given"}, "class_weights is given, but given holds no weight above 0"),
        ({"class_weights": "given", "given": {"road": 0.0}}, "given holds no weight above 0"),
        ({"given": {"road": -1.0}}, "loss.given.road is -1.0; it must be greater than or equal"),
        ({"auxiliary": 1.5}, "loss.auxiliary is 1.5; it must be less than or equal to 1"),
        ({"cross_entropy": {"label_smoothing": 1.0}}, "it must be less than 1"),
        ({"dice": {"smooth": 0.0}}, "loss.dice.smooth is 0.0; it must be greater"),
        ({"focal": {"gama": 2.0}}, "loss.focal.gama is not a parameter; did you mean"),
        ({"ohem": {"threshold": 0.7, "share": 2.0, "min_kept": 1}}, "loss.ohem.share is 2.0"),
        ({"boundary": {"distance": 0.0, "strength": 1.0}}, "loss.boundary.distance is 0.0"),
    ],
)
def test_a_fault_is_named_with_its_repair(changes, words):
    with pytest.raises(ParameterError) as caught:
        section(changes)
    assert words in str(caught.value)
    assert str(caught.value).startswith("params.yaml: loss")


def test_what_is_not_named_may_hold_anything_valid():
    assert section({"sum": {}}).terms == {"cross_entropy": 1.0}
    assert section({"given": {"road": 2}}).class_weights == "none"
    assert section({"name": "lovasz", "class_weights": "median"}).terms == {"lovasz": 1.0}


def test_a_sum_keeps_its_weights():
    assert section({"name": "sum", "sum": {"bce": 1, "dice": 0.5}}).terms == {
        "bce": 1.0,
        "dice": 0.5,
    }
