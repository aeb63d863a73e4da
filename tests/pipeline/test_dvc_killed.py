"""Kill -9 of what takes part in a `dvc repro`: the next one goes on, and nothing is lost or done twice."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.forge import (
    checkpoints,
    children,
    newest_checkpoint,
    run_stage,
    runs,
    tiny_parameters,
    wait_until,
    write_parameters,
)
from tests.pipeline.cache import damaged
from tests.pipeline.conftest import run, with_programs, working_in
from tests.published import Result, runs_with_rows, tracked, wanted

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux's /proc"),
]

# As fish is: a command is a process of its own, and the shell waits for it.
SHELL = '#!/bin/bash\neval "${@: -1}"\nexit $?\n'

# Something to kill, without work for the processor.
SLOWED = """

import time as _time

_at_once = train_step


def train_step(*arguments, **options):
    _time.sleep(0.05)
    return _at_once(*arguments, **options)
"""


class Repro:
    """A `dvc repro train`; what it says goes into `log`."""

    def __init__(self, repository: Path, shell: Path, log: Path, processes: int = 2) -> None:
        environment = with_programs(SHELL=str(shell), SEGPIPE_PROCESSES=str(processes))
        self._log, self._seen = log, set[int]()
        with log.open("w") as file:
            self.dvc = subprocess.Popen(
                ["dvc", "repro", "train"],
                cwd=repository,
                env=environment,
                stdout=file,
                stderr=file,
            )

    def processes(self) -> tuple[int, int, list[int]]:
        """DVC, the launcher, and the processes that train."""
        [launcher] = [pid for pid in children(self.dvc.pid) if "stages.train" in command(pid)]
        trainers = children(launcher)
        self._seen.update(trainers, [launcher])
        return self.dvc.pid, launcher, trainers

    def end(self) -> None:
        """Leave nothing behind, also where a test has failed."""
        for pid in filter(runs, (self.dvc.pid, *self._seen)):
            os.kill(pid, signal.SIGKILL)
        self.dvc.wait()

    def said(self) -> str:
        return self._log.read_text()


@pytest.fixture
def repro(baseline: Path, tmp_path: Path) -> Iterator[Callable[..., Repro]]:
    """Starts `dvc repro train` under a shell that does not replace itself by its command."""
    shell = tmp_path / "shell"
    shell.write_text(SHELL)
    shell.chmod(0o755)
    started: list[Repro] = []

    def start(processes: int = 2) -> Repro:
        started.append(Repro(baseline, shell, tmp_path / f"log{len(started)}", processes))
        return started[-1]

    yield start
    for one in started:
        one.end()


def command(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()


def test_whoever_is_killed_the_next_repro_ends_as_if_nobody_had_been(
    baseline: Path, data: Path, repro: Callable[..., Repro]
) -> None:
    """One training of two processes, in which one after another is killed.

    worker: the second process. launcher: what started the two, which then have to leave by
    themselves. dvc: it alone, while the two cannot leave yet; nobody else may train on their state
    until they have. tree: DVC, launcher and both at once.
    """
    options = {
        "model__unet__dropout": 0.2,
        "train__batch_size": 2,
        "train__length": "120 steps",
        "train__validate_every": "40 steps",
        "train__ema": 0.9,
        "checkpoint__steps": 5,
        "tracking__enabled": True,
        "tracking__system_seconds": 0,
        "tracking__validation_pictures": 0,
    }
    write_parameters(baseline / "params.yaml", tiny_parameters(data, **options))
    with (baseline / "segpipe/training/loop.py").open("a") as code:
        code.write(SLOWED)
    tracked_before = runs_with_rows(baseline)
    for victim in ("worker", "launcher", "dvc", "tree"):
        before = newest_checkpoint(baseline)
        first = repro()
        wait_until(lambda: newest_checkpoint(baseline) > before or first.dvc.poll() is not None)  # noqa: B023
        assert first.dvc.poll() is None, first.said()
        assert before == 0 or "resuming at" in first.said()
        dvc, launcher, trainers = first.processes()
        assert len(trainers) == 2
        if victim == "worker":  # DVC leaves a Ctrl-C to its stage, which did not get this one
            os.kill(dvc, signal.SIGINT)
            after = newest_checkpoint(baseline)
            wait_until(lambda: newest_checkpoint(baseline) > after)  # noqa: B023
            assert first.dvc.poll() is None
        if victim == "dvc":
            for pid in trainers:
                os.kill(pid, signal.SIGSTOP)
        killed = {"worker": trainers[1:], "launcher": [launcher], "dvc": [dvc]}
        for pid in killed.get(victim, [dvc, launcher, *trainers]):
            os.kill(pid, signal.SIGKILL)
        assert first.dvc.wait() != 0
        if victim == "dvc":
            second = repro(processes=1)
            assert second.dvc.wait() != 0
            assert "is training on this state already" in second.said()
            for pid in trainers:
                os.kill(pid, signal.SIGCONT)
        for pid in (launcher, *trainers):
            wait_until(lambda: not runs(pid), 100)  # noqa: B023
        assert not (baseline / "models").exists()
        assert before < newest_checkpoint(baseline) < 120
    last = repro()
    assert last.dvc.wait() == 0, last.said()
    assert "resuming at" in last.said()
    result = Result(baseline)
    assert result.summary.processes == 2
    assert tracked(baseline, result.tracked) == wanted(result)
    assert runs_with_rows(baseline) - tracked_before == {result.tracked}
    assert not checkpoints(baseline)
    unhurt = run_stage("train", baseline, SEGPIPE_PROCESSES="2")
    assert unhurt.returncode == 0, unhurt.stderr
    whole = Result(baseline)
    assert result.differences(whole) == []
    assert whole.tracked != result.tracked


def eighty_slow_steps(repository: Path, data: Path) -> set[str]:
    """Ask for a training of 80 steps that saves often; return the runs that are tracked already."""
    options = {"train__length": "80 steps", "checkpoint__steps": 5, "tracking__enabled": True}
    write_parameters(repository / "params.yaml", tiny_parameters(data, **options))
    with (repository / "segpipe/training/loop.py").open("a") as code:
        code.write(SLOWED)
    return runs_with_rows(repository)


def assert_tracked_once(repository: Path, tracked_before: set[str]) -> None:
    """One new run has each row once, and its end; nothing is left of the state."""
    assert not checkpoints(repository)
    [made] = runs_with_rows(repository) - tracked_before
    found = tracked(repository, made)
    assert found.status == "FINISHED"
    assert found.training == sorted(set(found.training)), "each row once"
    assert found.end == [80]


def test_an_experiment_beside_that_is_killed_goes_on_when_it_is_asked_for_again(
    baseline: Path, data: Path, tmp_path: Path
) -> None:
    """In a new temporary workspace: the state lies in the main repository."""
    tracked_before = eighty_slow_steps(baseline, data)
    asked = ["dvc", "exp", "run", "--temp", "-n", "again", "-S", "train.lr=0.002", "train"]
    log = tmp_path / "log"
    with log.open("w") as file:
        first = subprocess.Popen(
            asked,
            cwd=baseline,
            env=with_programs(),
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    wait_until(lambda: newest_checkpoint(baseline) > 0 or first.poll() is not None)
    assert first.poll() is None, log.read_text()
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    assert 0 < newest_checkpoint(baseline) < 80
    assert "resuming at" in run(baseline, *asked)
    assert_tracked_once(baseline, tracked_before)


def test_a_killed_task_of_the_queue_goes_on_when_it_is_queued_again(
    baseline: Path, data: Path
) -> None:
    """Killed with all that works for the queue, whose next worker may take the task up by itself."""
    tracked_before = eighty_slow_steps(baseline, data)
    queue(baseline, "killed")
    wait_until(lambda: newest_checkpoint(baseline) > 0)
    for pid in working_in(baseline):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert 0 < newest_checkpoint(baseline) < 80
    queue(baseline, "queued-again")
    wait_until(lambda: "queued-again" in run(baseline, "dvc", "exp", "list", "--name-only"), 600)
    wait_until(lambda: not working_in(baseline))
    logs = [run(baseline, "dvc", "queue", "logs", name) for name in ("killed", "queued-again")]
    assert sum("resuming at" in log for log in logs) == 1, logs
    assert_tracked_once(baseline, tracked_before)


def queue(repository: Path, name: str) -> None:
    """Queue a training and start a worker, which goes on by itself."""
    changes = ["-S", "train.lr=0.003", "train"]
    run(repository, "dvc", "exp", "run", "--queue", "-n", name, *changes)
    subprocess.run(
        ["dvc", "queue", "start"],
        cwd=repository,
        env=with_programs(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
    )


@pytest.mark.parametrize("stage", ["evaluate", "render"])
def test_a_stage_that_is_killed_with_dvc_comes_out_as_before(
    stage: str, baseline: Path, tmp_path: Path
) -> None:
    """Killed in its work, beside outputs that are hard links into the cache."""
    before = {path: path.read_bytes() for path in results(baseline)}
    log = tmp_path / "log"
    with log.open("w") as file:
        repro = subprocess.Popen(
            ["dvc", "repro", "--force", "--single-item", stage],
            cwd=baseline,
            env=with_programs(),
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    wait_until(
        lambda: (
            any(f"stages.{stage}" in command(pid) for pid in children(repro.pid))
            or repro.poll() is not None
        )
    )
    assert repro.poll() is None, log.read_text()
    [working] = children(repro.pid)
    wait_until(lambda: len(list(Path(f"/proc/{working}/task").iterdir())) > 2)
    os.killpg(repro.pid, signal.SIGKILL)
    repro.wait()
    wait_until(lambda: not runs(working))
    run(baseline, "dvc", "repro")  # runs the stage again, or takes its outputs from the cache
    assert damaged(baseline) == []
    assert {path: path.read_bytes() for path in results(baseline)} == before


def results(repository: Path) -> list[Path]:
    """What evaluate and render write that is the same in each run."""
    tables = [repository / f"metrics/{name}.csv" for name in ("classes", "images", "confusion")]
    return [*tables, *sorted((repository / "predictions").rglob("*.png"))]
