"""segpipe sweep from its file to its page, over fake trainings; tests/pipeline/test_sweep.py trains."""

import json
from pathlib import Path

import pytest

from segpipe.cli.main import main
from segpipe.sweeps import search
from segpipe.sweeps.study import Study
from tests.cli.test_compare import commit, make_repository
from tests.forge import tiny_parameters, write_parameters
from tests.sweeps.fakes import FakeTrainer

pytest.importorskip("optuna")

GRID = """
name: mine
search: grid
space:
  train.lr: {choice: [0.1, 0.2]}
  train.optimizer: {choice: [adam, sgd]}
metrics: {evaluation.miou: maximize}
"""


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with parameters and a pipeline; trainings are fakes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    make_repository(tmp_path)
    (tmp_path / ".dvc").mkdir()
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    write_parameters(tmp_path / "params.yaml", tiny_parameters(Path("data")))
    commit(tmp_path, "first")
    monkeypatch.setattr(search, "DvcTrainer", FakeTrainer)
    return tmp_path


def test_the_last_line_says_where_the_page_and_the_best_are(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("it.yaml").write_text(GRID.replace("adam, sgd", "adam"))
    assert main(["sweep", "it.yaml", "--jobs", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    page = work / ".segpipe/sweeps/mine/sweep.html"
    assert lines[-1] == f"the page is {page}; take the first: dvc exp apply mine-001"
    assert "trial 1: complete, evaluation.miou 0.2" in lines
    assert any(line.startswith("2 of 2 points are done, about 0 min to go") for line in lines)
    assert lines[-2].startswith("no winner: with 1 seed(s)")
    found = json.loads(page.with_name("sweep.json").read_text())
    assert found["best"] == [1, 0]
    assert main(["sweep", "it.yaml"]) == 0, "all is there"
    assert "trial" not in capsys.readouterr().out.splitlines()[1].partition(":")[0]


@pytest.mark.slow
def test_failed_trials_are_listed_and_end_with_1(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("it.yaml").write_text(GRID)
    assert main(["sweep", "it.yaml"]) == 1
    said = capsys.readouterr().out
    assert "2 trials failed; the same command tries them again:\n  trial 1: the loss" in said
    assert "take the first: dvc exp apply mine-002" in said


def test_parameters_that_are_edited_meanwhile_stop_the_sweep(
    work: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    end = Study.end

    def edit_and_end(*arguments, **named):  # type: ignore[no-untyped-def]
        changed = tiny_parameters(Path("data"), train__weight_decay=0.5)
        write_parameters(work / "params.yaml", changed)
        end(*arguments, **named)

    monkeypatch.setattr(Study, "end", edit_and_end)
    Path("it.yaml").write_text(GRID)
    assert main(["sweep", "it.yaml"]) == 1
    said = capsys.readouterr().err
    assert "params.yaml or the current commit was changed since the sweep began" in said
    assert "the same command goes on" in said


def test_without_a_commit_there_is_no_sweep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    make_repository(tmp_path)
    write_parameters(tmp_path / "params.yaml", tiny_parameters(Path("data")))
    Path("it.yaml").write_text(GRID)
    assert main(["sweep", "it.yaml"]) == 1
    assert "git add -A && git commit" in capsys.readouterr().err
    assert not Path(".segpipe/sweeps").exists()
