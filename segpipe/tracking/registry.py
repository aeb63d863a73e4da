"""MLflow's model registry: a bundle as a served model with its scores, its versions and their aliases."""

import contextlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segpipe.params.schema import TrackingParams
from segpipe.runtime.errors import TrackingError
from segpipe.tracking.calls import BRIEF, LONG, calling, reason
from segpipe.tracking.names import shortened, valid_tags
from segpipe.tracking.run import create_run, standard_tags
from segpipe.tracking.store import Store, find_run, may_hold_runs, open_store

if TYPE_CHECKING:
    from mlflow import MlflowClient

CANDIDATE, CHAMPION = "candidate", "champion"
RESULTS = "results"  # the folder of a version's artifacts that holds its evaluation
_CONTENT, _PLACE = "content", "artifact_path"  # tags of a version
_DESCRIPTION_LIMIT = 5000


@dataclass(frozen=True)
class ServedFiles:
    """What MLflow needs to serve a model.

    script: stored in place of a pickle, and run where the model is served. artifacts: files and folders
    by the name under which the script finds them. code: the package that the script imports. requirements:
    lines for pip. example: one row of a request. answer: which fields an answer has, and their types.
    """

    script: Path
    artifacts: Mapping[str, Path]
    code: Path
    requirements: Sequence[str]
    example: Mapping[str, Any]
    answer: Mapping[str, str]


@dataclass(frozen=True)
class Version:
    """A version of a registered model. place: the folder of its artifacts in the run `run_id`."""

    name: str
    number: str
    run_id: str
    place: str

    def __str__(self) -> str:
        """Name and number."""
        return f"{self.name}, version {self.number}"


def save_served(served: ServedFiles, folder: Path) -> None:
    """Write a model as MLflow's pyfunc into the new `folder`; TrackingError when that fails."""
    # Recorded, since MLflow shows some of its warnings whatever the filters say.
    with calling({}), warnings.catch_warnings(record=True):
        from mlflow.models import ModelSignature
        from mlflow.pyfunc import save_model
        from mlflow.types.schema import AnyType, ColSpec, ParamSchema, ParamSpec, Schema

        def column(name: str, kind: str) -> ColSpec:
            of_any: Any = AnyType  # which is not typed
            return ColSpec(of_any() if kind == "any" else kind, name)

        signature = ModelSignature(
            Schema([column("image", "any")]),
            Schema([column(name, kind) for name, kind in served.answer.items()]),
            ParamSchema([ParamSpec("labels", "string", "png")]),
        )
        try:
            save_model(
                str(folder),
                python_model=str(served.script),
                artifacts={name: str(path) for name, path in served.artifacts.items()},
                code_paths=[str(served.code)],
                pip_requirements=list(served.requirements),
                signature=signature,
                input_example=[dict(served.example)],
            )
        except Exception as error:  # MLflow, pip's metadata and the system each raise their own
            raise TrackingError(f"MLflow could not save the model: {reason(error)}") from error


def registered(settings: TrackingParams, name: str, content: str) -> Version | None:
    """Return the version of the model `name` that has this digest, if there is one."""
    with _registry(settings) as (_, client):
        quoted = name.replace("'", "''")
        for one in client.search_model_versions(f"name='{quoted}'"):
            if one.tags.get(_CONTENT) == content and one.run_id:
                return Version(name, str(one.version), one.run_id, one.tags[_PLACE])
    return None


def register(
    settings: TrackingParams, name: str, folder: Path, run_id: str | None, content: str, about: str
) -> Version:
    """Make the saved model in `folder` a new version; return it.

    Its files go to the run `run_id` of the training, or to a new run where the store does not have that.
    content: a digest of what is registered. about: a description in Markdown.
    Raises TrackingError when the store cannot be used.
    """
    with _registry(settings, LONG) as (store, client):
        from mlflow.exceptions import MlflowException

        run = find_run(client, run_id)
        if run is None:
            tags = standard_tags() | {"mlflow.source.name": "segpipe register"}
            run = create_run(client, store, f"registered {name}", tags)
            client.set_terminated(run.info.run_id)
        place = f"registered/{content[:12]}"
        client.log_artifacts(run.info.run_id, str(folder), place)
        try:
            client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        made = client.create_model_version(
            name,
            source=f"runs:/{run.info.run_id}/{place}",
            run_id=run.info.run_id,
            tags=valid_tags({_CONTENT: content, _PLACE: place}),
            description=shortened(about, _DESCRIPTION_LIMIT),
        )
        version = Version(name, str(made.version), run.info.run_id, place)
        client.set_tag(run.info.run_id, "registered_model", str(version))
    return version


def version_at(settings: TrackingParams, name: str, alias: str) -> Version | None:
    """Return the version that has the alias; None where there is no such model, or none has it."""
    if not may_hold_runs():
        return None
    with _registry(settings) as (_, client):
        from mlflow.exceptions import MlflowException

        try:
            found = client.get_model_version_by_alias(name, alias)
        except MlflowException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return None
            raise
    place = found.tags.get(_PLACE)
    if place is None or found.run_id is None:
        raise TrackingError(
            f"{name}: version {found.version} was not registered by segpipe; `segpipe register` makes "
            "versions that can be compared"
        )
    return Version(name, str(found.version), found.run_id, place)


def fetch_results(settings: TrackingParams, version: Version, folder: Path) -> Path:
    """Bring the evaluation of a version below `folder`; return the folder that holds it."""
    with _registry(settings, LONG) as (_, client):
        place = f"{version.place}/artifacts/{RESULTS}"
        return Path(client.download_artifacts(version.run_id, place, str(folder)))


def set_alias(settings: TrackingParams, version: Version, alias: str, why: str = "") -> None:
    """Give a version an alias, which then no other version has. why: kept as a tag of the version."""
    with _registry(settings) as (_, client):
        client.set_registered_model_alias(version.name, alias, version.number)
        if why:
            tags = valid_tags({alias: why})
            for key, value in tags.items():
                client.set_model_version_tag(version.name, version.number, key, value)


@contextlib.contextmanager
def _registry(
    settings: TrackingParams, seconds: int = BRIEF
) -> Iterator[tuple[Store, "MlflowClient"]]:
    """Yield the store and its client; say in plain words what fails.

    A server that is away is said, whatever a training falls back on: the registry is where it is named.
    """
    store = open_store(settings.model_copy(update={"unreachable": "error"}))
    try:
        with store.calls(seconds) as client:
            yield store, client
    except TrackingError:
        raise
    except Exception as error:  # MLflow, requests and SQLAlchemy each raise their own
        # MLflow's own message may hold a password: it is not chained.
        raise TrackingError(
            f"MLflow ({store.address}): the model registry cannot be used: {reason(error)}"
        ) from None
