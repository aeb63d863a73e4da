"""segpipe doctor: what is installed, what this machine has, and what is broken."""

import argparse
import contextlib
import importlib.metadata
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segpipe.cli.params_file import PARAMS, tracking_settings
from segpipe.params.load import load_params
from segpipe.params.schema import TrackingParams
from segpipe.project.make import in_project
from segpipe.runtime.console import say
from segpipe.runtime.errors import SegpipeError
from segpipe.runtime.provenance import PIPELINE
from segpipe.runtime.revision import git_revision
from segpipe.runtime.state import repository_root
from segpipe.runtime.version import installed_version, refuse_other_version

_LEAST_DISK = 1 << 30  # bytes; less ends a training with a full disk before long
_EXTRA = re.compile(r'extra == "(\w+)"')
_WIDTH = 12


def add_command(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add `doctor` to the command line."""
    parser = commands.add_parser(
        "doctor",
        help="show versions, devices, disk and stores, and what is broken",
        description="Show the versions of segpipe and what it stands on, the extras that are installed, "
        "devices, threads, memory, disk and links, and whether git, DVC and MLflow can be used "
        "here. The exit code is 1 when something is broken. Nothing is changed.",
    )
    parser.set_defaults(run=_run)


@dataclass(frozen=True)
class Line:
    """What was found. broken: whether it must be repaired."""

    name: str
    text: str
    broken: bool = False


def _run(options: argparse.Namespace) -> int:
    broken = 0
    for look in (_versions, _extras, _devices, _space, _project, _links, _store):
        for line in look():
            mark = "BROKEN: " if line.broken else ""
            say(f"{line.name:<{_WIDTH}}{mark}{line.text}")
            broken += line.broken
    say(f"{broken} of these are broken" if broken else "nothing is broken")
    return 1 if broken else 0


def _versions() -> Iterator[Line]:
    place = Path(__file__).resolve().parent.parent
    yield Line("segpipe", f"{installed_version()}, in {place}")
    yield Line("Python", f"{sys.version.split()[0]}, {sys.executable}")
    if (other := shutil.which("python")) and Path(other).parent != Path(sys.executable).parent:
        yield Line(
            "python",
            f"of the stages that `dvc repro` starts: {other}; activate this environment, or use "
            "segpipe train",
        )
    faults, shown = [], []
    for requirement in _requirements():
        if _EXTRA.search(requirement):
            continue
        fault, version = _fault_of(requirement)
        shown += [version] if version else []
        faults += [fault] if fault else []
    yield Line("packages", ", ".join(shown))
    if faults:
        repair = "install segpipe anew, with what it requires: pip install --upgrade segpipe"
        yield Line("packages", f"{'; '.join(faults)}; {repair}", broken=True)


def _requirements() -> list[str]:
    try:
        return importlib.metadata.requires("segpipe") or []
    except importlib.metadata.PackageNotFoundError:
        return []


def _fault_of(requirement: str) -> tuple[str | None, str | None]:
    """Return what is wrong with a required package, and its name and version where it is there."""
    from packaging.requirements import Requirement

    wanted = Requirement(requirement)
    try:
        found = importlib.metadata.version(wanted.name)
    except importlib.metadata.PackageNotFoundError:
        return f"{wanted.name} is not installed", None
    if not wanted.specifier.contains(found, prereleases=True):
        return f"{wanted.name} is {found}, but must be {wanted.specifier}", f"{wanted.name} {found}"
    return None, f"{wanted.name} {found}"


def _extras() -> Iterator[Line]:
    extras: dict[str, list[str]] = {}
    for requirement in _requirements():
        if (named := _EXTRA.search(requirement)) and named[1] != "dev":
            extras.setdefault(named[1], []).append(requirement.partition(";")[0])
    for name, requirements in extras.items():
        missing = [fault for one in requirements if (fault := _fault_of(one)[0])]
        shown = "installed"
        if missing:
            shown = f"not installed; when it is needed: pip install 'segpipe[{name}]'"
        yield Line(f"[{name}]", shown)


def _devices() -> Iterator[Line]:
    import psutil

    from segpipe.runtime.hardware import best_device, choose_precision
    from segpipe.training.watch.environment import environment

    device = best_device()
    found = environment(device, processes=1, machines=1)
    processor, threads = found["processor"], found["threads"]
    yield Line(
        "processor",
        f"{processor['name']}, {processor['usable_cores']} of {processor['cores']} cores usable, "
        f"{threads['within']} threads ({processor['instructions']})",
    )
    gpus = [
        f"{gpu['name']}, {gpu['memory_mb'] >> 10} GiB, capability {gpu['capability']}"
        for gpu in found["gpus"]
    ]
    yield Line("GPUs", "; ".join(gpus) or "none that torch can use")
    yield Line("precision", f"train.precision auto is {choose_precision('auto', device)} here")
    memory = psutil.virtual_memory()
    yield Line("memory", f"{_gib(memory.available)} free of {_gib(memory.total)}")


def _space() -> Iterator[Line]:
    disk = shutil.disk_usage(Path.cwd())
    shown = f"{_gib(disk.free)} free of {_gib(disk.total)} in {Path.cwd()}"
    if disk.free < _LEAST_DISK:
        shown += "; free some (`dvc gc --workspace --all-experiments` drops unused results)"
    yield Line("disk", shown, broken=disk.free < _LEAST_DISK)


def _project() -> Iterator[Line]:
    git = shutil.which("git")
    commit = f"commit {git_revision() or 'none yet, or no repository here'}"
    yield Line(
        "git", commit if git else "not found; `dvc exp` and comparisons with commits need it"
    )
    if not PIPELINE.is_file():
        yield Line("project", "none here; `segpipe new DIR` makes one")
        return
    yield Line("project", f"{Path.cwd()}, whose root for DVC is {repository_root()}")
    if PARAMS.exists():
        yield _judged(str(PARAMS), _valid_parameters)
    if in_project():
        yield _judged("version", _right_version)


def _valid_parameters() -> str:
    load_params(PARAMS)
    return "valid"


def _right_version() -> str:
    refuse_other_version()
    return "segpipe.version names the installed segpipe"


def _judged(name: str, look: Callable[[], str]) -> Line:
    try:
        return Line(name, look())
    except SegpipeError as error:
        return Line(name, str(error), broken=True)


def _links() -> Iterator[Line]:
    """Say how DVC's cache and the workspace can share the bytes of an output."""
    if not (repository_root() / ".dvc").is_dir():
        return
    from dvc.fs import generic
    from dvc.repo import Repo

    with Repo(str(repository_root())) as repo:
        cache = repo.cache.local
        wanted = cache.cache_types
        kinds = ["reflink", "hardlink", "symlink"]
        possible = generic.test_links(kinds, cache.fs, cache.path, repo.fs, repo.root_dir)
    used = next((kind for kind in wanted if kind in (*possible, "copy")), "copy")
    shown = f"DVC's cache and the workspace share by {used} (cache.type {','.join(wanted)})"
    if used == "copy" and "hardlink" in possible:
        shown += "; hard links would halve the space: dvc config --local cache.type hardlink,copy"
    yield Line("links", shown)


def _store() -> Iterator[Line]:
    from segpipe.tracking.store import reach_store

    tracking = TrackingParams()
    with contextlib.suppress(SegpipeError):  # which was said above
        tracking = tracking_settings()
    if tracking.enabled:
        yield _judged("MLflow", reach_store)
    else:
        yield Line("MLflow", "not used (tracking.enabled: false)")


def _gib(count: int) -> str:
    return f"{count / 2**30:.1f} GiB"
