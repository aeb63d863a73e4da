"""Parameters on a command line: the same values as DVC's -S gives."""

from pathlib import Path
from typing import Any

import pytest

from segpipe.params.settings import set_in, settings_of
from segpipe.runtime.errors import ParameterError
from segpipe.runtime.yaml_file import read_yaml
from tests.forge import apply_overrides


@pytest.mark.parametrize(
    "text",
    ["train.lr=1e-4", "train.length=20 steps", "a.b=[1, 2]", "a.c=null", "a.d=true", "a.e='x y'"],
)
def test_a_setting_is_what_dvc_makes_of_it(tmp_path: Path, text: str) -> None:
    content: dict[str, Any] = {"train": {"lr": 1, "length": 2}, "a": dict.fromkeys("bcde", 0)}
    parameters = tmp_path / "params.yaml"
    parameters.write_text("train: {lr: 1, length: 2}\na: {b: 0, c: 0, d: 0, e: 0}\n")
    apply_overrides(parameters, [text])
    for key, value in settings_of([text]).items():
        set_in(content, key, value)
    assert content == read_yaml(parameters)


@pytest.mark.parametrize("text", ["train.lr", "=3", "train..lr=3", "a.b=[1,"])
def test_what_is_no_setting_is_refused(text: str) -> None:
    with pytest.raises(ParameterError):
        settings_of([text])


def test_what_is_set_below_a_value_takes_its_place() -> None:
    content: dict[str, Any] = {"train": 3}
    set_in(content, "train.lr", 1)
    assert content == {"train": {"lr": 1}}
