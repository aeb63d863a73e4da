"""segpipe import: what it says, its exit codes, and that `segpipe check` takes what it makes."""

import json
from pathlib import Path

import pytest

from segpipe.cli.main import main
from tests.forge import tiny_parameters, write_parameters
from tests.importing import exports


def test_import_says_what_it_found_and_what_comes_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    exports.voc(Path("export"))
    assert main(["import", "export", "data/mine"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "export: voc (3 masks in SegmentationClass/)"
    assert lines[1] == "voc: 2 train, 1 val images, 3 classes: background, road, car"
    assert lines[-1].startswith("the data is in data/mine; in params.yaml set source.name: folder")
    assert lines[-1].endswith("then run `segpipe check`") and "ratio" not in lines[-1]
    write_parameters(
        Path("params.yaml"),
        tiny_parameters(tmp_path / "data/mine", prepare__height=8, prepare__width=16),
    )
    assert main(["check"]) == 0, capsys.readouterr()


def test_faults_are_listed_and_the_exit_code_is_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    exports.labelme(Path("export"))
    for number in range(12):
        Path(f"export/bad{number:02d}.json").write_text("{")
    assert main(["import", "export", "out", "--copy"]) == 1
    out = capsys.readouterr().out
    assert all(f"bad{number:02d}.json" in out for number in range(12))
    assert (
        out.splitlines()[-1].startswith("the data is in out") and "prepare.split.by: ratio" in out
    )


def test_an_unknown_export_is_one_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    exports.put(Path("export/a.json"), json.loads("{}"))
    assert main(["import", "export", "out"]) == 1
    assert "is of no form that is known" in capsys.readouterr().err


def test_the_help_has_examples_and_the_forms(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["import", "--help"])
    out = capsys.readouterr().out
    assert "examples:" in out and all(form in out for form in ("coco", "label_studio", "mapillary"))
