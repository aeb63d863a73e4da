"""A server that goes away while a run is written costs nothing but time: a few seconds."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from segpipe.params.schema import TrackingParams
from segpipe.runtime.errors import TrackingError
from segpipe.tracking.outbox import Outbox, outbox_folders
from segpipe.tracking.run import start_run, training_run
from segpipe.tracking.tracker import _PATIENCE

SETTINGS = TrackingParams(system_seconds=0)
Until = Callable[[Callable[[], bool]], None]


@pytest.fixture
def address(root: Path, server: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    address: str = server.start()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address.replace("//", "//ann:s3cret@"))
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_JITTER", "0")
    return address


def _steps(server: Any, metric: str = "loss") -> list[int]:
    return [int(point.get("step", 0)) for point in server.points if point["key"] == metric]


def test_a_run_on_a_server(
    server: Any, address: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "model.json").write_text("{}")
    with start_run(SETTINGS, "unet", {"a": 1}, {}) as tracker:
        tracker.log_metrics({"loss": 0.5}, 1)
        tracker.log_files(tmp_path / "model.json", "bundle")
    assert server.run["status"] == "FINISHED"
    assert _steps(server) == [1]
    assert server.files == {f"7/{server.run_id}/artifacts/bundle/model.json": b"{}"}
    assert server.authorizations == {"Basic YW5uOnMzY3JldA=="}
    assert capfd.readouterr() == (f"MLflow: run {server.run_id} in {address}\n", "")


def test_what_was_logged_while_it_was_away_is_sent_when_it_is_back(
    server: Any, address: str, tmp_path: Path, capfd: pytest.CaptureFixture[str], until: Until
) -> None:
    (tmp_path / "model.json").write_text("{}")
    with start_run(SETTINGS, "unet", {}, {}) as tracker:
        tracker.log_metrics({"loss": 0.9}, 1)
        until(lambda: _steps(server) == [1])
        server.stop()
        capfd.readouterr()
        said = ""
        for step in (2, 3):
            tracker.log_metrics({"loss": 0.9 / step}, step)
        tracker.log_files(tmp_path / "model.json", "bundle")
        tracker.log_content(b"picture", "validation/step_1.png")
        while "\n" not in said:
            said += capfd.readouterr().out
        assert said.count("warning: MLflow") == said.count("\n") == 1
        assert f"({address}): nothing answers there (connection refused)" in said
        assert _steps(server) == [1]
        assert tracker.unsent() == (2, 2)
        before = time.time() * 1000
        time.sleep(0.01)
        server.start()  # nothing more is logged: it is tried again by itself
        until(lambda: len(server.files) == 2)
        tracker.log_metrics({"loss": 0.1}, 4)
        until(lambda: _steps(server) == [1, 2, 3, 4])
        assert float(server.points[2]["timestamp"]) < before < float(server.points[3]["timestamp"])
        assert sorted(server.files.values()) == [b"picture", b"{}"]
        said = capfd.readouterr()
        assert "answers again" in said.out
        assert said.err == ""
    assert server.run["status"] == "FINISHED"
    assert not outbox_folders()


def test_what_never_got_through_is_kept_and_the_error_of_the_work_too(
    root: Path, server: Any, address: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "model.json").write_text("{}")
    began = time.perf_counter()
    with (
        pytest.raises(ValueError, match="the work"),
        start_run(SETTINGS, "unet", {}, {}) as run,
    ):
        server.stop()
        run.log_metrics({"loss": 0.5, "miou": 0.25}, 3)
        run.log_files(tmp_path / "bundle", "bundle")
        run.log_files(tmp_path / "gone.txt", "other")
        run.log_content(b"picture", "validation/deep/step_3.png")
        raise ValueError("the work")
    assert time.perf_counter() - began < 40
    (kept,) = outbox_folders()
    said = capfd.readouterr()
    assert "warning: other/gone.txt is not kept in MLflow" in said.out
    assert (
        f"2 metric values and 2 files of run {server.run_id}; they are kept in {kept}" in said.out
    )
    assert "s3cret" not in said.out + said.err

    # The run is still RUNNING there; the next process to reach the store ends it, and sends it all.
    assert server.run["status"] == "RUNNING"
    server.start()
    ended: list[tuple[str, str]] = []
    answer = server.answer

    def watched(method: str, path: str, headers: Any, content: bytes) -> Any:
        if path.endswith("runs/update"):
            update = json.loads(content)
            ended.append((update["run_id"], update["status"]))
        return answer(method, path, headers, content)

    server.answer = watched
    (tmp_path / "bundle" / "model.json").unlink()  # another training has taken the folder
    first = server.run_id
    with start_run(SETTINGS, "unet", {}, {}) as run:
        pass
    assert sorted(ended) == sorted([(run.run_id, "FINISHED"), (first, "FAILED")])
    assert _steps(server) == _steps(server, "miou") == [3]
    assert server.files == {
        f"7/{first}/artifacts/bundle/model.json": b"{}",
        f"7/{first}/artifacts/validation/deep/step_3.png": b"picture",
    }
    assert f"2 metric values and 2 files of run {first}, which an" in capfd.readouterr().out
    assert not outbox_folders()
    stored = b"".join(path.read_bytes() for path in root.rglob("*") if path.is_file())
    assert b"s3cret" not in stored


def test_a_file_that_cannot_be_sent_holds_back_nothing_else(
    server: Any, address: str, tmp_path: Path
) -> None:
    answer = server.answer

    def refusing(method: str, path: str, headers: Any, content: bytes) -> Any:
        return (413, "") if path.endswith("1.txt") else answer(method, path, headers, content)

    server.answer = refusing
    with start_run(SETTINGS, "unet", {}, {}) as tracker:
        tracker.log_content(b"too large", "a/1.txt")
        tracker.log_content(b"small", "a/2.txt")
        tracker.log_metrics({"loss": 1.0}, 1)
    assert list(server.files) == [f"7/{server.run_id}/artifacts/a/2.txt"]
    assert _steps(server) == [1]
    assert server.run["status"] == "FINISHED"
    (kept,) = outbox_folders()
    assert (kept / "a" / "1.txt").read_bytes() == b"too large"


def test_a_server_that_hangs_costs_no_time_and_seconds_at_an_end_from_outside(
    server: Any, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(_PATIENCE, "KILLED", 1.0)
    hurried = False
    tracker = start_run(SETTINGS, "unet", {}, {}, hurried=lambda: hurried)
    server.delay = 100.0
    began = time.perf_counter()
    for step in range(100):
        tracker.log_metrics({"loss": 1.0}, step)
        tracker.log_content(b"picture", f"validation/{step}.png")
    assert time.perf_counter() - began < 1.0
    hurried = True
    began = time.perf_counter()
    tracker.finish("FINISHED")
    assert time.perf_counter() - began < 3.0
    (kept,) = outbox_folders()
    assert len(Outbox(kept).rows) == len(list((kept / "validation").iterdir())) == 100


def test_what_a_later_stage_could_not_send_is_sent_by_the_one_after_it(
    server: Any, address: str, tmp_path: Path
) -> None:
    with start_run(SETTINGS, "unet", {}, {}) as tracker:
        pass
    named = tmp_path / "mlflow.json"
    named.write_text(json.dumps({"run_id": tracker.run_id}))
    with training_run(SETTINGS, named) as evaluation:
        server.stop()
        evaluation.log_metrics({"val_miou": 0.8}, None)
        evaluation.log_content(b"1", "evaluation/classes.csv")
    assert not server.points
    server.start()
    with training_run(SETTINGS, named) as again:
        again.log_metrics({"val_miou": 0.8}, None)  # of another evaluation, so it counts
    assert _steps(server, "val_miou") == [0, 0]
    assert list(server.files.values()) == [b"1"]
    assert not outbox_folders()


def test_a_server_that_fails_between_finding_it_and_starting_the_run(
    server: Any, address: str
) -> None:
    answer = server.answer

    def failing(method: str, path: str, headers: Any, content: bytes) -> Any:
        if path.endswith("runs/create"):
            return 500, "ann:s3cret"
        return answer(method, path, headers, content)

    server.answer = failing
    with pytest.raises(
        TrackingError, match="could not be started: it answers with error 500"
    ) as caught:
        start_run(SETTINGS, "unet", {}, {})
    assert "s3cret" not in str(caught.value)


@pytest.mark.slow
def test_a_real_server_is_restarted_in_the_middle(
    root: Path, tmp_path: Path, read: Callable[[Path], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    database = tmp_path / "server.db"
    process, port = _real_server(database, 0)
    try:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
        with start_run(SETTINGS, "unet", {"a": 1}, {"t": "x" * 9000}) as tracker:
            tracker.log_metrics({"loss": 0.5, "iou_a (b)": 0.1}, 1)
            _end(process)
            tracker.log_metrics({"loss": 0.4}, 2)
            process, _ = _real_server(database, port)
            tracker.log_metrics({"loss": 0.3}, 3)
            (tmp_path / "model.json").write_text("{}")
            tracker.log_files(tmp_path / "model.json", "bundle")
        with start_run(SETTINGS, "unet", {"a": 2}, {}, tracker.run_id) as resumed:
            assert resumed.run_id == tracker.run_id
        with start_run(SETTINGS, "unet", {}, {}, "0" * 32) as other:
            assert other.run_id != "0" * 32
    finally:
        _end(process)
    client = read(database)
    run = client.get_run(tracker.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params == {"a": "1"}
    history = client.get_metric_history(tracker.run_id, "loss")
    assert [(point.step, point.value) for point in history] == [(1, 0.5), (2, 0.4), (3, 0.3)]
    assert list((tmp_path / "artifacts").rglob("bundle/model.json"))


def _real_server(database: Path, port: int) -> tuple[subprocess.Popen[bytes], int]:
    if not port:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
    program = Path(sys.executable).with_name("mlflow")
    process = subprocess.Popen(
        [
            program, "server", "--workers", "1", "--port", str(port),
            "--backend-store-uri", f"sqlite:///{database}",
            "--artifacts-destination", str(database.parent / "artifacts"),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
    )  # fmt: skip
    for _ in range(3000):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1):
                return process, port
        except OSError:
            time.sleep(0.1)
    raise AssertionError("the server did not start")


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
