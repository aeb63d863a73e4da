"""What was not sent is sent once: by whichever process comes next, killed or not, alone or not.

Covers segpipe/tracking/outbox.py as well, whose folders are sent.
"""

import json
import os
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from segpipe.params.schema import TrackingParams
from segpipe.tracking import synchronise
from segpipe.tracking.outbox import Outbox, Row, outbox_folders
from segpipe.tracking.run import start_run, training_run
from segpipe.tracking.store import Store, open_store
from segpipe.tracking.synchronise import BATCH, send_abandoned, send_missing_rows

SETTINGS = TrackingParams(system_seconds=0)
Read = Callable[[Path], Any]
Start = Callable[..., subprocess.Popen[str]]

# Two processes: each sends three values at a time; the first dies after the second call, the other
# after the first file. MLflow is imported once, which takes seconds.
KILLED = """
import os, signal
import mlflow, mlflow.store.tracking.sqlalchemy_store
from segpipe.params.schema import TrackingParams
from segpipe.tracking import synchronise
from segpipe.tracking.run import start_run

def dying(owner, name, most):
    real, calls = getattr(owner, name), []
    def send(*arguments):
        real(*arguments)
        calls.append(name)
        if len(calls) == most:
            os.kill(os.getpid(), signal.SIGKILL)
    setattr(owner, name, send)

synchronise.BATCH = 3
for owner, name, most in ((synchronise, "send_rows", 2), (mlflow.MlflowClient, "log_artifact", 1)):
    child = os.fork()
    if child == 0:
        dying(owner, name, most)
        with start_run(TrackingParams(), "killed", {}, {}):
            pass
        os._exit(0)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL, name
"""

