"""What was kept is sent once: by whichever process comes next, killed or not, alone or not."""

import json
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from segpipe.params.schema import TrackingParams
from segpipe.tracking import entries
from segpipe.tracking import unsent as module
from segpipe.tracking.entries import Files, Point
from segpipe.tracking.run import continue_run, start_run
from segpipe.tracking.store import Store, open_store
from segpipe.tracking.unsent import Kept, send_unsent, unsent_folder

SETTINGS = TrackingParams(system_seconds=0)
Read = Callable[[Path], Any]

# Two processes: each sends three values at a time; the first dies after the second call, the other
# after the first file. MLflow is imported once, which takes seconds.
KILLED = """
import os, signal
import mlflow, mlflow.store.tracking.sqlalchemy_store
from segpipe.params.schema import TrackingParams
from segpipe.tracking import unsent
from segpipe.tracking.run import start_run

def dying(name, most):
    real, calls = getattr(unsent, name), []
    def send(*arguments):
        real(*arguments)
        calls.append(name)
        if len(calls) == most:
            os.kill(os.getpid(), signal.SIGKILL)
    setattr(unsent, name, send)

unsent.BATCH = 3
for name, most in (("send_points", 2), ("send_files", 1)):
    child = os.fork()
    if child == 0:
        dying(name, most)
        with start_run(TrackingParams(), "killed", {}, {}, None):
            pass
        os._exit(0)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL, name
"""


def _made(used: Path) -> tuple[Store, str]:
    """A run that is over, and its store."""
    with start_run(SETTINGS, "unet", {}, {}, None) as tracker:
        tracker.log_metrics({"loss": 1.0}, 0)
    assert tracker.run_id is not None
    return open_store(SETTINGS), tracker.run_id


def _leave(run_id: str, place: Path, count: int = 10) -> None:
    """Leave values of the steps 1 to `count`, a file of ours and one that is listed."""
    (place / "model.json").write_text("{}")
    kept = Kept(run_id)
    kept.add(b"picture", "validation/step_1.png")
    points = [Point("loss", 1 / step, 1000 + step, step) for step in range(1, count + 1)]
    kept.leave(points, [Files(place / "model.json", "bundle")])


def _assert_all_there(used: Path, read: Read, run_id: str, count: int = 10) -> None:
    client = read(used / "mlflow.db")
    history = client.get_metric_history(run_id, "loss")
    assert sorted(point.step for point in history) == list(range(count + 1))
    assert {point.timestamp for point in history if point.step} == set(range(1001, 1001 + count))
    kept = used / "mlartifacts" / run_id / "artifacts"
    assert (kept / "validation" / "step_1.png").read_bytes() == b"picture"
    assert (kept / "bundle" / "model.json").read_text() == "{}"
    assert not list(unsent_folder().iterdir())


