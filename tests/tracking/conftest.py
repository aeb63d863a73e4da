"""A repository root of its own for every test, and a small stand-in for an MLflow server."""

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import threading
import time
import uuid
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from segpipe.params.schema import TrackingParams
from segpipe.tracking.store import open_store

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The main repository, named by DVC_ROOT; the current folder is another one."""
    for name in [name for name in os.environ if name.startswith(("MLFLOW_", "DVC_"))]:
        monkeypatch.delenv(name)
    for name in ("repository", "workspace"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "repository"))
    monkeypatch.chdir(tmp_path / "workspace")
    return tmp_path / "repository"


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new database, which takes a second to make."""
    place = tmp_path_factory.mktemp("template")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DVC_ROOT", str(place))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        open_store(TrackingParams())
    return place / "mlflow.db"


@pytest.fixture
def used(root: Path, made_once: Path) -> Path:
    """A root that has a database already: a copy, told where it is."""
    with (
        closing(sqlite3.connect(made_once)) as source,
        closing(sqlite3.connect(root / "mlflow.db")) as copy,
    ):
        source.backup(copy)
        copy.execute("UPDATE experiments SET artifact_location = ?", [str(root / "mlartifacts")])
        copy.commit()
    return root


@pytest.fixture
def read() -> Callable[[Path], Any]:
    """A client of a database that owes nothing to segpipe."""

    def client(database: Path) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from mlflow import MlflowClient

            return MlflowClient(f"sqlite:///{database}")

    return client


@pytest.fixture
def python(root: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts Python processes that import this checkout's segpipe."""
    started: list[subprocess.Popen[str]] = []

    def start(code: str, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            env={**os.environ, "PYTHONPATH": str(REPOSITORY), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def until() -> Callable[[Callable[[], bool]], None]:
    """Waits for what another thread does."""

    def wait(is_so: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 30
        while not is_so():
            assert time.monotonic() < deadline
            time.sleep(0.01)

    return wait


class Server:
    """Speaks as much of MLflow's protocol as a run needs. status: answers all calls with it."""

    def __init__(self) -> None:
        self.status = 200
        self.body = "{}"
        self.headers: dict[str, str] = {}
        self.requests: list[tuple[str, str]] = []
        self.authorizations: set[str | None] = set()
        # Seconds before an answer. A server that hangs answers after any patience.
        self.delay = 0.0
        self.points: list[dict[str, Any]] = []
        self.files: dict[str, bytes] = {}
        self.runs: dict[str, dict[str, Any]] = {}
        self.run_id = ""  # of the last one that was made
        self._server: ThreadingHTTPServer | None = None
        self._released = threading.Event()
        self.port = 0

    @property
    def run(self) -> dict[str, Any]:
        return self.runs[self.run_id]

    def start(self) -> str:
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                status, text = owner.answer(
                    self.command, self.path, self.headers, self.rfile.read(length)
                )
                self.send_response(status)
                for name, value in owner.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(text.encode())))
                with contextlib.suppress(OSError):  # who asked may have gone
                    self.end_headers()
                    self.wfile.write(text.encode())

            do_GET = do_POST = do_PUT = do_PATCH = _answer

            def log_message(self, *_: object) -> None:
                pass

        self._released.clear()
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        self._released.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def answer(self, method: str, path: str, headers: Any, content: bytes) -> tuple[int, str]:
        self.requests.append((method, path))
        self.authorizations.add(headers.get("Authorization"))
        self._released.wait(self.delay)
        if self.status != 200:
            return self.status, self.body
        call = path.partition("?")[0].removeprefix("/api/2.0/")
        if call.startswith("mlflow-artifacts/artifacts/"):
            self.files[call.removeprefix("mlflow-artifacts/artifacts/")] = content
            return 200, "{}"
        sent, asked = json.loads(content or "{}"), parse_qs(path.partition("?")[2])
        match call.removeprefix("mlflow/"):
            case "experiments/get-by-name":
                return 404, '{"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "none"}'
            case "experiments/create":
                return 200, '{"experiment_id": "7"}'
            case "runs/create":
                # Never used twice: MLflow remembers where the files of a run go.
                self.run_id = uuid.uuid4().hex
                self.runs[self.run_id] = {
                    "run_id": self.run_id,
                    "run_uuid": self.run_id,
                    "experiment_id": "7",
                    "status": "RUNNING",
                    "start_time": 1,
                    "artifact_uri": f"mlflow-artifacts:/7/{self.run_id}/artifacts",
                    "lifecycle_stage": "active",
                }
                return 200, json.dumps({"run": {"info": self.run, "data": {}}})
            case "runs/get":
                run = self.runs[asked["run_id"][0]]
                return 200, json.dumps({"run": {"info": run, "data": {}}})
            case "runs/log-batch":
                self.points += [
                    {**point, "run": sent["run_id"]} for point in sent.get("metrics", [])
                ]
                return 200, "{}"
            case "metrics/get-history":
                run_id, key = asked["run_id"][0], asked["metric_key"][0]
                found = [
                    each for each in self.points if (each["run"], each["key"]) == (run_id, key)
                ]
                return 200, json.dumps({"metrics": found})
            case "runs/update":
                self.runs[sent["run_id"]] |= sent
                return 200, json.dumps({"run_info": self.run})
        return 404, "no such page"


@pytest.fixture
def server() -> Iterator[Server]:
    """A stand-in server, not started yet."""
    made = Server()
    yield made
    made.stop()
