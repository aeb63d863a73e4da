"""A repository of its own, as a person has it after the first `dvc repro`."""

import contextlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient

from segpipe.tracking.calls import calling, connect
from tests.forge import (
    ROOT,
    child_environment,
    make_folder,
    runs,
    tiny_parameters,
    write_parameters,
)
from tests.forked import programs

COPIED = ("segpipe", "stages", "metrics/.gitignore", "data/.gitignore", ".dvc/plots")
COPIED += ("dvc.yaml", ".dvcignore", ".gitignore", "pyproject.toml", ".dvc/config")
RUN_CACHE = ".dvc/cache/runs"


def copy_project(root: Path) -> None:
    """Copy the code of the pipeline, without parameters and data."""
    for name in COPIED:
        source, target = ROOT / name, root / name
        target.parent.mkdir(exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)


def run(repository: Path, *arguments: str, forked: bool = True, **environment: str) -> str:
    """Run a program of the environment, DVC or git, and return what it printed.

    forked: by `with_forked_programs`.
    """
    made = with_forked_programs if forked else with_programs
    done = subprocess.run(
        arguments,
        cwd=repository,
        env=made(**environment),
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def with_programs(**changes: str) -> dict[str, str]:
    """The environment of a person who has activated .venv."""
    path = f"{Path(sys.executable).parent}:{child_environment()['PATH']}"
    return child_environment(PATH=path, DVC_NO_ANALYTICS="1", **changes)


def with_forked_programs(**changes: str) -> dict[str, str]:
    """The same; `python -m`, `dvc` and `segpipe` are without the seconds of their imports."""
    variables = with_programs(**changes)
    return {**variables, "PATH": f"{programs()}:{variables['PATH']}"}


def working_in(folder: Path) -> list[int]:
    """The processes whose folder is this one or one in it."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cwd"):
        with contextlib.suppress(OSError):
            if place.readlink().is_relative_to(folder) and runs(int(place.parent.name)):
                found.append(int(place.parent.name))
    return found


@contextlib.contextmanager
def mlflow_of(repository: Path) -> Iterator[MlflowClient]:
    """Ask the repository's store for the block. Its connections are closed at the end: where a process has
    some, closing any other handle on that file, such as a copy's, drops the locks that SQLite has on it.
    """
    with calling({}):
        client = connect(f"sqlite:///{repository}/mlflow.db")
        try:
            yield client
        finally:
            client._tracking_client.store.engine.dispose()


def stages_that_ran(output: str) -> list[str]:
    return [line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage")]


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_folder(tmp_path_factory.mktemp("data"), train=8, val=3)


@pytest.fixture(scope="session")
def repository(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A committed baseline after its first `dvc repro`.

    Its outputs are hard links into the cache, which whoever writes over one would damage.
    """
    root = tmp_path_factory.mktemp("repository")
    copy_project(root)
    (root / ".dvc/.gitignore").write_text("/tmp\n/cache\n/config.local\n")
    write_parameters(root / "params.yaml", tiny_parameters(data, tracking__enabled=True))
    run(root, "git", "init", "-q", "-b", "main")
    run(root, "git", "config", "user.email", "ann@example.org")
    run(root, "git", "config", "user.name", "Ann")
    run(root, "dvc", "config", "--local", "cache.type", "hardlink,copy")
    ran = stages_that_ran(run(root, "dvc", "repro", forked=False))
    assert ran == ["fetch", "prepare", "train", "evaluate", "render"]
    run(root, "git", "add", "-A")
    run(root, "git", "commit", "-qm", "baseline")
    run(root, "git", "tag", "baseline")
    shutil.copytree(root / RUN_CACHE, root.parent / "run_cache")
    return root


@pytest.fixture
def baseline(repository: Path) -> Path:
    """The repository with the parameters and the outputs of its baseline, and nothing else.

    DVC's run-cache knows the baseline's stages alone, so that no test is given another one's training.

    Without its index, git writes each file anew: an index that other programs have written can take
    a file of the same size for unchanged.
    """
    (repository / ".git/index").unlink()
    run(repository, "git", "checkout", "-qf", "-B", "main", "baseline")
    run(repository, "git", "clean", "-fdq")
    run(repository, "dvc", "exp", "remove", "-q", "--all-commits")
    # What killed experiments leave, which `dvc exp show` lists as running.
    shutil.rmtree(repository / ".dvc/tmp/exps", ignore_errors=True)
    shutil.rmtree(repository / RUN_CACHE)
    shutil.copytree(repository.parent / "run_cache", repository / RUN_CACHE)
    run(repository, "dvc", "checkout", "-q", "--force")
    return repository
