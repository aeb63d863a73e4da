"""Several processes at once, and processes that are killed.

Covers segpipe/tracking/local_store.py, synchronise.py and calls.py with real processes.
"""

import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from segpipe.params.schema import TrackingParams
from segpipe.tracking.outbox import outbox_folders
from segpipe.tracking.run import start_run
from segpipe.tracking.store import open_store

SETTINGS = TrackingParams()
Start = Callable[..., subprocess.Popen[str]]

# MLflow is imported once, which takes seconds; each process is a fork that has opened nothing yet.
# It waits for the others, so that all ask for the store at once.
AT_ONCE = """
import os, sys, time, traceback
from pathlib import Path
import mlflow, mlflow.store.tracking.sqlalchemy_store
from segpipe.params.schema import TrackingParams
from segpipe.tracking.run import start_run

many = {f"m{number}": number for number in range(8)}

def work(root, mine, processes):
    (root / f"ready{mine}").touch()
    while len(list(root.glob("ready*"))) < processes:
        time.sleep(0.001)
    with start_run(TrackingParams(), f"process {mine}", {"mine": mine}, {}) as tracker:
        for step in range(150):
            tracker.log_metrics({"a": step, "b": mine, **many}, step)

place = Path(sys.argv[1])
for number, processes in enumerate(map(int, sys.argv[2:])):
    os.environ["DVC_ROOT"] = str(place / str(number))
    for mine in range(processes):
        if os.fork() == 0:
            try:
                work(place / str(number), mine, processes)
            except BaseException:
                traceback.print_exc()
                os._exit(1)
            sys.stdout.flush()
            os._exit(0)
    codes = [os.wait()[1] for _ in range(processes)]
    assert codes == [0] * processes, codes
"""

# Each round ends a process by SIGKILL so many seconds after it began to create the database.
CUT_SHORT = """
import os, signal, sys, time
from pathlib import Path
import mlflow, mlflow.store.tracking.sqlalchemy_store
from segpipe.params.schema import TrackingParams
from segpipe.tracking.store import open_store

for delay in sys.argv[2:]:
    root = Path(sys.argv[1], delay)
    os.environ["DVC_ROOT"] = str(root)
    child = os.fork()
    if child == 0:
        open_store(TrackingParams())
        os._exit(0)
    while not (root / "mlflow.db.partial").exists():
        time.sleep(0.001)
    time.sleep(float(delay))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
"""

SLEEPING = """
import time
from segpipe.params.schema import TrackingParams
from segpipe.tracking.run import start_run
tracker = start_run(TrackingParams(), "killed", {}, {})
tracker.log_metrics({"a": 1.0}, 1)
print(tracker.run_id, flush=True)
time.sleep(600)
"""


def _last_word(process: subprocess.Popen[str]) -> str:
    """What a process that goes on says last of all, the id of its run."""
    assert process.stdout is not None
    for line in process.stdout:
        if len(words := line.split()) == 1:
            return words[0]
    raise AssertionError("the process ended and named no run")


