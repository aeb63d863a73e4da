"""`segpipe train --set`: one line of params.yaml changes, and nothing else."""

import difflib

import pytest

from segpipe.params.edit import with_settings
from segpipe.runtime.errors import ParameterError
from tests.forge import ROOT

TEXT = (ROOT / "params.yaml").read_text()


def changed_lines(settings: list[str]) -> list[str]:
    text, _ = with_settings(TEXT, settings, "params.yaml")
    found = difflib.unified_diff(TEXT.splitlines(), text.splitlines(), n=0, lineterm="")
    return [line[1:] for line in found if line[0] == "+" and not line.startswith("+++")]


@pytest.mark.parametrize(
    ("setting", "line"),
    [
        ("train.lr=1e-4", "  lr: 1e-4                   # highest learning rate, above 0"),
        ("train.augment.scale=[0.5, 2.0]", "    scale: [0.5, 2.0]        # zoom, above 0"),
        ("prepare.split.group=^(a)_", "    group: ^(a)_             # pattern with one (group)"),
        ("train.length=2000 steps", "  length: 2000 steps         # a length, above 0"),
        ("loss.sum={dice: 2.0}", "  sum: {dice: 2.0} "),
        ("labels.map={255: void}", "  map: {255: void} "),
    ],
)
def test_a_value_changes_and_its_comment_stays(setting: str, line: str) -> None:
    (changed,) = changed_lines([setting])
    assert changed.startswith(line)
    assert "  # " in changed


def test_what_changed_is_said_once_for_each_key() -> None:
    text, lines = with_settings(
        TEXT, ["train.lr=0.5", "train.lr=0.25", "train.seed=0"], "params.yaml"
    )
    assert lines == ["train.lr: 0.015 → 0.25"]
    assert with_settings(TEXT, ["train.seed=0"], "params.yaml") == (TEXT, [])
    assert "limit: null" in text


def test_the_comments_of_a_person_stay() -> None:
    mine = TEXT.replace("\ntrain:\n", "\n# Mine: a thought.\ntrain:  # slow\n")
    text, _ = with_settings(mine, ["train.lr=0.5"], "params.yaml")
    assert text == mine.replace("lr: 0.015 ", "lr: 0.5   ")


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("train.depht=3", "train.depht is not a parameter; did you mean"),
        ("trian.lr=3", "trian is not a parameter; did you mean train?"),
        ("train=3", "train is 3; it must be a section"),
        ("train.lr.x=3", "it must be a number"),
        ("train.lr=fast", "train.lr is 'fast' (text); it must be a number"),
        ("train.lr=", "train.lr is None (empty); it must be a number"),
        ("train.lr=-1.0", "train.lr is -1.0; it must be greater than 0"),
        ("train.lr", "must be KEY=VALUE, such as train.lr=0.001"),
        ("train.augment.scale=[1", "not valid YAML"),
    ],
)
def test_what_cannot_be_meant_is_refused(setting: str, said: str) -> None:
    with pytest.raises(ParameterError) as caught:
        with_settings(TEXT, [setting], "params.yaml")
    assert said in str(caught.value)
