"""model.json of older, newer and damaged bundles."""

import json
from pathlib import Path
from typing import Any

import pytest

from segpipe.bundle_format import DESCRIPTION, FORMAT, read_description, read_input
from segpipe.runtime.errors import BundleError
from tests.forge import ROOT, run_python

FORMAT_3 = ROOT / "tests/data/bundles/format3" / DESCRIPTION


def written(folder: Path, about: Any) -> Path:
    (folder / DESCRIPTION).write_text(json.dumps(about))
    return folder


def test_format_3_is_brought_up_to_date(tmp_path: Path) -> None:
    before = json.loads(FORMAT_3.read_text())
    about = read_description(written(tmp_path, before))
    assert about["format"] == FORMAT
    assert about["model"]["unet"] == before["model"]["unet"]
    assert set(about["model"]) == {"name", "pretrained", "freeze", "unet"}
    assert about["precision"] == before["input"]["precision"]
    assert about["input"]["files"] == before["input"]["reading"]
    assert about["input"]["mean"] == before["input"]["mean"]
    assert about["lineage"] == before["lineage"]
    assert json.loads((tmp_path / DESCRIPTION).read_text()) == before, "the file itself stays"


def test_an_option_of_another_model_that_was_renamed_since_matters_to_no_bundle(
    tmp_path: Path,
) -> None:
    about = json.loads(FORMAT_3.read_text())
    about["model"]["pspnet"]["dropped"] = about["model"]["pspnet"].pop("dropout")
    assert "pspnet" not in read_description(written(tmp_path, about))["model"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": FORMAT + 1}, "made by a newer segpipe; this one reads formats up to 4"),
        ({"format": 2}, "is of format 2; this segpipe reads 3 to 4"),
        ({"format": "four"}, "is of format four"),
        ({"input": {}}, "is incomplete: KeyError"),
        ({"model": None}, "is incomplete: TypeError"),
    ],
)
def test_what_cannot_be_read_is_explained(
    change: dict[str, Any], message: str, tmp_path: Path
) -> None:
    folder = written(tmp_path, {**json.loads(FORMAT_3.read_text()), **change})
    with pytest.raises(BundleError, match=message) as caught:
        read_description(folder)
    assert str(folder / DESCRIPTION) in str(caught.value)


def test_what_is_no_description_is_explained(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="train a model with `dvc repro`"):
        read_description(tmp_path)
    for content in ([], {}, 3, None):
        with pytest.raises(BundleError, match="is incomplete"):
            read_description(written(tmp_path, content))
    (tmp_path / DESCRIPTION).write_text("{")
    with pytest.raises(BundleError, match="cannot be read"):
        read_input(tmp_path)
    with pytest.raises(BundleError, match="is incomplete or damaged"):
        read_input(written(tmp_path, {"format": FORMAT, "input": {"height": 3}}))


def test_the_description_is_read_without_torch() -> None:
    code = f"""
import sys
from pathlib import Path
from segpipe.bundle_format import read_input
assert read_input(Path({str(FORMAT_3.parent)!r})).height == 32
assert "torch" not in sys.modules
"""
    done = run_python(["-c", code], ROOT)
    assert done.returncode == 0, done.stderr
