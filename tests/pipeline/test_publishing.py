"""A stage that is struck while it publishes under DVC, by a full disk or kill -9; data that change then."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.forge import checkpoints, run_stage, save, scene
from tests.pipeline.cache import damaged
from tests.pipeline.conftest import run, stages_that_ran, with_programs
from tests.small_disk import small_disk

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

# Strikes as soon as the function is called that KILLED_AT or FULL_AT names.
STRUCK = """

import contextlib as _contextlib
import os as _os


def _struck(function):
    def begin(*arguments, **options):
        if _os.environ.get("KILLED_AT") == function.__name__:
            _os.kill(_os.getpid(), 9)
        if _os.environ.get("FULL_AT") == function.__name__:
            with open("filler", "wb", 0) as filler, _contextlib.suppress(OSError):
                while filler.write(bytes(4096)):
                    pass
        return function(*arguments, **options)

    return begin

"""
PLACES = {
    "segpipe/training/run.py": ("write_bundle", "write_history"),
    "segpipe/evaluation/report.py": ("write_table",),
}


def make_strikable(repository: Path) -> None:
    for name, functions in PLACES.items():
        with (repository / name).open("a") as code:
            code.write(STRUCK + "".join(f"\n{one} = _struck({one})" for one in functions))


def failing(repository: Path, **environment: str) -> str:
    """What a `dvc repro` says that fails."""
    done = subprocess.run(
        ["dvc", "repro"],
        cwd=repository,
        env=with_programs(**environment),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode != 0, said
    assert "Traceback" not in said
    return said


def results(repository: Path) -> dict[str, bytes]:
    """What is the same in each run of the same code on the same data."""
    paths = [*repository.glob("models/*.safetensors"), *repository.glob("predictions/*.png")]
    paths += [repository / f"metrics/{name}.csv" for name in ("classes", "images", "confusion")]
    assert len(paths) >= 7
    return {path.relative_to(repository).as_posix(): path.read_bytes() for path in paths}


def left_over(repository: Path) -> list[str]:
    return [path.name for path in repository.rglob(".segpipe-*")]


@pytest.fixture
def small(baseline: Path, tmp_path: Path) -> Iterator[Path]:
    """The baseline on a disk of its own."""
    disk = tmp_path / "disk"
    with small_disk(disk, "500m"):
        # MLflow's store names the place that it would be copied from.
        without = shutil.ignore_patterns("mlflow.db*", "mlartifacts")
        repository = shutil.copytree(baseline, disk / "repository", symlinks=True, ignore=without)
        yield Path(repository)


def test_a_disk_that_fills_up_is_said_and_the_next_repro_ends_as_if_it_had_not(small: Path) -> None:
    """While the bundle is written, and then the tables of the evaluation; at last the disk is read-only."""
    before = results(small)
    make_strikable(small)
    for function, missing in (
        ("write_bundle", "models"),
        ("write_table", "metrics/classes.csv"),
    ):
        said = failing(small, FULL_AT=function)
        assert "the disk is full; no file was left half-written" in said
        assert "dvc gc" in said
        (small / "filler").unlink()
        assert not (small / missing).exists()
        assert left_over(small) == []
        assert ("resuming at" in said) == (function == "write_table"), "the training goes on"
        assert bool(checkpoints(small)) == (function == "write_bundle"), "what is published is done"
    assert stages_that_ran(run(small, "dvc", "repro")) == ["evaluate", "render"]
    assert results(small) == before
    subprocess.run(["mount", "-o", "remount,ro", str(small.parent)], check=True)
    refused = run_stage("train", small, SEGPIPE_PROCESSES="2")
    assert refused.returncode == 1
    assert (
        "Read-only file system. segpipe needs to read this place, and to write into"
        in refused.stderr
    )
    assert "Traceback" not in refused.stderr


def test_killed_while_it_publishes_it_goes_on_also_after_other_data(
    baseline: Path, data: Path
) -> None:
    before = results(baseline)
    make_strikable(baseline)
    failing(baseline, KILLED_AT="write_history")
    assert (baseline / "models").exists()
    assert len(checkpoints(baseline)) == 2
    changed = data / "images/train/drive0_000.png"
    kept = changed.read_bytes()
    try:
        save(changed, scene(98)[0])
        said = run(baseline, "dvc", "repro", "train")
        assert stages_that_ran(said) == ["fetch", "prepare", "train"]
        assert "resuming at" not in said
    finally:
        changed.write_bytes(kept)
    said = run(baseline, "dvc", "repro", "train")
    assert stages_that_ran(said) == ["train"]
    assert "resuming at" in said
    assert results(baseline) == before
    assert left_over(baseline) == []
    assert damaged(baseline) == []