# A process that dies before anything of what it was told is sent.
UNHEARD = """
import os, signal, sys
from segpipe.tracking.outbox import Outbox, Row
outbox = Outbox.create(sys.argv[1])
outbox.log_row(Row({"loss": 0.25}, 1004, 4))
outbox.log_content(b"picture", "validation/step_4.png")
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def run_id(used: Path) -> str:
    """A run that is over."""
    with start_run(SETTINGS, "unet", {}, {}) as tracker:
        tracker.log_metrics({"loss": 1.0}, 0)
    assert tracker.run_id is not None
    return tracker.run_id


@pytest.fixture
def store(run_id: str) -> Store:
    return open_store(SETTINGS)


def _leave(run_id: str, place: Path, count: int = 10) -> Path:
    """Leave values of the steps 1 to `count` and two files; return the folder."""
    (place / "model.json").write_text("{}")
    outbox = Outbox.create(run_id)
    for step in range(1, count + 1):
        outbox.log_row(Row({"loss": 1 / step}, 1000 + step, step))
    outbox.log_content(b"picture", "validation/step_1.png")
    outbox.log_files(place / "model.json", "bundle")
    outbox.release()
    return outbox.folder


def _artifacts(used: Path, run_id: str) -> dict[str, bytes]:
    kept = used / "mlartifacts" / run_id / "artifacts"
    files = [path for path in kept.rglob("*") if path.is_file()]
    return {path.relative_to(kept).as_posix(): path.read_bytes() for path in files}


def _assert_all_there(used: Path, read: Read, run_id: str, count: int = 10) -> None:
    history = read(used / "mlflow.db").get_metric_history(run_id, "loss")
    assert sorted(point.step for point in history) == list(range(count + 1))
    assert {point.timestamp for point in history if point.step} == set(range(1001, 1001 + count))
    assert _artifacts(used, run_id) == {
        "validation/step_1.png": b"picture",
        "bundle/model.json": b"{}",
    }
    assert not outbox_folders()


def _never() -> bool:
    return False


def test_the_next_stage_sends_it_and_says_so_in_one_line(
    used: Path, read: Read, tmp_path: Path, run_id: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _leave(run_id, tmp_path)
    (tmp_path / "mlflow.json").write_text(json.dumps({"run_id": run_id}))
    capsys.readouterr()
    with training_run(SETTINGS, tmp_path / "mlflow.json"):
        pass
    said = capsys.readouterr().out
    assert said.count("\n") == 1
    assert f"10 metric values and 2 files of run {run_id}, which an earlier process" in said
    _assert_all_there(used, read, run_id)
    assert read(used / "mlflow.db").get_run(run_id).info.status == "FINISHED"


@pytest.mark.slow
def test_killed_while_it_is_sent_nothing_is_lost_or_doubled(
    used: Path, read: Read, tmp_path: Path, run_id: str, python: Start
) -> None:
    left = _leave(run_id, tmp_path)
    process = python(KILLED)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert left.exists()
    with start_run(SETTINGS, "next", {}, {}):
        pass
    _assert_all_there(used, read, run_id)


def test_what_a_killed_process_was_told_is_sent(
    used: Path, read: Read, run_id: str, store: Store, python: Start
) -> None:
    assert python(UNHEARD, run_id).wait(60) == -9
    send_abandoned(store, _never)
    history = read(used / "mlflow.db").get_metric_history(run_id, "loss")
    assert (4, 0.25, 1004) in [(point.step, point.value, point.timestamp) for point in history]
    assert _artifacts(used, run_id) == {"validation/step_4.png": b"picture"}
    assert not outbox_folders()


def test_two_processes_do_not_both_send_it(
    used: Path,
    read: Read,
    tmp_path: Path,
    run_id: str,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _leave(run_id, tmp_path)
    first_sends, second_is_done = threading.Event(), threading.Event()
    calls: list[int] = []
    really = synchronise.send_rows

    def slowly(store: Store, run: str, rows: list[Row]) -> None:
        calls.append(len(rows))
        first_sends.set()
        assert second_is_done.wait(30)
        really(store, run, rows)

    monkeypatch.setattr(synchronise, "send_rows", slowly)
    first = threading.Thread(target=send_abandoned, args=(store, _never))
    first.start()
    assert first_sends.wait(30)
    send_abandoned(store, _never)
    second_is_done.set()
    first.join()
    assert calls == [10]
    _assert_all_there(used, read, run_id)


def test_a_living_process_keeps_its_folder_and_its_run(
    used: Path, read: Read, tmp_path: Path, run_id: str, store: Store
) -> None:
    """Also where it goes on with the run of one that was killed, whose folder is still there."""
    outbox = Outbox.create(run_id)
    outbox.log_content(b"picture", "validation/step_1.png")
    _leave(run_id, tmp_path)
    client = read(used / "mlflow.db")
    client.update_run(run_id, status="RUNNING")
    send_abandoned(store, _never)
    assert outbox_folders() == [outbox.folder]
    assert len(outbox.files()) == 1
    assert client.get_run(run_id).info.status == "RUNNING"
    outbox.release()
    send_abandoned(store, _never)
    assert client.get_run(run_id).info.status == "KILLED"


def test_a_call_has_whole_rows(
    used: Path, run_id: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was logged at one moment is in the store whole or not at all."""
    calls: list[list[Row]] = []
    monkeypatch.setattr(synchronise, "send_rows", lambda _store, _run, rows: calls.append(rows))
    rows = [Row({f"m{n}": 1.0 for n in range(7)}, 5, step) for step in range(400)]
    outbox = Outbox.create(run_id)
    for row in rows:
        outbox.log_row(row)
    assert send_missing_rows(store, outbox) == 2800
    assert [row for call in calls for row in call] == rows
    assert len(calls) == 3
    assert all(sum(len(row.values) for row in call) <= BATCH for call in calls)
    assert not outbox.rows


@pytest.mark.parametrize("links", [True, False])
def test_a_file_is_sent_as_it_was_whatever_takes_its_place(
    used: Path,
    tmp_path: Path,
    run_id: str,
    store: Store,
    links: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not links:  # another file system
        monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(OSError))
    models = tmp_path / "models"
    (models / "deep").mkdir(parents=True)
    for name in ("a", "deep/b"):
        (models / name).write_text("1")
    outbox = Outbox.create(run_id)
    for _ in range(2):  # logged again, it takes its own place
        outbox.log_files(models, "bundle")
    assert (models / "a").stat().st_nlink == (2 if links else 1)
    outbox.release()
    models.rename(tmp_path / "old")
    models.mkdir()
    (models / "a").write_text("2")
    send_abandoned(store, _never)
    assert _artifacts(used, run_id) == {"bundle/a": b"1", "bundle/deep/b": b"1"}
    assert (tmp_path / "old" / "a").read_text() == "1"


