"""Kill -9 at random: the training goes on by itself and ends as if nothing had happened.

Kills of one of several processes, their launcher, DVC, and all at once: tests/pipeline/test_dvc_killed.py.
"""

import json
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from segpipe.params.schema import Params
from segpipe.runtime.randomness import generator
from tests.forge import ROOT, child_environment, make_workspace
from tests.published import Result, runs_with_rows, tracked, wanted
from tests.training.conftest import prepared

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux's /proc"),
]

# The driver's phases; it is not imported here, for it imports MLflow.
PHASES = ("start", "resume", "step", "copy", "write", "validation", "log", "publish", "remove")
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
        [sys.executable, "-m", "tests.training.killing"],
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


def left_over(workspace: Path) -> list[str]:
    """What lies among the states."""
    return [path.name for path in (workspace / ".segpipe/state").iterdir()]


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
    assert whole.differences(Result(workspace)) == []
    assert whole.steps == [3, 5, 6, 9]
    assert tracked(workspace, whole.tracked) == wanted(whole)
    events = again["seen"]
    assert all(events.values()), "each phase is passed"
    assert tuple(events) == PHASES
    killed: Counter[str] = Counter()
    known = {whole.tracked, Result(workspace).tracked}
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
        assert whole.differences(result) == []
        assert tracked(workspace, result.tracked) == wanted(result)
        assert left_over(workspace) == []
        known.add(result.tracked)
        # A training that was killed while its state was removed was done; the next one began anew.
        done_before = runs_with_rows(workspace) - known
        assert len(done_before) <= killed["remove"] - removed, "one run a training"
        for other in done_before:
            assert tracked(workspace, other) == wanted(result)
        known |= done_before
    assert sum(killed.values()) >= KILLS, killed
    assert min(killed[phase] for phase in PHASES) >= 2, killed
