"""Where the trials of a sweep are kept, and what makes a sweep another one."""

import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from segpipe.params.chosen import chosen, differing, flat
from segpipe.params.load import load_params
from segpipe.results.experiments import commit_of
from segpipe.runtime.atomic import atomic_file
from segpipe.runtime.errors import ParameterError, listing
from segpipe.runtime.lock import held_file
from segpipe.runtime.provenance import PARAMETERS
from segpipe.sweeps.definition import Definition, Pruning

if TYPE_CHECKING:
    import optuna

STORAGE = "SEGPIPE_SWEEP_STORAGE"  # address of a database, which may hold a password
_DATABASE, _LOCK = "study.db", "study.lock"
_BUSY_SECONDS = 60  # that another process may keep the database


def open_study(definition: Definition, folder: Path) -> "optuna.Study":
    """Open the study of a sweep, or make it: in `folder`, unless a database is named.

    Raises ParameterError where the sweep was begun as something else, or the database cannot be used.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with quiet(), held_file(folder / _LOCK, lambda _: None):
        study = _open(definition, folder / _DATABASE)
        found = study.user_attrs.get("identity")
        if found is None:
            study.set_user_attr("identity", identity(definition))
        else:
            _refuse_other(definition, found)
    return study


def identity(definition: Definition) -> dict[str, str]:
    """Return what makes a sweep another one, as plain text by key."""
    about = definition.model_dump(mode="json", by_alias=True, exclude={"trials", "storage"})
    parameters = flat(chosen(load_params(PARAMETERS)))
    return {
        "commit": commit_of("HEAD") or "none",
        **{key: str(value) for key, value in about.items()},
        **{f"params.yaml: {key}": value for key, value in parameters.items()},
    }


def _refuse_other(definition: Definition, found: Mapping[str, str]) -> None:
    others = [
        f"{key}: {there} there, {here} here"
        for key, there, here in sorted(differing(found, identity(definition), "(not there)"))
    ]
    if others:
        raise ParameterError(
            f"the sweep {definition.name} was begun as another one, and its points cannot be compared with "
            "new ones; bring back what it was begun with, or give the new one another `name`:\n"
            f"{listing(others)}"
        )


def _open(definition: Definition, database: Path) -> "optuna.Study":
    from optuna.storages import RDBStorage

    named = os.environ.get(STORAGE) or definition.storage
    if named is None and not database.exists():
        with atomic_file(database) as partial:  # a kill leaves no half of a database
            storage = RDBStorage(f"sqlite:///{partial}")
            _create(definition, storage)
            storage.engine.dispose()
    if named is None:
        waiting = {"connect_args": {"timeout": _BUSY_SECONDS}}
        return _create(definition, RDBStorage(f"sqlite:///{database}", engine_kwargs=waiting))
    try:
        return _create(definition, RDBStorage(named))
    except Exception as error:  # SQLAlchemy's and the drivers' own; they may hold the password
        raise ParameterError(
            f"the storage of the sweep cannot be used ({type(error).__name__}); is the server running, its "
            f"driver installed, and the address right? With a password it belongs into {STORAGE}"
        ) from None


def _create(definition: Definition, storage: "optuna.storages.BaseStorage") -> "optuna.Study":
    import optuna

    from segpipe.sweeps.samplers import by_number

    return optuna.create_study(
        storage=storage,
        study_name=definition.name,
        directions=list(definition.metrics.values()),
        sampler=by_number(definition),
        pruner=_pruner(definition.pruner),
        load_if_exists=True,
    )


def _pruner(pruning: Pruning | None) -> "optuna.pruners.BasePruner":
    from optuna.pruners import MedianPruner, NopPruner, SuccessiveHalvingPruner

    match pruning:
        case None:
            return NopPruner()
        case Pruning(name="median"):
            return MedianPruner(pruning.startup, n_warmup_steps=pruning.patience)
        case _:
            return SuccessiveHalvingPruner(min_resource=pruning.patience, reduction_factor=3)


@contextmanager
def quiet() -> Iterator[None]:
    """Silence what Optuna says of itself: each trial, and what is experimental in it."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield
