"""segpipe plan on the command line: what it says, what it writes, what it leaves alone."""

import shutil
from pathlib import Path

import pytest

from segpipe.cli.main import main
from segpipe.params.load import load_params
from segpipe.planning import trial
from tests.forge import ROOT, make_folder, tiny_parameters, write_parameters


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    make_folder(tmp_path / "data", train=6, val=3)
    write_parameters(tmp_path / "params.yaml", tiny_parameters(Path("data")))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(trial, "_LEAST_SECONDS", 0.0)  # a few steps are enough for a test
    return tmp_path


def test_the_plan_is_written_with_its_reasons(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (work / "params.yaml").read_bytes()
    options = ["plan", "--minutes", "1", "--set", "model.name=unet", "--set", "model.unet.width=4"]
    assert main([*options, "--dry-run"]) == 0
    assert (work / "params.yaml").read_bytes() == before
    assert main(options) == 0
    said = capsys.readouterr().out
    (kept,) = (work / ".segpipe/replaced").iterdir()  # it was kept nowhere else
    assert kept.read_bytes() == before
    assert "forecast: " in said
    assert said.rstrip().endswith("next: segpipe train")
    params = load_params(work / "params.yaml")
    assert params.model.unet.width == 4
    lines = (work / "params.yaml").read_text().splitlines()
    (name,) = [line for line in lines if line.startswith("  name: unet")]
    assert name.endswith("# given on the command line")
    assert any(line.startswith("# command   segpipe plan --minutes 1 --set") for line in lines)
    assert any(line.startswith("  batch_size: 4") and "more steps" in line for line in lines)


@pytest.mark.parametrize("minutes", ["0", "-5", "nan", "1000000"])
def test_minutes_have_bounds(work: Path, minutes: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--minutes", minutes]) == 1
    assert "must be between 1 and 100000" in capsys.readouterr().err


def test_data_that_is_not_there_yet_is_named(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = tiny_parameters(Path("world.yaml"), source__name="synthetic")
    content["labels"]["scheme"] = "cityscapes19"
    shutil.copy(ROOT / "data/synthetic.yaml", work / "world.yaml")
    write_parameters(work / "params.yaml", content)
    main(["plan", "--minutes", "1"])
    assert "run `dvc repro fetch` first" in capsys.readouterr().err
