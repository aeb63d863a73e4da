"""Which store is used, what it is when it is new, and what is said when it cannot be used.

Covers segpipe/tracking/local_store.py and calls.py as well.
"""

import contextlib
import json
import logging
import os
import shutil
import sqlite3
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from segpipe.params.schema import TrackingParams
from segpipe.runtime.errors import TrackingError
from segpipe.tracking.store import open_store

SETTINGS = TrackingParams()
LOCAL = TrackingParams(unreachable="local")


def _journal(path: Path) -> str:
    connection = sqlite3.connect(path)
    try:
        return str(connection.execute("PRAGMA journal_mode").fetchone()[0])
    finally:
        connection.close()


def test_a_new_store_lies_in_the_main_repository_and_is_quiet(
    root: Path, read: Callable[[Path], Any], capfd: pytest.CaptureFixture[str]
) -> None:
    store = open_store(SETTINGS)
    assert (store.address, capfd.readouterr()) == (str(root / "mlflow.db"), ("", ""))
    assert sorted(path.name for path in root.iterdir() if "-" not in path.name) == [
        "mlflow.db",
        "mlflow.db.lock",
    ]
    assert list(Path.cwd().iterdir()) == []
    experiment = read(root / "mlflow.db").get_experiment_by_name("segpipe")
    assert experiment.experiment_id == store.experiment_id
    assert experiment.artifact_location == str(root / "mlartifacts")


def test_a_new_store_has_a_write_ahead_log_and_opens_again(root: Path) -> None:
    first = open_store(SETTINGS)
    assert _journal(root / "mlflow.db") == "wal"
    assert open_store(SETTINGS).experiment_id == first.experiment_id


@pytest.mark.slow
def test_without_dvc_the_root_is_where_dvc_was_initialised(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / ".dvc").mkdir()
    (root / "deep" / "er").mkdir(parents=True)
    monkeypatch.delenv("DVC_ROOT")
    monkeypatch.chdir(root / "deep" / "er")
    assert open_store(SETTINGS).address == str(root / "mlflow.db")


