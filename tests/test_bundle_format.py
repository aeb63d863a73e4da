"""model.json of older, newer and damaged bundles."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from segpipe.bundle_format import (
    DESCRIPTION,
    FORMAT,
    SHIPPED,
    Description,
    read_description,
    write_description,
)
from segpipe.params.chosen import chosen
from segpipe.runtime.errors import BundleError
from tests.forge import ROOT, run_python

FORMAT_3 = ROOT / "tests/data/bundles/format3" / DESCRIPTION
PRESENT = ROOT / f"tests/data/bundles/format{FORMAT}" / DESCRIPTION


def written(folder: Path, about: Any) -> Path:
    (folder / DESCRIPTION).write_text(json.dumps(about))
    return folder


def changed(place: str, value: Any) -> dict[str, Any]:
    """The present description with another value at a dotted key; numbers are places in lists."""
    about = json.loads(PRESENT.read_text())
    *path, last = [int(key) if key.isdigit() else key for key in place.split(".")]
    inner = about
    for key in path:
        inner = inner[key]
    inner[last] = value
    result: dict[str, Any] = about
    return result


def test_format_3_is_brought_up_to_date(tmp_path: Path) -> None:
    before = json.loads(FORMAT_3.read_text())
    about = read_description(written(tmp_path, before))
    assert about.format == FORMAT
    assert about.sha256 == {}
    assert chosen(about.model)["unet"] == before["model"]["unet"]
    assert set(chosen(about.model)) == {"name", "pretrained", "unet"}
    assert about.precision == before["input"]["precision"]
    plain = about.input.to_json()
    assert plain["files"] == before["input"]["reading"]
    assert plain["mean"] == before["input"]["mean"]
    assert about.lineage == before["lineage"]
    assert json.loads((tmp_path / DESCRIPTION).read_text()) == before, "the file itself stays"


def test_a_description_is_written_as_it_was_read(tmp_path: Path) -> None:
    write_description(tmp_path, read_description(PRESENT.parent))
    content = json.loads((tmp_path / DESCRIPTION).read_text())
    # Optional, and later than the bundle.
    assert content.pop("temperature") == 1
    assert [label.pop("category") for label in content["scheme"]["raw"]] == [None] * 4
    assert json.dumps(content, indent=2) + "\n" == PRESENT.read_text()


def test_the_shipped_model_is_of_the_present_format() -> None:
    assert json.loads((SHIPPED / DESCRIPTION).read_text())["format"] == FORMAT


def test_an_option_of_another_model_that_was_renamed_since_matters_to_no_bundle(
    tmp_path: Path,
) -> None:
    about = json.loads(FORMAT_3.read_text())
    about["model"]["pspnet"]["dropped"] = about["model"]["pspnet"].pop("dropout")
    assert "pspnet" not in chosen(read_description(written(tmp_path, about)).model)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": FORMAT + 1}, "made by a newer segpipe; this one reads formats up to 5"),
        ({"format": 2}, "is of format 2; this segpipe reads 3 to 5"),
        ({"format": "four"}, "is of format 'four'; this segpipe reads 3 to 5"),
        ({"format": [3]}, r"is of format \[3\]; this segpipe reads 3 to 5"),
        ({"format": 3.0}, "is of format 3.0; this segpipe reads 3 to 5"),
        ({"format": None}, "is of format None; this segpipe reads 3 to 5"),
        ({"input": {}}, "is not what format 3 holds: KeyError"),
        ({"input": "abc"}, "is not what format 3 holds: ValueError"),
        ({"model": None}, "is not what format 3 holds: TypeError"),
    ],
)
def test_what_cannot_be_read_is_explained(
    change: dict[str, Any], message: str, tmp_path: Path
) -> None:
    folder = written(tmp_path, {**json.loads(FORMAT_3.read_text()), **change})
    with pytest.raises(BundleError, match=message) as caught:
        read_description(folder)
    assert str(folder / DESCRIPTION) in str(caught.value)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("input.height", 0, "input.height is 0; it must be greater than or equal to 1"),
        ("input.width", 2.5, "input.width is 2.5; it must be a valid integer"),
        ("input.width", 10**12, "input.width is 1000000000000; it must be less than or equal to"),
        ("input.fit", "squeeze", "input.fit is 'squeeze'; it must be 'stretch', 'pad' or 'crop'"),
        ("input.frames", 0, "input.frames is 0; it must be greater than"),
        ("input.mean.1", float("nan"), "input.mean.1 is nan; it must be a finite number"),
        ("input.mean.1", None, "input.mean.1 is None; it must be a valid number"),
        ("input.std.2", 0.0, r"input.std.2 is 0.0; it must be greater than 0"),
        ("input.std.2", float("inf"), "input.std.2 is inf; it must be a finite number"),
        ("input.std", [0.2], "input: mean and std have 3 and 1 values, but there are 3 channels"),
        ("input.colour", 1, "input.colour is not a known field"),
        ("input.files.kind", "film", "input.files.kind is 'film'; it must be 'picture', 'raster'"),
        ("input.files.kind", "raster", "input.files: kind is raster; rasters need a scaling"),
        ("input.files.kind", "esd", "input.files: kind is esd; esd belongs to ESD tiles"),
        ("input.files.channels", ["grey"], "input.files: display is .0, 1, 2., but there are 1"),
        (
            "input.files.channels",
            list("rgbn"),
            "input.files: pictures without scaling have 3 channels, not 4",
        ),
        ("input.files.display", [0, 1], "input.files.display.2 is missing"),
        ("input.files.truth_ratio", 0, "input.files.truth_ratio is 0; it must be greater than"),
        ("input.files.truth_ratio", 64, "input: height and width are 32 and 48, less than a truth"),
        ("scheme.raw.1.train_id", 77, "scheme: train id 77 is not in 0..2, nor 255"),
        ("scheme.raw.1.train_id", -1, "scheme.raw.1.train_id is -1; it must be greater than"),
        ("scheme.raw.1.train_id", 0, "scheme: no raw label of 0 or more has train id 1"),
        ("scheme.raw.1.id", -1, "scheme: no raw label of 0 or more has train id 1"),
        ("scheme.raw.1.id", 0, "scheme: duplicate names of classes, or duplicate raw ids"),
        ("scheme.raw.1.id", 65536, "scheme.raw.1.id is 65536; it must be less than or equal to"),
        ("scheme.raw.1.colour", [0, 256, 0], "scheme.raw.1.colour.1 is 256; it must be less than"),
        ("scheme.classes", [], "scheme.classes is .*; it must .* at least 1 item"),
        ("scheme.classes", list(map(str, range(300))), "scheme.classes .* at most 254 items"),
        ("scheme.classes.1", 5, "scheme.classes.1 is 5; it must be a valid string"),
        ("scheme", [], r"scheme is \[\]; it must be an object"),
        ("precision", "fp8", "precision is 'fp8'; it must be 'auto', 'fp32' or 'bf16'"),
        ("threshold", 1.0, "threshold is 1.0; it must be less than 1"),
        ("threshold", 0, "threshold is 0; it must be greater than 0"),
        ("threshold", "half", "threshold is 'half'; it must be a valid number"),
        ("threshold", 0.5, "threshold is 0.5, but the scheme has 3 classes"),
        ("model.name", "vit", "model.name is 'vit'; it must be 'unet', "),
        ("model.unet.width", 10**9, "model.unet.width is 1000000000; it must be less than"),
        ("sha256", {"model.safetensors": "0"}, "sha256.model.safetensors is '0'; it must"),
        ("lineage", [], r"lineage is \[\]; it must be an object"),
        ("scheme.classes.0", "\ud800", "the whole file: not valid JSON"),
    ],
)
def test_a_value_that_cannot_be_meant_is_named(
    place: str, value: Any, message: str, tmp_path: Path
) -> None:
    folder = written(tmp_path, changed(place, value))
    with pytest.raises(BundleError, match=message) as caught:
        read_description(folder)
    assert f"{folder / DESCRIPTION}: is damaged or was changed; copy the model again" in str(
        caught.value
    )


def test_a_missing_field_is_named(tmp_path: Path) -> None:
    about = changed("input.height", 32)
    del about["input"]["mean"], about["precision"]
    with pytest.raises(BundleError) as caught:
        read_description(written(tmp_path, about))
    assert "\n  input.mean is missing\n  precision is missing" in str(caught.value)


@pytest.mark.parametrize("content", ["[]", '"text"', "3", "null", "[" * 3000, "{", "{}", "\0" * 9])
def test_what_is_no_description_is_explained(content: str, tmp_path: Path) -> None:
    (tmp_path / DESCRIPTION).write_text(content)
    with pytest.raises(BundleError, match=r"model.json: (cannot be read|is of format None)"):
        read_description(tmp_path)


def _nothing(_path: Path) -> None:
    pass


def _latin(path: Path) -> None:
    path.write_bytes(b'{"format": 5, "name": "stra\xdfe"}')


def _huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 30)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (_nothing, "train a model with `dvc repro`"),
        (_latin, "cannot be read: 'utf-8' codec"),
        (_huge, "cannot be read: .*larger than"),
        (os.mkfifo, "cannot be read: .*pipe"),
        (Path.mkdir, "cannot be read: .*directory"),
    ],
)
def test_a_file_of_another_kind_is_explained(
    make: Callable[[Path], None], message: str, tmp_path: Path
) -> None:
    make(tmp_path / DESCRIPTION)
    with pytest.raises(BundleError, match=message):
        read_description(tmp_path)


def test_nothing_is_written_that_would_not_be_read() -> None:
    about = dict(read_description(PRESENT.parent))
    with pytest.raises(ValueError, match="threshold"):
        Description(**{**about, "threshold": 1.5})


def test_the_description_is_read_without_torch() -> None:
    code = f"""
import sys
from pathlib import Path
from segpipe.bundle_format import read_description
assert read_description(Path({str(FORMAT_3.parent)!r})).input.height == 32
assert "torch" not in sys.modules
"""
    done = run_python(["-c", code], ROOT)
    assert done.returncode == 0, done.stderr
