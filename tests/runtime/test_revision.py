"""The tags of the code: the commit, whether it was changed, and nothing where git is missing."""

import subprocess
from pathlib import Path

import pytest

from segpipe.runtime.revision import git_revision
from segpipe.tracking.run import standard_tags


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("GIT_AUTHOR", "GIT_COMMITTER"):
        monkeypatch.setenv(f"{name}_NAME", "Ann")
        monkeypatch.setenv(f"{name}_EMAIL", "ann@example.org")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.chdir(tmp_path)
    for name in ("model.py", "dvc.lock", "metrics/training.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("1")
    _git("init", "--quiet")
    _git("add", ".")
    _git("commit", "--quiet", "-m", "first")
    return tmp_path


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], check=True, capture_output=True, text=True).stdout


def test_the_commit_is_named(repository: Path) -> None:
    assert git_revision() == _git("rev-parse", "HEAD").strip()


def test_changed_code_makes_it_dirty(repository: Path) -> None:
    (repository / "model.py").write_text("2")
    assert git_revision() == _git("rev-parse", "HEAD").strip() + "-dirty"


def test_what_the_pipeline_writes_does_not_make_it_dirty(repository: Path) -> None:
    (repository / "dvc.lock").write_text("2")
    (repository / "metrics" / "training.json").unlink()
    (repository / "notes.txt").write_text("untracked")
    assert git_revision() == _git("rev-parse", "HEAD").strip()


def test_there_is_no_tag_without_git(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(repository))
    assert git_revision() is None
    assert "git_commit" not in standard_tags()


def test_there_is_no_tag_outside_a_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git_revision() is None


def test_the_experiment_and_stage_of_dvc_are_tags(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_EXP_NAME", "brisk-owl")
    monkeypatch.setenv("DVC_STAGE", "train")
    tags = standard_tags()
    assert (tags["dvc_experiment"], tags["dvc_stage"]) == ("brisk-owl", "train")
    monkeypatch.delenv("DVC_EXP_NAME")
    monkeypatch.setenv("DVC_STAGE", "")
    assert not {"dvc_experiment", "dvc_stage"} & standard_tags().keys()
