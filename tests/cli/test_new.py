"""segpipe new: what it says; tests/project has what it makes."""

import shutil
from pathlib import Path

import pytest

from segpipe.cli.main import main
from segpipe.params.load import load_params
from tests.forge import make_folder


def test_the_demo_says_how_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["new", "demo"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[-3:] == ["next:", "  cd demo", "  segpipe train"]
    monkeypatch.chdir("demo")
    assert main(["check"]) == 0
    assert main(["use"]) == 0
    assert "params.yaml has the parameters of demo" in capsys.readouterr().out
    assert main(["use", "--upgrade"]) == 0
    assert "segpipe.version names the installed segpipe" in capsys.readouterr().out


def test_own_data_is_checked_before_it_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    make_folder(tmp_path / "mine", train=3, val=2)
    assert main(["new", "p", "--data", "mine"]) == 0
    said = capsys.readouterr().out
    assert f"the data is read at {tmp_path / 'mine'}" in said
    assert said.index("segpipe check") < said.index("segpipe plan") < said.index("segpipe train")
    monkeypatch.chdir("p")
    assert main(["check"]) == 0
    said = capsys.readouterr().out
    assert "3 train, 2 val, 0 test samples, every file read" in said
    last = said.splitlines()[-1]
    assert last.startswith("next: segpipe plan --minutes 30 ")
    assert last.endswith(", then segpipe train")
    assert "segpipe plan --minutes 30 " in Path("README.md").read_text()


def test_a_machine_without_git_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["new", "p"]) == 0
    assert "git was not found" in capsys.readouterr().out


def test_the_upgrade_of_a_project_has_all_stages_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["new", "p"]) == 0
    monkeypatch.chdir("p")
    now = Path("segpipe.version").read_text()
    pipeline = Path("dvc.yaml").read_text()
    Path("segpipe.version").write_text("version: 0.1\ncode: 0\n")
    Path("dvc.yaml").write_text(pipeline.replace("data/statistics\n", "data/old\n"))
    assert main(["train"]) == 1
    assert "results here are those of segpipe 0.1" in capsys.readouterr().err
    assert main(["use", "--upgrade", "--dry-run"]) == 0
    assert Path("segpipe.version").read_text() != now
    assert main(["use", "--upgrade"]) == 0
    assert "`segpipe train` runs all stages again" in capsys.readouterr().out
    assert Path("segpipe.version").read_text() == now
    assert Path("dvc.yaml").read_text() == pipeline
    assert load_params(Path("params.yaml")).train.seed == 0
    shutil.rmtree(".git")
