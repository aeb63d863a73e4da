"""Outputs that are hard links into DVC's cache, and the measurement of what DVC costs."""

import hashlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.forge import (
    ROOT,
    child_environment,
    make_folder,
    run_python,
    tiny_parameters,
    write_parameters,
)

# One after another in one process: they share a repository.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("dvc_scale"), pytest.mark.timeout(1800)]

COPIED = ("segpipe", "stages", "metrics/.gitignore", "data/.gitignore", ".dvc/plots")
COPIED += ("dvc.yaml", ".dvcignore", ".gitignore", "pyproject.toml", ".dvc/config")
OUTPUTS = ("data/raw", "data/prepared", "models", "predictions")


def run(repository: Path, *arguments: str) -> str:
    """Run DVC or git of this environment and return what it printed."""
    environment = child_environment(DVC_NO_ANALYTICS="1")
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    done = subprocess.run(
        arguments, cwd=repository, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def linked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A committed repository whose outputs are hard links, after its first `dvc repro`."""
    data = make_folder(tmp_path_factory.mktemp("data"), train=8, val=3)
    root = tmp_path_factory.mktemp("repository")
    unwanted = shutil.ignore_patterns("__pycache__")
    for name in COPIED:
        source, target = ROOT / name, root / name
        target.parent.mkdir(exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=unwanted)
        else:
            shutil.copy(source, target)
    (root / ".dvc/.gitignore").write_text("/tmp\n/cache\n/config.local\n")
    write_parameters(root / "params.yaml", tiny_parameters(data, tracking__enabled=True))
    run(root, "git", "init", "-q", "-b", "main")
    run(root, "git", "config", "user.email", "ann@example.org")
    run(root, "git", "config", "user.name", "Ann")
    run(root, "dvc", "config", "--local", "cache.type", "hardlink,copy")
    run(root, "dvc", "repro")
    run(root, "git", "add", "-A")
    run(root, "git", "commit", "-qm", "baseline")
    return root


def objects(repository: Path) -> dict[str, tuple[str, int]]:
    """Return MD5 and time of change of each cached object by the MD5 that is its name.

    The time tells also of the same bytes written once more.
    """
    cache = repository / ".dvc/cache/files/md5"
    found = {}
    for path in cache.rglob("*"):
        if path.is_file():
            name = "".join(path.relative_to(cache).parts).removesuffix(".dir")
            digest = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
            found[name] = digest, path.stat().st_mtime_ns
    return found


def damaged(repository: Path) -> list[str]:
    found = objects(repository)
    assert len(found) > 30, "too few objects to say anything"
    return [name for name, (digest, _) in found.items() if digest != name]


def output_files(repository: Path) -> list[Path]:
    return [path for name in OUTPUTS for path in (repository / name).rglob("*") if path.is_file()]


def test_outputs_are_objects_of_the_cache_and_write_protected(linked: Path) -> None:
    cached = {path.stat().st_ino for path in (linked / ".dvc/cache").rglob("*")}
    files = [path for path in output_files(linked) if path.stat().st_size]
    shared = [path for path in files if path.stat().st_ino in cached]
    # Of files with the same content DVC links one and leaves the others as they are.
    others = [path.read_bytes() for path in files if path.stat().st_ino not in cached]
    assert len(shared) > 30
    assert set(others) <= {path.read_bytes() for path in shared}
    assert [path for path in shared if path.stat().st_mode & 0o222] == []
    assert damaged(linked) == []


def test_a_forced_rerun_leaves_the_cache_as_it_was(linked: Path) -> None:
    before = objects(linked)
    ran = run(linked, "dvc", "repro", "--force")
    assert ran.count("Running stage") == 5
    assert damaged(linked) == []
    assert before.items() <= objects(linked).items()


def test_an_experiment_beside_leaves_the_cache_as_it_was(linked: Path) -> None:
    before = objects(linked)
    run(linked, "dvc", "exp", "run", "--temp", "-S", "train.lr=2e-3")
    after = objects(linked)
    assert len(after) > len(before), "the experiment made nothing new"
    assert before.items() <= after.items()
    assert damaged(linked) == []


def test_stages_started_by_hand_leave_the_cache_as_it_was(linked: Path) -> None:
    # Unlike DVC, which deletes outputs first, this meets the links.
    before = objects(linked)
    assert output_files(linked), "there is nothing to write over"
    for stage in ("fetch", "prepare", "train", "evaluate", "render"):
        done = run_python(["-m", f"stages.{stage}"], linked)
        assert done.returncode == 0, done.stderr
    assert damaged(linked) == []
    assert before == objects(linked)


def test_outputs_come_back_as_links(linked: Path) -> None:
    for name in OUTPUTS:
        shutil.rmtree(linked / name)
    run(linked, "dvc", "checkout", "--force")
    prepared = linked / "data/prepared/train/images.npy"
    assert prepared.stat().st_nlink == 2
    assert damaged(linked) == []


def test_the_measurement_prints_a_row_for_each_layout() -> None:
    options = ["--samples", "4", "--height", "32", "--width", "32", "--rounds", "1"]
    done = run_python(["-m", "bench.dvc_scale", *options, "--links", "copy", "hardlink"], ROOT)
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if line.startswith(("| copy", "| hardlink"))]
    assert [row.split("|")[2].strip() for row in rows] == ["arrays", "PNG files"] * 2
    for row in rows:
        times = [float(time) for time in re.findall(r"([\d.]+) s \(", row)]
        assert len(times) == 6
        assert min(times) > 0
