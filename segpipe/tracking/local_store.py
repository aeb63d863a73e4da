"""mlflow.db: an SQLite file that any number of processes may ask for at the same time.

MLflow alone creates it in place: of two first users one dies, and one that is killed meanwhile
leaves a broken file. Here it is created beside, under a lock, and renamed when it is whole.
"""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

from segpipe.runtime.atomic import sync
from segpipe.runtime.errors import TrackingError
from segpipe.runtime.lock import held_file
from segpipe.tracking.calls import reason

PREFIX = "sqlite:///"
ARTIFACTS = "mlartifacts"


def database_path(address: str, root: Path) -> Path | None:
    """Return the file of an sqlite:/// address, a relative one below `root`; None for all others."""
    if not address.startswith(PREFIX) or "?" in address or ":memory:" in address:
        return None
    name = unquote(address.removeprefix(PREFIX))
    return root / name if name else None


def database_address(path: Path) -> str:
    """Return the address under which SQLAlchemy opens `path`; it reads %20 and ? in a special way."""
    return PREFIX + str(path.absolute()).replace("%", "%25").replace("?", "%3F")


@contextlib.contextmanager
def database(path: Path) -> Iterator[None]:
    """Create the database at `path`, or check the one that is there; hold its lock in the block.

    The lock is for what MLflow does there: migrating a database, creating an experiment.
    Raises TrackingError: it is damaged, it is not a database of MLflow, or it cannot be made or locked.
    """
    with contextlib.ExitStack() as stack:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(held_file(Path(f"{path}.lock"), lambda _holder: None))
            if not path.exists():
                _create(path)
        except Exception as error:  # MLflow, SQLAlchemy, SQLite and the system each raise their own
            raise _unusable(path, error) from error
        _check(path)
        yield


def _create(path: Path) -> None:
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    partial, artifacts = path.with_name(f"{path.name}.partial"), str(path.parent / ARTIFACTS)
    _remove(partial)  # what a killed process left
    store = SqlAlchemyStore(database_address(partial), artifacts)  # type: ignore[no-untyped-call]
    store.engine.dispose()
    sync(partial)
    # A journal left by a deleted database would be played into the new one.
    _remove(path)
    partial.replace(path)
    sync(path.parent)


def _check(path: Path) -> None:
    if path.stat().st_size == 0:
        raise TrackingError(
            f"{path}: is empty; its creation by another program was cut short. Delete it and start again"
        )
    try:
        with contextlib.closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True)
        ) as file:
            tables = {name for (name,) in file.execute("SELECT name FROM sqlite_master")}
    except sqlite3.Error as error:
        raise _unusable(path, error) from error
    if not {"alembic_version", "experiments", "runs"} <= tables:
        raise TrackingError(
            f"{path}: is a database of something else than MLflow; move it away, or set "
            "MLFLOW_TRACKING_URI=sqlite:///another.db"
        )
    _use_wal(path)


def _use_wal(path: Path) -> None:
    """Let many processes write without waiting long for each other; the file remembers it.

    A file that is busy or read-only stays as it is: it works all the same.
    """
    with (
        contextlib.suppress(sqlite3.OperationalError),
        contextlib.closing(sqlite3.connect(path, timeout=1)) as connection,
    ):
        connection.execute("PRAGMA journal_mode=WAL")


def _remove(path: Path) -> None:
    for ending in ("", "-wal", "-shm", "-journal"):
        path.with_name(path.name + ending).unlink(missing_ok=True)


def _unusable(path: Path, error: Exception) -> TrackingError:
    return TrackingError(
        f"{path}: cannot be used as MLflow's database: {reason(error)}. Move it away if it is "
        "damaged; `tracking.enabled: false` in params.yaml trains without MLflow"
    )