@pytest.mark.slow
def test_a_folder_of_any_name_will_do(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = root / "a b#c%20d?e ü"
    odd.mkdir()
    monkeypatch.setenv("DVC_ROOT", str(odd))
    store = open_store(SETTINGS)
    assert (odd / "mlflow.db").is_file()
    with store.calls() as client:
        assert client.get_experiment(store.experiment_id).name == "segpipe"


@pytest.mark.slow
def test_a_database_that_the_user_names_is_made_as_safely(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///shared/runs.db")
    store = open_store(SETTINGS)
    assert store.address == str(root / "shared" / "runs.db")
    assert _journal(root / "shared" / "runs.db") == "wal"
    with store.calls() as client:
        location = client.get_experiment(store.experiment_id).artifact_location
    assert location == str(root / "shared" / "mlartifacts")
    assert not (root / "mlflow.db").exists()


@pytest.mark.slow
def test_a_journal_left_by_a_deleted_database_is_not_played_into_the_new_one(root: Path) -> None:
    """Otherwise SQLite takes the pages of the old file for changes of the new one."""
    with sqlite3.connect(root / "mlflow.db") as old:
        old.execute("PRAGMA journal_mode=WAL")
        old.execute("CREATE TABLE other (x)")
        old.commit()
        shutil.copy(root / "mlflow.db-wal", root / "kept")
    old.close()
    (root / "mlflow.db").unlink()
    shutil.move(root / "kept", root / "mlflow.db-wal")
    open_store(SETTINGS)
    with contextlib.closing(sqlite3.connect(root / "mlflow.db")) as new:
        assert new.execute("SELECT * FROM sqlite_master WHERE name = 'other'").fetchall() == []
        assert new.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.parametrize(
    ("content", "cause"),
    [(b"", "is empty"), (b"no database at all" * 100, "file is not a database")],
)
def test_a_broken_database_is_named(root: Path, content: bytes, cause: str) -> None:
    (root / "mlflow.db").write_bytes(content)
    for settings in (SETTINGS, LOCAL):
        with pytest.raises(TrackingError, match=f"mlflow.db: .*{cause}"):
            open_store(settings)
    assert (root / "mlflow.db").read_bytes() == content


def test_a_damaged_database_is_named(used: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = (used / "mlflow.db").read_bytes()
    # Page 1, with the list of tables, stays; what the tables hold is gone.
    damaged = used / "other" / "mlflow.db"
    damaged.parent.mkdir()
    damaged.write_bytes(whole[:8192] + b"\xff" * (len(whole) - 8192))
    monkeypatch.setenv("DVC_ROOT", str(damaged.parent))
    with pytest.raises(TrackingError, match=r"mlflow\.db: cannot be"):
        open_store(SETTINGS)


def test_a_foreign_database_is_left_alone(root: Path) -> None:
    connection = sqlite3.connect(root / "mlflow.db")
    connection.execute("CREATE TABLE addresses (name TEXT)")
    connection.commit()
    connection.close()
    before = (root / "mlflow.db").read_bytes()
    with pytest.raises(TrackingError, match="something else than MLflow"):
        open_store(SETTINGS)
    assert (root / "mlflow.db").read_bytes() == before


def _copied(database: Path, monkeypatch: pytest.MonkeyPatch, change: str) -> Path:
    """A copy with a change, as the database of another root: MLflow remembers those it has opened."""
    copy = database.parent / "other" / database.name
    copy.parent.mkdir()
    with (
        contextlib.closing(sqlite3.connect(database)) as source,
        contextlib.closing(sqlite3.connect(copy)) as target,
    ):
        source.backup(target)
        target.execute(change)
        target.commit()
    monkeypatch.setenv("DVC_ROOT", str(copy.parent))
    return copy


def test_a_database_of_a_newer_mlflow_is_named_with_the_repair(
    used: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change = "UPDATE alembic_version SET version_num = 'ffffffffffff'"
    copy = _copied(used / "mlflow.db", monkeypatch, change)
    with pytest.raises(
        TrackingError, match=r"another version of MLflow.*mlflow db upgrade"
    ) as caught:
        open_store(SETTINGS)
    assert f"sqlite:///{copy}" in str(caught.value)


def test_a_database_without_the_log_gets_it(used: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `mlflow ui` makes it when it is started first."""
    copy = _copied(used / "mlflow.db", monkeypatch, "PRAGMA journal_mode=DELETE")
    assert _journal(copy) == "delete"
    open_store(SETTINGS)
    assert _journal(copy) == "wal"


def test_a_place_where_nothing_can_be_written_is_named(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "file").write_text("")
    monkeypatch.setenv("DVC_ROOT", str(root / "file"))
    with pytest.raises(TrackingError, match=r"file/mlflow.db: cannot be used"):
        open_store(SETTINGS)


def test_a_deleted_experiment_is_named_with_the_repair(used: Path) -> None:
    store = open_store(SETTINGS)
    with store.calls() as client:
        client.delete_experiment(store.experiment_id)
    with pytest.raises(TrackingError, match=r"tracking.experiment: 'segpipe' was deleted"):
        open_store(SETTINGS)
    assert open_store(TrackingParams(experiment="other")).experiment_id != store.experiment_id


def test_a_server_that_is_not_there_stops_the_start_quickly(
    root: Path, server: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    address = server.start()
    server.stop()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    began = time.perf_counter()
    with pytest.raises(TrackingError) as caught:
        open_store(SETTINGS)
    assert time.perf_counter() - began < 40
    text = str(caught.value)
    assert f"MLFLOW_TRACKING_URI: {address} cannot be used" in text
    assert "connection refused" in text
    for repair in ("unset MLFLOW_TRACKING_URI", "unreachable: local", "enabled: false"):
        assert repair in text
    assert capfd.readouterr() == ("", "")
    assert not (root / "mlflow.db").exists()


def test_a_server_that_is_not_there_gives_a_warning_and_the_local_store(
    root: Path, server: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    address = server.start()
    server.stop()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    store = open_store(LOCAL)
    assert store.address == str(root / "mlflow.db")
    said = capfd.readouterr()
    assert said.err == ""
    assert said.out.startswith(f"warning: MLFLOW_TRACKING_URI: {address} cannot be used: nothing")
    assert said.out.count("\n") == 1
    assert str(root / "mlflow.db") in said.out


@pytest.mark.parametrize(
    ("status", "body", "cause"),
    [
        (503, "<html>busy</html>", r"error 503"),
        (401, "You are not authenticated", r"refuses the user name or password \(401\)"),
        (403, '{"error_code": "PERMISSION_DENIED", "message": "no"}', r"\(403\)"),
        (404, "<html>nothing here</html>", r"error 404; is this an MLflow server"),
        (200, "<html>a web page</html>", r"no MLflow server"),
    ],
)
def test_a_server_that_refuses_is_named_with_the_cause(
    root: Path, server: Any, monkeypatch: pytest.MonkeyPatch, status: int, body: str, cause: str
) -> None:
    server.status, server.body = status, body
    server.headers = {"Retry-After": "60"}
    if status == 200:
        monkeypatch.setattr(server, "answer", lambda *_: (200, body))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.start())
    began = time.perf_counter()
    with pytest.raises(TrackingError, match=cause):
        open_store(SETTINGS)
    assert time.perf_counter() - began < 40


@pytest.mark.parametrize(
    ("address", "cause"),
    [
        ("file:./mlruns", "no runs in folders any more"),
        ("http://[broken", "cannot be used: "),
        ("http://ann:s3/cret@127.0.0.1:1", r"Invalid url: http://\*\*\*@127"),
    ],
)
def test_an_address_that_cannot_be_used_is_named_with_the_cause(
    root: Path, monkeypatch: pytest.MonkeyPatch, address: str, cause: str
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    with pytest.raises(TrackingError, match=cause) as caught:
        open_store(SETTINGS)
    assert "cret" not in str(caught.value)


def test_the_patience_that_the_user_set_is_kept(
    root: Path, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.status, server.body = 503, ""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.start())
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_JITTER", "0")
    with pytest.raises(TrackingError):
        open_store(SETTINGS)
    assert len(server.requests) == 2
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "4")
    server.requests.clear()
    with pytest.raises(TrackingError):
        open_store(SETTINGS)
    assert len(server.requests) == 5


def test_an_experiment_that_another_process_creates_meanwhile_is_used(
    root: Path, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = {"experiment_id": "9", "name": "segpipe", "lifecycle_stage": "active"}
    answers = {
        "get-by-name": [
            (404, {"error_code": "RESOURCE_DOES_NOT_EXIST"}),
            (200, {"experiment": experiment}),
        ],
        "create": [(400, {"error_code": "RESOURCE_ALREADY_EXISTS", "message": "it is there"})],
    }

    def answer(_method: str, path: str, *_: object) -> tuple[int, str]:
        status, content = answers[path.partition("?")[0].rpartition("/")[2]].pop(0)
        return status, json.dumps(content)

    monkeypatch.setattr(server, "answer", answer)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.start())
    assert open_store(SETTINGS).experiment_id == "9"
    assert answers == {"get-by-name": [], "create": []}


@pytest.mark.slow
def test_a_password_in_the_address_is_used_and_never_shown(
    root: Path, server: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.start().replace("//", "//ann:s3cret@"))
    store = open_store(SETTINGS)
    assert server.authorizations == {"Basic YW5uOnMzY3JldA=="}
    assert "s3cret" not in f"{store!r} {store.client.tracking_uri}"
    server.status, server.body = 401, "ann:s3cret is wrong"
    with pytest.raises(TrackingError) as refused:
        open_store(SETTINGS)
    server.stop()
    with pytest.raises(TrackingError) as gone:
        open_store(SETTINGS)
    open_store(LOCAL)
    for caught in (refused, gone):
        assert "s3cret" not in str(caught.value)
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__
    said = capfd.readouterr()
    assert "s3cret" not in said.out + said.err
    assert "***" in said.out
    stored = b"".join(path.read_bytes() for path in root.rglob("*") if path.is_file())
    assert stored
    assert b"s3cret" not in stored


def test_nothing_of_the_calls_stays_in_the_process(used: Path) -> None:
    """Nor is the environment changed within them: C code of other threads may read it then."""
    from mlflow import environment_variables as variables

    store = open_store(SETTINGS)
    before = dict(os.environ)
    filters = list(warnings.filters)
    levels = {name: logging.getLogger(name).level for name in ("mlflow", "alembic")}
    usual = variables.MLFLOW_HTTP_REQUEST_MAX_RETRIES.get()
    with store.calls(seconds=7):
        assert variables.MLFLOW_HTTP_REQUEST_MAX_RETRIES.get() == 1 != usual
        assert variables.MLFLOW_HTTP_REQUEST_TIMEOUT.get() == 7
        assert variables.MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR.get() is False
        assert dict(os.environ) == before
    assert variables.MLFLOW_HTTP_REQUEST_MAX_RETRIES.get() == usual
    assert list(warnings.filters) == filters
    assert {name: logging.getLogger(name).level for name in levels} == levels
    assert levels["mlflow"] == logging.INFO


def test_what_the_user_set_stands(used: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow import environment_variables as variables

    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "17")
    with open_store(SETTINGS).calls():
        assert variables.MLFLOW_HTTP_REQUEST_TIMEOUT.get() == 17