def test_what_belongs_to_another_store_stays(used: Path, tmp_path: Path, store: Store) -> None:
    left = _leave("0" * 32, tmp_path)
    send_abandoned(store, _never)
    assert outbox_folders() == [left]


def test_a_value_that_the_run_has_by_now_is_not_sent_again(
    used: Path, read: Read, tmp_path: Path, run_id: str, store: Store
) -> None:
    """A resumed training may have made its rows again, with new times."""
    _leave(run_id, tmp_path, count=3)
    client = read(used / "mlflow.db")
    client.log_metric(run_id, "loss", 1 / 2, timestamp=77, step=2)
    send_abandoned(store, _never)
    history = client.get_metric_history(run_id, "loss")
    assert sorted(point.step for point in history) == [0, 1, 2, 3]
    assert {point.timestamp for point in history} > {1001, 77, 1003}


def test_what_the_store_refuses_of_one_run_holds_back_no_other(
    used: Path,
    read: Read,
    tmp_path: Path,
    run_id: str,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with store.calls() as client:
        other = client.create_run(store.experiment_id).info.run_id
    left = {each: _leave(each, tmp_path) for each in (run_id, other)}
    really, refused = synchronise.send_rows, min(left)

    def refusing(store: Store, run: str, rows: list[Row]) -> None:
        if run == refused:
            raise ValueError("no room")
        really(store, run, rows)

    capsys.readouterr()
    with monkeypatch.context() as patch:
        patch.setattr(synchronise, "send_rows", refusing)
        send_abandoned(store, _never)
    assert outbox_folders() == [left[refused]]
    assert f"no room; what earlier processes left in {left[refused].parent} stays" in (
        capsys.readouterr().out
    )
    send_abandoned(store, _never)
    assert not outbox_folders()
    assert read(used / "mlflow.db").get_run(other).info.status == "KILLED"


def test_a_damaged_line_is_said_and_stops_nothing(
    used: Path, read: Read, tmp_path: Path, run_id: str, capsys: pytest.CaptureFixture[str]
) -> None:
    entries = _leave(run_id, tmp_path) / "entries.jsonl"
    with entries.open("a") as file:
        file.write('{"values": 1}\n{')
    with start_run(SETTINGS, "next", {}, {}):
        pass
    assert f"{entries}: 2 lines cannot be read" in capsys.readouterr().out
    _assert_all_there(used, read, run_id)


def test_a_disk_that_refuses_does_not_silence_a_run(
    used: Path, read: Read, capsys: pytest.CaptureFixture[str]
) -> None:
    with start_run(SETTINGS, "unet", {}, {}) as tracker:
        (folder,) = outbox_folders()
        (folder / "entries.jsonl").unlink()
        (folder / "entries.jsonl").mkdir()
        tracker.log_metrics({"loss": 0.5}, 1)
    assert "entries.jsonl: cannot be written" in capsys.readouterr().out
    history = read(used / "mlflow.db").get_metric_history(tracker.run_id, "loss")
    assert [point.step for point in history] == [1]


def test_a_folder_of_the_first_form_is_sent(
    used: Path, read: Read, run_id: str, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a line for each value, and others for files, which that form did not keep."""
    folder = used / ".segpipe" / "unsent" / f"{run_id}-0123abcd"
    (folder / "validation").mkdir(parents=True)
    (folder / "lock").touch()
    (folder / "validation" / "step_1.png").write_bytes(b"picture")
    lines = [{"metric": "loss", "value": 0.5, "timestamp": 1002, "step": 2}]
    lines += [{"metric": "miou", "value": 0.5, "timestamp": 1003, "step": 0}]
    lines += [{"path": "models", "under": "bundle", "digest": "0"}]
    (folder / "entries.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    send_abandoned(store, _never)
    client = read(used / "mlflow.db")
    history = client.get_metric_history(run_id, "loss")
    assert sorted((point.step, point.value) for point in history) == [(0, 1.0), (2, 0.5)]
    assert [point.timestamp for point in client.get_metric_history(run_id, "miou")] == [1003]
    assert _artifacts(used, run_id) == {"validation/step_1.png": b"picture"}
    assert "entries.jsonl: 1 lines cannot be read" in capsys.readouterr().out
