"""Lengths in epochs, steps and samples: what may be written, and what is made of it."""

import math
import re
from pathlib import Path

import pytest
from dvc.utils.hydra import apply_overrides

from segpipe.params.checkpoint import CheckpointParams
from segpipe.params.length import Length, read_length, write_length
from segpipe.params.load import load_params
from segpipe.params.model import FreezeParams
from segpipe.runtime.errors import ParameterError
from segpipe.runtime.yaml_file import read_yaml
from tests.forge import ROOT


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (3, Length(3, "epochs")),
        (2.5, Length(2.5, "epochs")),
        ("3", None),
        ("3 epochs", Length(3, "epochs")),
        ("1 epoch", Length(1, "epochs")),
        ("2.5epochs", Length(2.5, "epochs")),
        ("1250 steps", Length(1250, "steps")),
        ("1e5 samples", Length(100_000, "samples")),
        (" 1  step ", Length(1, "steps")),
        (0, Length(0, "epochs")),
        ("many", None),
        ("3 weeks", None),
        ("2.5 steps", None),
        ("-1 steps", None),
        ("1e400 steps", None),
        ("1.2.3 epochs", None),
        (-1, None),
        (float("nan"), None),
        (float("inf"), None),
        (True, None),
        (None, None),
        ([3], None),
    ],
)
def test_what_is_written_is_what_is_meant(written: object, meant: Length | None) -> None:
    if meant is None:
        with pytest.raises(ValueError, match="is "):
            read_length(written)
        return
    assert read_length(written) == meant
    assert read_length(write_length(meant)) == meant


def test_no_length_can_be_a_parameter_too() -> None:
    assert CheckpointParams(every=None).model_dump(mode="json")["every"] is None
    every = CheckpointParams.model_validate({"every": "625 steps"})
    assert every.every == Length(625, "steps")
    assert every.model_dump(mode="json")["every"] == "625 steps"
    for wrong in (0, "0 steps", "often"):
        with pytest.raises(ValueError, match="every"):
            CheckpointParams.model_validate({"every": wrong})


def test_all_of_the_training_can_be_frozen() -> None:
    frozen = FreezeParams.model_validate({"parts": ["down"], "length": "all"})
    assert frozen.on
    assert frozen.steps(7, 8) == math.inf
    assert frozen.model_dump(mode="json")["length"] == "all"
    two = FreezeParams.model_validate({"parts": ["down"], "length": "2 epochs"})
    assert two.steps(7, 8) == 14
    with pytest.raises(ValueError, match="1250 steps or 100000 samples; or all"):
        FreezeParams.model_validate({"parts": ["down"], "length": "whole"})


def test_equal_lengths_are_recorded_alike() -> None:
    assert {write_length(read_length(one)) for one in (3, 3.0, "3 epochs", "3.0 epoch")} == {3}


@pytest.mark.parametrize(
    ("length", "steps"),
    [
        (Length(2), 14),
        (Length(2.5), 18),
        (Length(0.01), 1),
        (Length(0), 0),
        (Length(1250, "steps"), 1250),
        (Length(100, "samples"), 25),
        (Length(3, "samples"), 1),
        (Length(99, "samples"), 25),
    ],
)
def test_steps_of_seven_an_epoch_and_four_samples_a_step(length: Length, steps: int) -> None:
    assert length.steps(7, 4) == steps


@pytest.mark.parametrize(
    ("override", "meant"),
    [
        ("train.length=3 epochs", Length(3)),
        ("train.length=3", Length(3)),
        ("train.length=2.5", Length(2.5)),
        ("train.length=1250 steps", Length(1250, "steps")),
        ("train.length=100000 samples", Length(100_000, "samples")),
    ],
)
def test_dvcs_command_line_can_set_it(override: str, meant: Length, tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text((ROOT / "params.yaml").read_text())
    apply_overrides(path, [override])
    assert load_params(path).train.length == meant
    assert "# " in path.read_text(), "the comments stay"
    assert set(read_yaml(path)) == set(read_yaml(ROOT / "params.yaml"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "length: soon",
            "params.yaml: train.length: is 'soon'; it must be a number of epochs, or text such as "
            "2.5 epochs, 1250 steps or 100000 samples",
        ),
        ("length: 0", "train.length: is 0; it must be above 0"),
        ("length: 0 steps", "train.length: is '0 steps'; it must be above 0"),
        ("length: 2.5 steps", "only epochs can be a fraction, steps are whole"),
        ("length: 1 epoch", "warmup (1 epoch) must be below length (1 epoch)"),
    ],
)
def test_nonsense_is_explained(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    whole = (ROOT / "params.yaml").read_text()
    path.write_text(re.sub(r"\n  length: [^#\n]*", f"\n  {text} ", whole))
    with pytest.raises(ParameterError) as caught:
        load_params(path)
    assert said in str(caught.value)