def _wait_for(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 200
    while not true():
        assert time.monotonic() < end, "metrics never came"
        time.sleep(0.1)


@pytest.mark.slow
def test_processes_that_create_the_store_at_once_all_succeed(
    root: Path, python: Start, read: Callable[[Path], Any]
) -> None:
    rounds = [4, 2, 2, 4]
    for number in range(len(rounds)):
        (root / str(number)).mkdir()
    process = python(AT_ONCE, str(root), *map(str, rounds))
    said, _ = process.communicate(timeout=200)
    assert process.returncode == 0, said
    assert said.count("MLflow: run ") == said.count("\n") == sum(rounds), said
    for number, count in enumerate(rounds):
        client = read(root / str(number) / "mlflow.db")
        experiments = client.search_experiments()
        assert sorted(found.name for found in experiments) == ["Default", "segpipe"]
        runs = client.search_runs([found.experiment_id for found in experiments])
        assert sorted(run.data.params["mine"] for run in runs) == [str(i) for i in range(count)]
        for run in runs:
            assert run.info.status == "FINISHED"
            for name in ("a", "m7"):
                history = client.get_metric_history(run.info.run_id, name)
                assert sorted(point.step for point in history) == list(range(150))
            assert len(run.data.metrics) == 10
        assert not list((root / str(number)).glob("*.partial*"))


@pytest.mark.slow
def test_a_kill_during_creation_leaves_what_the_next_call_can_use(
    root: Path, python: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    delays = ("0.0", "0.1", "0.3")
    for delay in delays:
        (root / delay).mkdir()
    process = python(CUT_SHORT, str(root), *delays)
    said, _ = process.communicate(timeout=200)
    assert (process.returncode, said) == (0, "")
    cut_short = [delay for delay in delays if (root / delay / "mlflow.db.partial").exists()]
    assert "0.0" in cut_short
    for delay in cut_short:
        monkeypatch.setenv("DVC_ROOT", str(root / delay))
        assert not (root / delay / "mlflow.db").exists()
        store = open_store(SETTINGS)
        assert not list((root / delay).glob("*.partial*"))
        with closing(sqlite3.connect(root / delay / "mlflow.db")) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        with store.calls() as client:
            assert client.get_experiment(store.experiment_id).name == "segpipe"


@pytest.mark.slow
def test_the_run_of_a_killed_process_is_ended_by_the_next_and_a_living_one_is_not(
    root: Path, python: Start, read: Callable[[Path], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    process = python(SLEEPING)
    run_id = _last_word(process)
    client = read(root / "mlflow.db")
    _wait_for(lambda: bool(client.get_metric_history(run_id, "a")))
    process.kill()
    assert process.wait(timeout=60) == -9
    assert client.get_run(run_id).info.status == "RUNNING"
    last = max(point.timestamp for point in client.get_metric_history(run_id, "a"))
    time.sleep(0.2)
    now = time.time() * 1000

    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("MLFLOW_TRACKING_URI", "sqlite:///other.db")
        with start_run(SETTINGS, "in another store", {}, {}):
            pass
    assert len(outbox_folders(run_id)) == 1
    assert client.get_run(run_id).info.status == "RUNNING"

    with start_run(SETTINGS, "first", {}, {}) as living:
        with start_run(SETTINGS, "second", {}, {}):
            pass
        killed = client.get_run(run_id).info
        assert killed.status == "KILLED"
        # The times of files are those of the kernel's last tick.
        assert last - 10 <= killed.end_time < now - 100
        assert client.get_run(living.run_id).info.status == "RUNNING"
    assert not outbox_folders()


# What changes the environment after the run has begun, and in which thread.
WATCHED = """
import sys, threading
from pathlib import Path
from segpipe.params.schema import TrackingParams
from segpipe.tracking.run import start_run

settings = TrackingParams(system_seconds=1)
tracker = start_run(settings, "watched", {"lr": 1}, {})
def hook(event, arguments):
    if event in ("os.putenv", "os.unsetenv"):
        print("changed", event, arguments, threading.current_thread().name, flush=True)
sys.addaudithook(hook)
with tracker:
    for step in range(3):
        tracker.log_metrics({"a": step}, step)
        tracker.log_content(b"picture", f"{step}.png")
    tracker.log_files(Path(sys.argv[1]), "files")
print("ended")
"""


@pytest.mark.slow
def test_the_environment_is_not_changed_while_a_training_may_read_it(
    used: Path, python: Start, tmp_path: Path
) -> None:
    """glibc's getenv of one thread crashes where another thread changes the environment."""
    (tmp_path / "file").touch()
    said, _ = python(WATCHED, str(tmp_path / "file")).communicate(timeout=100)
    assert said.splitlines()[-1] == "ended", said
    assert "changed" not in said, said
    assert len(list(used.glob("mlartifacts/**/files/file"))) == 1, "it was sent"
