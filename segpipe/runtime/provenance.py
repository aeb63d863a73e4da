"""What is recorded is what ran (law 12).

DVC reads a stage's parameters and dependencies again after its command has ended, and records what
it finds then for the result made before. A file edited meanwhile would be recorded with a result it
never had a part in. So a stage takes a snapshot of both when it starts and compares it before it
publishes.
"""

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segpipe.runtime.errors import ParameterError, StaleRunError, listing
from segpipe.runtime.version import VERSION_FILE, refuse_other_version
from segpipe.runtime.yaml_file import read_yaml

PIPELINE, PARAMETERS = Path("dvc.yaml"), Path("params.yaml")
# Larger files, which are data, are compared by length and time of change: hashing them twice would
# cost minutes.
_HASHED = 1 << 16
_SKIPPED = "__pycache__"
# A parameter in the place of which DVC puts its value: ${source.path}
_PLACEHOLDER = re.compile(r"\$\{([\w.]+)\}")


@dataclass(frozen=True)
class Snapshot:
    """The parameters and dependencies of a stage, as they were when it started."""

    stage: str
    parameters: dict[str, Any]
    files: dict[str, str]

    def verify(self) -> None:
        """Raise StaleRunError, naming what changed, unless all is as it was."""
        now = take_snapshot(self.stage)
        changed = _differences(self.parameters, now.parameters, "params.yaml: ")
        changed += _differences(self.files, now.files, "")
        if changed:
            raise StaleRunError(
                f"{len(changed)} things changed while {self.stage} ran, so its result would be "
                f"recorded as that of other inputs; nothing was published:\n{listing(changed)}\n"
                "Restore them to keep what was computed, or leave them and run `dvc repro` again."
            )

    @property
    def code(self) -> str:
        """A hash over the stage's code: the Python files that it depends on, or segpipe.version."""
        suffixes = (".py", VERSION_FILE.name)
        code = {name: mark for name, mark in self.files.items() if name.endswith(suffixes)}
        return hashlib.blake2b(
            json.dumps(code, sort_keys=True).encode(), digest_size=16
        ).hexdigest()


def take_snapshot(stage: str) -> Snapshot:
    """Read the parameters and dependencies that dvc.yaml names for `stage`, below the current folder.

    Raises VersionError where they are those of a project, and another segpipe is installed than the one
    that its segpipe.version names.
    """
    content = read_yaml(PARAMETERS)
    try:
        about = read_yaml(PIPELINE)["stages"][stage]
    except (KeyError, TypeError) as error:
        raise ParameterError(f"{PIPELINE}: has no stage {stage}; bring back its content") from error
    if VERSION_FILE.name in about.get("deps", []):
        refuse_other_version()
    names = [_filled(key, content) for key in about.get("params", [])]
    parameters = {key: _at(content, key) for key in names}
    files: dict[str, str] = {}
    for dependency in about.get("deps", []):
        path = Path(_filled(dependency, content))
        found = sorted(path.rglob("*")) if path.is_dir() else [path]
        for file in found:
            if file.is_file() and _SKIPPED not in file.parts:
                files[file.as_posix()] = _mark(file)
    return Snapshot(stage, parameters, files)


def _at(content: Any, key: str) -> Any:
    """Return the value at a dotted key such as evaluate.split."""
    for part in key.split("."):
        content = content.get(part) if isinstance(content, dict) else None
    return content


def _filled(text: str, content: Any) -> str:
    """Put parameters in the place of `${section.key}`, as DVC does."""
    return _PLACEHOLDER.sub(lambda found: str(_at(content, found[1])), text)


def _mark(file: Path) -> str:
    about = file.stat()
    if about.st_size > _HASHED:
        return f"{about.st_size} bytes of {about.st_mtime_ns}"
    return hashlib.blake2b(file.read_bytes(), digest_size=16).hexdigest()


def _differences(before: dict[str, Any], after: dict[str, Any], place: str) -> list[str]:
    changed = []
    for key in sorted(before.keys() | after.keys()):
        old, new = before.get(key), after.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            changed += _differences(old, new, f"{place}{key}.")
        elif old != new:
            shown = f": {old!r} became {new!r}" if place else ""
            changed.append(f"{place}{key}{shown}" if shown else f"{key} was edited")
    return changed
