"""Kill -9 at random: the training goes on by itself and ends as if nothing had happened."""

import csv
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from segpipe.params.schema import Params
from segpipe.randomness import generator
from tests.engine.conftest import prepared
from tests.forge import ROOT, child_environment, make_workspace, run_stage
from tests.stages.test_launch import children, wait_until_gone

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux's /proc"),
]

# The driver's phases; it is not imported here, for it imports MLflow.
PHASES = ("start", "resume", "step", "copy", "write", "validation", "log", "publish", "remove")
LEARNT = ("epoch", "step", "lr", "train_loss", "val_loss", "val_miou", "val_pixel_accuracy")
KILLS = 22
Run = Callable[[Any], dict[str, Any]]


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace of five steps an epoch, nine in all, validated also within epochs."""
    root = tmp_path_factory.mktemp("ready") / "w"
    options = {
        "tracking__enabled": True,
        "tracking__validation_pictures": 0,  # they are slow, and are sent as other files are
        "tracking__system_seconds": 0,
        "model__unet": {**Params().model.unet.model_dump(), "width": 4, "depth": 1, "dropout": 0.2},
        "train__batch_size": 2,
        "train__length": "9 steps",
        "train__validate_every": "3 steps",
        "train__ema": 0.9,
        "checkpoint__steps": 1,
    }
    make_workspace(root, Path("none"), **options)
    prepared(root / "data", None)
    return root


@pytest.fixture
def workspace(ready: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(ready, tmp_path / "w", symlinks=True))


@pytest.fixture
def run(workspace: Path) -> Iterator[Run]:
    """Start a training in `workspace` as DVC does, its outputs deleted; return what became of it."""
    driver = subprocess.Popen(
        [sys.executable, "-m", "tests.engine.killing"],
        cwd=workspace,
        # The workspace is not the checkout, and tests/ is not installed.
        env=child_environment(SEGPIPE_PROCESSES="1", PYTHONPATH=str(ROOT)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    def start(kill: Any) -> dict[str, Any]:
        delete_outputs(workspace)
        driver.stdin.write(json.dumps(kill) + "\n")
        driver.stdin.flush()
        answer = driver.stdout.readline()
        assert answer, "the driver has died"
        return json.loads(answer)

    yield start
    driver.stdin.close()
    driver.wait(10)
    driver.stdout.close()


def delete_outputs(workspace: Path) -> None:
    for name in ("models", "metrics"):
        shutil.rmtree(workspace / name, ignore_errors=True)


class Result:
    """What a training has published, and what MLflow holds of it."""

    def __init__(self, workspace: Path) -> None:
        models = workspace / "models"
        self.weights = {
            name: load_file(models / f"{name}.safetensors") for name in ("model", "last")
        }
        self.about = (models / "model.json").read_text()
        with (workspace / "metrics/history.csv").open() as file:
            self.history = [[row[name] for name in LEARNT] for row in csv.DictReader(file)]
        self.steps = [int(row[1]) for row in self.history]
        self.tracked = json.loads((workspace / "metrics/mlflow.json").read_text())["run_id"]

    def assert_same(self, other: "Result") -> None:
        for name, weights in self.weights.items():
            theirs = other.weights[name]
            assert weights.keys() == theirs.keys()
            assert len(weights) > 20
            assert [key for key in weights if not np.array_equal(weights[key], theirs[key])] == []
        assert other.about == self.about
        assert other.history == self.history


def logged(workspace: Path, question: str, *values: str) -> list[Any]:
    with closing(sqlite3.connect(workspace / "mlflow.db")) as store:
        return [row[0] for row in store.execute(question, values)]


def assert_tracked_once(workspace: Path, result: Result, run_id: str = "") -> None:
    """MLflow has each row once, in a run that has ended well: the result's, or `run_id`."""
    run_id = run_id or result.tracked
    one = "SELECT step FROM metrics WHERE run_uuid = ? AND key = ? ORDER BY step"
    assert logged(workspace, one, run_id, "train_loss") == result.steps
    validated = [int(row[1]) for row in result.history if row[4]]
    assert logged(workspace, one, run_id, "val_loss") == validated
    assert logged(workspace, one, run_id, "training/steps") == [result.steps[-1]]
    status = logged(workspace, "SELECT status FROM runs WHERE run_uuid = ?", run_id)
    assert status == ["FINISHED"]


def runs_with_rows(workspace: Path) -> set[str]:
    return set(logged(workspace, "SELECT DISTINCT run_uuid FROM metrics WHERE key = 'train_loss'"))


def assert_nothing_left(workspace: Path) -> None:
    left = [path.name for path in (workspace / ".segpipe/state").iterdir()]
    assert [name for name in left if not name.endswith(".lock")] == []


