from typing import get_args

import pytest
import torch

from segpipe.losses.aligned import align
from segpipe.losses.binary_cross_entropy import binary_cross_entropy_sum
from segpipe.losses.boundary import boundary_sum
from segpipe.losses.build import build_loss, is_binary
from segpipe.losses.cross_entropy import cross_entropy_sum
from segpipe.losses.dice import dice_sum
from segpipe.losses.focal import focal_sum
from segpipe.losses.lovasz import lovasz_sum
from segpipe.losses.ohem import ohem_sum
from segpipe.params.loss import (
    BoundaryParams,
    CrossEntropyParams,
    DiceParams,
    FocalParams,
    LossName,
    LossParams,
    OhemParams,
)
from tests.losses.cases import WEIGHTS, batch

OPTIONS = {
    "cross_entropy": CrossEntropyParams(label_smoothing=0.2),
    "dice": DiceParams(smooth=3.0),
    "focal": FocalParams(gamma=1.5),
    "ohem": OhemParams(threshold=0.2, share=0.1, min_kept=3),
    "boundary": BoundaryParams(distance=1.5, strength=2.0),
}
DIRECT = {
    "cross_entropy": lambda aligned: cross_entropy_sum(aligned, WEIGHTS[4], 0.2),
    "dice": lambda aligned: dice_sum(aligned, 3.0),
    "lovasz": lovasz_sum,
    "focal": lambda aligned: focal_sum(aligned, 1.5, WEIGHTS[4]),
    "ohem": lambda aligned: ohem_sum(aligned, 0.1, 0.2, 3, WEIGHTS[4]),
    "boundary": lambda aligned: boundary_sum(aligned, 1.5, 2.0, WEIGHTS[4]),
}


@pytest.mark.parametrize("name", DIRECT)
def test_each_option_reaches_its_loss(name):
    logits, mask = batch()
    found = build_loss(LossParams(name=name, **OPTIONS), WEIGHTS[4])(logits, mask)
    assert torch.equal(found, DIRECT[name](align(logits, mask)))
    usual = build_loss(LossParams(name=name))(logits, mask)
    assert name == "lovasz" or not torch.isclose(found, usual)


def test_binary_cross_entropy_is_reached_with_its_weights():
    logits, mask = batch(channels=1)
    found = build_loss(LossParams(name="bce"), WEIGHTS[1])(logits, mask)
    assert torch.equal(found, binary_cross_entropy_sum(align(logits, mask), WEIGHTS[1]))


def test_a_sum_adds_up_its_losses_by_their_weights():
    logits, mask = batch()
    members = {name: 0.5 + place for place, name in enumerate(DIRECT)}
    loss = build_loss(LossParams(name="sum", sum=members, **OPTIONS), WEIGHTS[4])
    expected = sum(weight * DIRECT[name](align(logits, mask)) for name, weight in members.items())
    torch.testing.assert_close(loss(logits, mask), expected)


def test_a_sum_computes_the_cross_entropy_once():
    logits, mask = batch()
    shares = {"cross_entropy": 0.5, "ohem": 0.25, "focal": 0.25}
    with torch.profiler.profile() as profile:
        build_loss(LossParams(name="sum", sum=shares))(logits, mask)
    calls = {found.key: found.count for found in profile.key_averages()}
    assert calls["aten::_log_softmax"] == 1


@pytest.mark.parametrize("name", [*get_args(LossName), "sum"])
def test_switching_the_name_alone_is_enough(name):
    logits, mask = batch(channels=1 if name == "bce" else 4)
    assert build_loss(LossParams(name=name))(logits, mask) > 0


def test_one_logit_belongs_to_binary_cross_entropy():
    assert is_binary(LossParams(name="bce"))
    assert is_binary(LossParams(name="sum", sum={"dice": 1.0, "bce": 0.5}))
    assert not is_binary(LossParams(name="dice", sum={"dice": 1.0, "bce": 0.5}))
    assert not is_binary(LossParams(name="sum"))
