"""Lengths become optimizer steps once, and the reasons are said."""

import pytest

from segpipe.params.length import Length
from segpipe.params.schedule import HalvingParams
from segpipe.params.train import TrainParams
from segpipe.runtime.errors import ParameterError
from segpipe.training.lengths import lengths_in_steps


def test_each_unit_is_converted_and_explained():
    params = TrainParams(
        length=Length(2.5),
        warmup=Length(20, "samples"),
        validate_every=Length(4, "steps"),
        schedule="halving",
        halving=HalvingParams(every=Length(1)),
        batch_size=8,
    )
    found = lengths_in_steps(params, 7)
    assert (found.total, found.warmup, found.validate_every, found.halve_every) == (18, 2, 4, 7)
    assert found.reasons == (
        "train.length: 2.5 epochs of 7 steps = 18 steps",
        "train.validate_every: 4 steps",
        "train.warmup: 20 samples by 8 = 2 steps",
        "train.halving.every: 1 epoch of 7 steps = 7 steps",
    )


def test_a_warmup_rounded_to_the_whole_length_leaves_a_step():
    found = lengths_in_steps(TrainParams(length=Length(1), warmup=Length(0.99)), 10)
    assert (found.total, found.warmup) == (10, 9)


@pytest.mark.parametrize(
    "warmup", [Length(20, "steps"), Length(160, "samples"), Length(500, "steps")]
)
def test_a_warmup_as_long_as_the_training_is_refused_in_any_unit(warmup):
    with pytest.raises(
        ParameterError, match=r"train\.warmup \(.* must be below train\.length \(2 ep"
    ):
        lengths_in_steps(TrainParams(length=Length(2), warmup=warmup, batch_size=8), 10)
