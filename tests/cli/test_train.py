"""segpipe train: parameters, DVC underneath, and how it ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from segpipe.cli import train
from segpipe.cli.main import main
from segpipe.params.load import load_params
from tests.forge import child_environment, tiny_parameters, write_parameters

STAGE = """
import pathlib, signal, time
def save(number, _):
    time.sleep(0.5)
    pathlib.Path("saved").write_text(str(number))
    raise SystemExit(75)
signal.signal(signal.SIGINT, save)
signal.signal(signal.SIGTERM, save)
pathlib.Path("begun").touch()
time.sleep(300)
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text("[core]\n    no_scm = true\n    analytics = false\n")
    (tmp_path / "stage.py").write_text(STAGE)
    (tmp_path / "dvc.yaml").write_text("stages:\n  wait:\n    cmd: exec python stage.py\n")
    write_parameters(tmp_path / "params.yaml", tiny_parameters(Path("data")))
    return tmp_path


@pytest.fixture
def runs(project: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    """The environments with which DVC was started."""
    found: list[dict[str, str]] = []

    def note(command: list[str], environment: dict[str, str]) -> int:
        assert command == [sys.executable, "-m", "dvc", "repro"]
        found.append(environment)
        return 1

    monkeypatch.setattr(train, "_run_to_end", note)
    return found


def test_dvc_is_named_and_finds_the_python_of_this_process(
    runs: list[dict[str, str]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "--processes", "2"]) == 1
    assert capsys.readouterr().out == "dvc repro\n", "no scores after a failure"
    (environment,) = runs
    assert environment["SEGPIPE_PROCESSES"] == "2"
    assert environment["PATH"].split(":")[0] == str(Path(sys.executable).parent)


def test_a_parameter_is_changed_first(
    runs: list[dict[str, str]], project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (project / "params.yaml").read_text()
    assert main(["train", "--set", "train.lr=0.5", "--set", "train.length=2000 steps"]) == 1
    said = capsys.readouterr().out
    assert "params.yaml: train.lr: 0.01 → 0.5\n" in said
    assert load_params(project / "params.yaml").train.lr == 0.5
    copy = next(line for line in said.splitlines() if "segpipe use .segpipe" in line).split()[-1]
    assert (project / copy).read_text() == before
    assert main(["train", "--set", "train.lr=0.5"]) == 1
    assert "has these values already" in capsys.readouterr().out
    assert len(runs) == 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--set", "train.lrr=1"], "did you mean train.lr?"),
        (["--set", "train.lr=x"], "train.lr is 'x' (text)"),
    ],
)
def test_a_wrong_parameter_starts_nothing(
    options: list[str],
    said: str,
    runs: list[dict[str, str]],
    project: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = (project / "params.yaml").read_bytes()
    assert main(["train", *options]) == 1
    assert said in capsys.readouterr().err
    assert (project / "params.yaml").read_bytes() == before
    assert runs == []


def test_a_wrong_number_of_processes_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["train", "--processes", "0"])
    assert "'0' is no number of processes" in capsys.readouterr().err


def test_a_folder_without_a_pipeline_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["train"]) == 1
    assert "segpipe new DIR" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("told", ["Ctrl-C", "SIGTERM"])
def test_a_stage_that_is_told_to_stop_saves_first(told: str, project: Path) -> None:
    """Ctrl-C comes to the whole group of the terminal, a SIGTERM to this one process."""
    process = subprocess.Popen(
        [sys.executable, "-m", "segpipe.cli.main", "train"],
        env=child_environment(DVC_NO_ANALYTICS="1"),
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    until = time.monotonic() + 300
    while not (project / "begun").exists() and time.monotonic() < until:
        time.sleep(0.05)
    if told == "Ctrl-C":
        os.killpg(process.pid, signal.SIGINT)
    else:
        process.terminate()
    said, _ = process.communicate(timeout=120)
    assert process.returncode == (130 if told == "Ctrl-C" else 143), said
    number = signal.SIGINT if told == "Ctrl-C" else signal.SIGTERM
    assert (project / "saved").read_text() == str(int(number)), said
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
