"""Where the runs are kept: a server that the user named, or mlflow.db in the repository's root."""

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from segpipe.params.schema import TrackingParams
from segpipe.runtime.console import say
from segpipe.runtime.errors import TrackingError
from segpipe.runtime.state import repository_root
from segpipe.tracking.calls import BRIEF, calling, connect, reason
from segpipe.tracking.local_store import ARTIFACTS, database, database_address, database_path
from segpipe.tracking.redaction import redacted, without_credentials

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment, Run

VARIABLE = "MLFLOW_TRACKING_URI"
DATABASE = "mlflow.db"
_REPAIR = (
    f"Start the server, or unset {VARIABLE} to use {DATABASE} here, or set in params.yaml "
    "`tracking.unreachable: local` (warn and use it) or `tracking.enabled: false`"
)
# These keep artifacts where they were told when they were started.
_SERVERS = ("http://", "https://", "databricks", "uc")


@dataclass(frozen=True)
class Store:
    """A store that answered, and the experiment in it. address: for people, without passwords."""

    client: "MlflowClient"
    experiment_id: str
    address: str
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)

    @contextlib.contextmanager
    def calls(self, seconds: int = BRIEF) -> Iterator["MlflowClient"]:
        """Yield the client for calls that may each wait `seconds` for an answer, twice."""
        with calling(self.credentials, seconds):
            yield self.client


def open_store(settings: TrackingParams) -> Store:
    """Reach the store that $MLFLOW_TRACKING_URI names, else open mlflow.db, and find the experiment.

    An sqlite:/// address is created when absent; a relative one lies below the repository's root.
    Raises TrackingError when the store cannot be used; of another than mlflow.db only where
    tracking.unreachable is `error`: with `local` this is a warning, and mlflow.db is used.
    """
    if path := database_file():
        return _open_database(path, settings.experiment)
    named, root = named_store(), local_root()
    try:
        return _open_named(named, settings.experiment, root / ARTIFACTS)
    except TrackingError:
        raise
    except Exception as error:  # requests, SQLAlchemy, MLflow, a missing driver: each its own
        problem = f"{VARIABLE}: {redacted(named)} cannot be used: {reason(error)}"
        if settings.unreachable == "error":
            # MLflow's own message may hold the password: it is not chained.
            raise TrackingError(f"{problem}. {_REPAIR}") from None
    local = root / DATABASE
    say(f"warning: {problem}; this run is recorded in {local}")
    return _open_database(local, settings.experiment)


def local_root() -> Path:
    """Return the folder of mlflow.db, below which the paths of other databases are read too."""
    return repository_root().absolute()


def named_store() -> str:
    """Return the address of the store that the user named, "" where none is."""
    return os.environ.get(VARIABLE, "").strip()


def database_file() -> Path | None:
    """Return the file that holds the runs; None where a server or another kind of database is named."""
    named, root = named_store(), local_root()
    return database_path(named, root) if named else root / DATABASE


def may_hold_runs() -> bool:
    """Return whether a store is named, or mlflow.db is there; else no run was ever kept."""
    return bool(named_store()) or (local_root() / DATABASE).exists()


def reach_store() -> str:
    """Return the address of the store that runs would be kept in, without passwords, once it answered.

    Nothing is made there. Raises TrackingError when it does not answer.
    """
    local = database_file()
    if local is not None and not local.exists():
        return f"{local}, which the first training makes"
    address, credentials = (
        without_credentials(named_store()) if local is None else (database_address(local), {})
    )
    shown = str(local or redacted(address))
    try:
        with calling(credentials):
            connect(address).search_experiments(max_results=1)
    except Exception as error:  # as in open_store; the message may hold the password
        raise TrackingError(f"{shown}: does not answer: {reason(error)}. {_REPAIR}") from None
    return f"{shown} answers"


def find_run(client: "MlflowClient", run_id: str | None) -> "Run | None":
    """Return the run of that id, or None when the store has none or it was deleted."""
    from mlflow.exceptions import MlflowException

    if not run_id:
        return None
    try:
        found = client.get_run(run_id)
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise
    return found if found.info.lifecycle_stage == "active" else None


def _open_database(path: Path, experiment: str) -> Store:
    with calling({}), database(path):
        try:
            client = connect(database_address(path))
            experiment_id = _experiment(client, experiment, path.parent / ARTIFACTS)
        except TrackingError:
            raise
        except Exception as error:  # MLflow and SQLAlchemy each raise their own
            raise TrackingError(
                f"{path}: cannot be opened as MLflow's database: {reason(error)}. If it is of another "
                f"version of MLflow, keep a copy and run `mlflow db upgrade {database_address(path)}`; "
                "if it is damaged, move it away"
            ) from error
    return Store(client, experiment_id, str(path))


def _open_named(address: str, experiment: str, artifacts: Path) -> Store:
    plain, credentials = without_credentials(address)
    place = None if plain.startswith(_SERVERS) else artifacts
    with calling(credentials):
        client = connect(plain)
        experiment_id = _experiment(client, experiment, place)
    return Store(client, experiment_id, redacted(plain), credentials)


def _experiment(client: "MlflowClient", name: str, artifacts: Path | None) -> str:
    """Return the id of the experiment, which another process may be creating at this moment."""
    from mlflow.exceptions import MlflowException

    found: Experiment | None = client.get_experiment_by_name(name)
    if found is None:
        try:
            return client.create_experiment(name, str(artifacts) if artifacts else None)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            found = client.get_experiment_by_name(name)
    if found is None or found.lifecycle_stage != "active":
        number = found.experiment_id if found else "ID"
        raise TrackingError(
            f"params.yaml: tracking.experiment: {name!r} was deleted in MLflow; restore it with "
            f"`mlflow experiments restore --experiment-id {number}`, or choose another name"
        )
    return str(found.experiment_id)