def test_the_next_stage_sends_it_and_says_so_in_one_line(
    used: Path, read: Read, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, run_id = _made(used)
    _leave(run_id, tmp_path)
    capsys.readouterr()
    with continue_run(SETTINGS, run_id, "evaluate", {}):
        pass
    said = capsys.readouterr().out
    assert said.count("\n") == 1
    assert f"10 metric values and 2 files or folders of run {run_id}" in said
    _assert_all_there(used, read, run_id)
    assert read(used / "mlflow.db").get_run(run_id).info.status == "FINISHED"


def test_killed_while_it_is_sent_nothing_is_lost_or_doubled(
    used: Path, read: Read, tmp_path: Path, python: Callable[..., subprocess.Popen[str]]
) -> None:
    _, run_id = _made(used)
    _leave(run_id, tmp_path)
    process = python(KILLED)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert len(list(unsent_folder().glob("*/entries.jsonl"))) == 1
    with start_run(SETTINGS, "next", {}, {}, None):
        pass
    _assert_all_there(used, read, run_id)


def test_two_processes_do_not_both_send_it(
    used: Path, read: Read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, run_id = _made(used)
    _leave(run_id, tmp_path)
    first_sends, second_is_done = threading.Event(), threading.Event()
    calls: list[int] = []

    def slowly(store: Store, run: str, points: list[Point]) -> None:
        calls.append(len(points))
        first_sends.set()
        assert second_is_done.wait(30)
        entries.send_points(store, run, points)

    monkeypatch.setattr(module, "send_points", slowly)
    first = threading.Thread(target=send_unsent, args=(store, "another", lambda: False))
    first.start()
    assert first_sends.wait(30)
    send_unsent(store, "another", lambda: False)
    second_is_done.set()
    first.join()
    assert calls == [10]
    _assert_all_there(used, read, run_id)


def test_a_living_process_keeps_what_it_has_not_sent_yet(
    used: Path, read: Read, tmp_path: Path
) -> None:
    store, run_id = _made(used)
    kept = Kept(run_id)
    kept.add(b"picture", "validation/step_1.png")
    send_unsent(store, "another", lambda: False)
    assert (kept.folder / "validation" / "step_1.png").exists()
    kept.leave([], [])  # all was sent
    assert not kept.folder.exists()


def test_the_pictures_of_a_killed_process_are_sent(
    used: Path, python: Callable[..., subprocess.Popen[str]]
) -> None:
    store, run_id = _made(used)
    code = """
import os, signal, sys
from segpipe.tracking.unsent import Kept
Kept(sys.argv[1]).add(b"picture", "validation/step_1.png")
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert python(code, run_id).wait(60) == -9
    send_unsent(store, "another", lambda: False)
    kept = used / "mlartifacts" / run_id / "artifacts"
    assert (kept / "validation" / "step_1.png").read_bytes() == b"picture"
    assert not list(unsent_folder().iterdir())


def test_no_call_cuts_a_row() -> None:
    """What was logged at one moment is in the store whole or not at all."""
    rows = [[Point(f"m{n}", 1.0, 5, step) for n in range(7)] for step in range(400)]
    points, calls = [point for row in rows for point in row], []
    while points:
        batch = entries.first_batch(points)
        assert 0 < len(batch) <= entries.BATCH
        points = points[len(batch) :]
        calls.append({(point.metric, point.step) for point in batch})
    assert len(calls) == 3
    for row in rows:
        assert sum({(point.metric, point.step) for point in row} <= call for call in calls) == 1
    long = [Point(f"m{n}", 1.0, 5, 1) for n in range(2500)]
    assert entries.first_batch(long) == long[: entries.BATCH]


@pytest.mark.parametrize("change", ["other content", "another file"])
def test_what_another_training_has_put_in_its_place_is_not_sent(
    used: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: str
) -> None:
    store, run_id = _made(used)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "a").write_text("1")
    kept = Kept(run_id)
    kept.leave([], [Files(tmp_path / "models", "bundle"), Files(tmp_path / "models" / "a", "x")])
    if change == "other content":
        (tmp_path / "models" / "a").write_text("2")
    else:
        (tmp_path / "models" / "b").write_text("1")
    send_unsent(store, "another", lambda: False)
    sent = used / "mlartifacts" / run_id / "artifacts"
    assert not (sent / "bundle").exists()
    assert (sent / "x").exists() == (change == "another file")
    assert "are no longer there, or not as they were" in capsys.readouterr().out
    assert not list(unsent_folder().iterdir())


def test_what_belongs_to_another_store_stays(used: Path, tmp_path: Path) -> None:
    store, _ = _made(used)
    _leave("0" * 32, tmp_path)
    send_unsent(store, "another", lambda: False)
    assert len(list(unsent_folder().glob("*/entries.jsonl"))) == 1


def test_a_value_that_the_run_has_by_now_is_not_sent_again(
    used: Path, read: Read, tmp_path: Path
) -> None:
    """A resumed training logs its missing rows again, with new times."""
    store, run_id = _made(used)
    _leave(run_id, tmp_path, count=3)
    client = read(used / "mlflow.db")
    client.log_metric(run_id, "loss", 1 / 2, timestamp=77, step=2)
    send_unsent(store, "another", lambda: False)
    history = client.get_metric_history(run_id, "loss")
    assert sorted(point.step for point in history) == [0, 1, 2, 3]
    assert {point.timestamp for point in history} > {1001, 77, 1003}


def test_damage_is_said_and_stops_nothing(
    used: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, run_id = _made(used)
    _leave(run_id, tmp_path)
    (listed,) = unsent_folder().glob("*/entries.jsonl")
    listed.write_text(json.dumps({"metric": "loss"}) + "\n{")
    capsys.readouterr()
    with start_run(SETTINGS, "next", {}, {}, None) as tracker:
        tracker.log_metrics({"loss": 1.0}, 1)
    said = capsys.readouterr().out
    assert str(listed) in said
    assert listed.exists()
