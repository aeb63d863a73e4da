"""segpipe repeat under DVC: trained, killed and interrupted, gone on, and not trained again."""

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.forge import children, newest_checkpoint, runs, wait_until
from tests.pipeline.conftest import run, with_programs
from tests.pipeline.test_dvc_killed import eighty_slow_steps

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux's /proc"),
]

REPEAT = ["python", "-m", "segpipe.cli.main", "repeat", "--seeds", "2", "--name", "two"]
REPEAT += ["-S", "tracking.enabled=false", "-S", "source.path=data/mine"]


def start(repository: Path, log: Path) -> "subprocess.Popen[bytes]":
    """Start the command as the leader of a group, as a shell does."""
    with log.open("w") as file:
        return subprocess.Popen(
            REPEAT,
            cwd=repository,
            env=with_programs(PYTHONFAULTHANDLER="0"),
            stdout=file,
            stderr=file,
            start_new_session=True,
        )


def wait_for_a_checkpoint(
    repeat: "subprocess.Popen[bytes]", repository: Path, log: Path, training: str
) -> None:
    """Wait until that training has saved after where it began."""
    wait_until(lambda: training in log.read_text() or repeat.poll() is not None)
    step = newest_checkpoint(repository)
    wait_until(lambda: newest_checkpoint(repository) > step or repeat.poll() is not None)
    assert repeat.poll() is None, log.read_text()


def test_a_repeat_that_is_killed_and_interrupted_goes_on(
    baseline: Path, data: Path, tmp_path: Path
) -> None:
    """Killed with all that it started; ended by a SIGTERM to it alone; interrupted by a Ctrl-C."""
    eighty_slow_steps(baseline, data)
    shutil.copytree(data, baseline / "data/mine")
    before = (baseline / "params.yaml").read_bytes(), run(baseline, "git", "status", "--porcelain")
    for ending, code in (("kill", -9), ("terminate", 143), ("interrupt", 130)):
        finished = 1 if ending == "interrupt" else 0
        repeat = start(baseline, tmp_path / ending)
        wait_for_a_checkpoint(repeat, baseline, tmp_path / ending, f"training {finished + 1} of 2")
        [stage] = [pid for dvc in children(repeat.pid) for pid in children(dvc)]
        match ending:
            case "kill":
                os.killpg(repeat.pid, signal.SIGKILL)
            case "terminate":
                repeat.terminate()
            case _:
                os.killpg(repeat.pid, signal.SIGINT)
        said = (tmp_path / ending).read_text
        assert repeat.wait() == code, said()
        wait_until(lambda: not runs(stage))  # noqa: B023
        assert 0 < newest_checkpoint(baseline) < 80
        if ending != "kill":
            assert f"{finished} of 2 trainings are finished; the same command goes on" in said()
            assert "resuming at" in said()
    said = run(baseline, *REPEAT, "--json", str(tmp_path / "found.json"))
    assert "two-seed-0: trained already, mIoU" in said
    assert said.count("Reproducing experiment") == 1
    assert "resuming at" in said
    assert "data/mine is not in git: each training gets a copy of it" in said
    assert newest_checkpoint(baseline) == 0, "nothing is left of the state"
    found = json.loads((tmp_path / "found.json").read_text())
    assert (found["runs"], found["seeds"]) == (["two-seed-0", "two-seed-1"], [0, 1])
    mious = [score_of(baseline, name) for name in found["runs"]]
    values = next(one["values"] for one in found["scores"] if one["name"] == "mIoU")
    assert values == mious
    assert mious[0] != mious[1]
    after = (baseline / "params.yaml").read_bytes(), run(baseline, "git", "status", "--porcelain")
    assert after == before, "the workspace stays as it was"
    assert "Reproducing" not in run(baseline, *REPEAT)


def score_of(repository: Path, experiment: str) -> float:
    refs = run(repository, "git", "for-each-ref", "--format=%(refname)", "refs/exps").split()
    [ref] = [ref for ref in refs if ref.endswith(f"/{experiment}")]
    miou = json.loads(run(repository, "git", "show", f"{ref}:metrics/evaluation.json"))["miou"]
    assert isinstance(miou, float)
    return miou
