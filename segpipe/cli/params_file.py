"""params.yaml as a command replaces it: never while a stage runs with it, never the only copy of it."""

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from segpipe.cli.recipes import params_text, recipe_paths
from segpipe.params.load import load_params
from segpipe.params.schema import TrackingParams
from segpipe.results.experiments import commit_with
from segpipe.runtime.atomic import atomic_file
from segpipe.runtime.console import say
from segpipe.runtime.errors import BusyError, ParameterError
from segpipe.runtime.small_files import read_json
from segpipe.runtime.state import repository_root

PARAMS = Path("params.yaml")
_REPLACED = Path(".segpipe/replaced")


def replace_params(content: bytes, *, force: bool) -> None:
    """Write params.yaml anew.

    force: replace one that is kept nowhere else; a copy goes to .segpipe/replaced. Raises
    ParameterError without it, BusyError while DVC runs a stage with the present one.
    """
    refuse_folder()
    present = PARAMS.read_bytes() if PARAMS.is_file() else None
    _refuse_running()
    _protect(present, force)
    with atomic_file(PARAMS) as partial:
        partial.write_bytes(content)


def tracking_settings() -> TrackingParams:
    """Return how params.yaml has runs tracked, the defaults without it; ParameterError for a fault."""
    return load_params(PARAMS).tracking if PARAMS.is_file() else TrackingParams()


def refuse_folder() -> None:
    """Raise ParameterError where params.yaml is a folder."""
    if PARAMS.is_dir():
        raise ParameterError(f"{PARAMS}: is a folder, but must be a file; move it away")


def is_kept(present: bytes) -> bool:
    """Return whether this params.yaml can be had back, byte for byte."""
    if commit_with(PARAMS) is not None:
        return True
    copies = (path.read_bytes() for path in _REPLACED.glob("*.yaml"))
    return present in copies or present in _written_recipes()


def _written_recipes() -> Iterator[bytes]:
    for path in recipe_paths():
        with contextlib.suppress(ParameterError):
            yield params_text(path).encode()


def _protect(present: bytes | None, force: bool) -> None:
    if present is None or is_kept(present):
        return
    if not force:
        raise ParameterError(
            f"{PARAMS}: holds what is neither in the last commit, nor in an experiment, nor in a "
            f"recipe, and would be lost; commit it (`git commit {PARAMS}`), or replace it with "
            f"--force, which keeps a copy in {_REPLACED}/"
        )
    digest = hashlib.blake2b(present, digest_size=5).hexdigest()
    copy = _REPLACED / f"params-{digest}.yaml"
    with atomic_file(copy) as partial:
        partial.write_bytes(present)
    say(f"the former {PARAMS} is kept; have it back with: segpipe use {copy}")


def _refuse_running() -> None:
    """Refuse while DVC runs a stage here: at its end it would find other parameters and be refused.

    DVC writes into .dvc/tmp/rwlock which process reads which file. Entries of processes that ended
    without tidying up are passed over, as DVC does. Queued experiments read a copy of their own.
    """
    lock = repository_root() / ".dvc/tmp/rwlock"
    try:
        readers = read_json(lock)["read"][str(PARAMS.resolve())]
        alive = [(int(one["pid"]), str(one["cmd"])) for one in readers if _lives(int(one["pid"]))]
    except (OSError, ValueError, KeyError, TypeError):
        return  # no lock, or none on params.yaml
    if alive:
        number, command = alive[0]
        raise BusyError(
            f"{PARAMS}: process {number} (`{command}`) is running a stage with it, whose result would "
            "be refused if the parameters changed meanwhile; wait for it, or end it, and try again"
        )


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
