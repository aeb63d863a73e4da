"""Where an unfinished run is kept: outside DVC's outputs, so that nothing deletes it (DESIGN: resume).

The folder is .segpipe/state/<fingerprint> below the main repository, also for experiments that DVC
runs in a temporary workspace: DVC_ROOT names the main repository there.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from segpipe.runtime.errors import BusyError
from segpipe.runtime.lock import held_file


def repository_root() -> Path:
    """Return $DVC_ROOT, else the nearest folder upwards that holds .dvc, else the current one."""
    named = os.environ.get("DVC_ROOT")
    if named:
        return Path(named)
    here = Path.cwd()
    return next((folder for folder in (here, *here.parents) if (folder / ".dvc").is_dir()), here)


def state_folder(identity: Any) -> Path:
    """Return the folder of the run that `identity` (plain JSON values) describes."""
    text = json.dumps(identity, sort_keys=True)
    fingerprint = hashlib.blake2b(text.encode(), digest_size=10).hexdigest()
    return repository_root() / ".segpipe" / "state" / fingerprint


def profile_folder(state: Path) -> Path:
    """Return where the profile of the run with that state folder is written."""
    return state.parent.parent / "profile" / state.name


def kept_folder(state: Path, kind: Literal["models", "pictures"]) -> Path:
    """Return where the run with that state folder keeps models or pictures along the way."""
    return state.parent.parent / "kept" / state.name / kind


def shards_folder(identity: Any) -> Path:
    """Return where prepared shards of what `identity` describes lie until the stage takes them."""
    state = state_folder(identity)
    return state.parent.parent / "shards" / state.name


def downloads_folder() -> Path:
    """Return where downloaded archives of Cityscapes are kept, for all experiments."""
    return repository_root() / ".segpipe" / "downloads" / "cityscapes"


@contextlib.contextmanager
def held_alone(folder: Path) -> Iterator[None]:
    """Hold the lock of a state folder; BusyError names the process that holds it already."""

    def refuse(holder: str) -> None:
        raise BusyError(
            f"{folder}: process {holder} is training on this state already; "
            "wait for it, or end it, and start again"
        )

    folder.parent.mkdir(parents=True, exist_ok=True)
    with held_file(folder.with_suffix(".lock"), refuse, delete=True):
        yield