@pytest.mark.timeout(1500)
def test_a_training_that_is_killed_at_random_ends_in_the_same_bits(
    run: Run, workspace: Path
) -> None:
    """22 seeded kills of one process, by itself, at a random event within each phase.

    start: MLflow's run is made or reopened, its id noted. resume: a checkpoint is read and put back.
    step: forward, backward, update. copy: the state is copied. write: files, checksums, sync,
    rename, deletion of old checkpoints, in the writer's thread. validation. log: a row is sent to
    MLflow, so also between saving and sending. publish: bundle, tables, whole-run metrics,
    artifacts. remove: the state is deleted. A training is killed up to four times before it may
    end; each start deletes the outputs as DVC does.
    """
    assert run(None)["code"] == 0, (workspace / "log.txt").read_text()
    whole = Result(workspace)
    again = run("count")
    assert again["code"] == 0, (workspace / "log.txt").read_text()
    whole.assert_same(Result(workspace))
    assert whole.steps == [3, 5, 6, 9]
    assert_tracked_once(workspace, whole)
    events = again["seen"]
    assert all(events.values()), "each phase is passed"
    assert tuple(events) == PHASES
    killed: Counter[str] = Counter()
    tracked = {whole.tracked, Result(workspace).tracked}
    for training in range(20):
        if sum(killed.values()) >= KILLS and len(killed) == len(PHASES):
            break
        random, removed = generator(0, "kills", training), killed["remove"]
        for _ in range(4):
            fewest = min(killed[phase] for phase in PHASES)
            phase = str(random.choice([name for name in PHASES if killed[name] == fewest]))
            entry = int(random.integers(min(len(events[phase]), 4)))
            event = int(random.integers(1, events[phase][entry] + 1))
            done = run({"phase": phase, "entry": entry + 1, "event": event})
            if done["code"] == 0:
                break  # the training was over before it came there
            assert done["code"] == -signal.SIGKILL, (workspace / "log.txt").read_text()
            killed[phase] += 1
        else:
            done = run(None)
        assert done["code"] == 0, (workspace / "log.txt").read_text()
        result = Result(workspace)
        whole.assert_same(result)
        assert_tracked_once(workspace, result)
        assert_nothing_left(workspace)
        tracked.add(result.tracked)
        # A training that was killed while its state was removed was done; the next one began anew.
        done_before = runs_with_rows(workspace) - tracked
        assert len(done_before) <= killed["remove"] - removed, "one run a training"
        for other in done_before:
            assert_tracked_once(workspace, result, other)
        tracked |= done_before
    assert sum(killed.values()) >= KILLS, killed
    assert min(killed[phase] for phase in PHASES) >= 2, killed


@pytest.fixture(scope="module")
def longer(ready: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same for sixty steps, so that a kill from outside finds it at work."""
    place = tmp_path_factory.mktemp("longer") / "w"
    shutil.copytree(ready, place, symlinks=True)
    path = place / "params.yaml"
    text = path.read_text().replace("length: 9 steps", "length: 60 steps")
    path.write_text(text.replace("validate_every: 3 steps", "validate_every: 7 steps"))
    assert "60 steps" in text
    return place


@pytest.fixture(scope="module")
def unhurt(longer: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[int, Result]:
    """Trainings that nobody killed, by their number of processes."""
    results = {}
    for processes in (1, 2):
        place = tmp_path_factory.mktemp("unhurt") / "w"
        shutil.copytree(longer, place, symlinks=True)
        done = run_stage("train", place, SEGPIPE_PROCESSES=str(processes))
        assert done.returncode == 0, done.stderr
        results[processes] = Result(place)
    return results


@pytest.mark.timeout(1500)
@pytest.mark.parametrize(
    ("processes", "victim"), [(1, "trainer"), (2, "launcher"), (2, "worker"), (2, "tree")]
)
def test_a_kill_from_outside_leaves_no_orphan_and_loses_nothing(
    processes: int, victim: str, longer: Path, unhurt: dict[int, Result], tmp_path: Path
) -> None:
    """`python -m stages.train` as a process of its own, killed up to two seconds after a checkpoint.

    trainer: the only process. launcher: that of two processes, which then have to leave by
    themselves. worker: one of the two, of random rank. tree: launcher and both processes at once.
    """
    workspace = Path(shutil.copytree(longer, tmp_path / "w", symlinks=True))
    random = generator(0, "kill from outside", victim)
    first = subprocess.Popen(
        [sys.executable, "-m", "stages.train"],
        cwd=workspace,
        env=child_environment(SEGPIPE_PROCESSES=str(processes)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 200
    while not list(workspace.glob(".segpipe/state/*/checkpoint-*")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    workers = children(first.pid)
    assert len(workers) == (2 if processes == 2 else 0)
    time.sleep(float(random.uniform(0, 2)))
    assert first.poll() is None, "it is still at work"
    match victim:
        case "trainer" | "launcher":
            killed = [first.pid]
        case "worker":
            killed = [workers[int(random.integers(2))]]
        case _:
            killed = [first.pid, *workers]
    for process in killed:
        os.kill(process, signal.SIGKILL)
    for process in [first.pid, *workers]:
        wait_until_gone(process, 60)
    assert first.wait() not in (0, 75)
    assert not (workspace / "models").exists()
    delete_outputs(workspace)
    done = run_stage("train", workspace, SEGPIPE_PROCESSES=str(processes))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "resuming at" in done.stdout
    result = Result(workspace)
    unhurt[processes].assert_same(result)
    assert_tracked_once(workspace, result)
    assert_nothing_left(workspace)
