"""Outputs that are hard links into DVC's cache."""

import shutil
from pathlib import Path

import pytest

from tests.pipeline.cache import damaged, objects
from tests.pipeline.conftest import run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

OUTPUTS = ("data/raw", "data/prepared", "models", "predictions")


def output_files(repository: Path) -> list[Path]:
    return [path for name in OUTPUTS for path in (repository / name).rglob("*") if path.is_file()]


def test_a_forced_rerun_leaves_the_cache_as_it_was(baseline: Path) -> None:
    before = objects(baseline)
    ran = run(baseline, "dvc", "repro", "--force")
    assert ran.count("Running stage") == 5
    assert damaged(baseline) == []
    assert before.items() <= objects(baseline).items()


def test_stages_started_by_hand_leave_the_cache_as_it_was(baseline: Path) -> None:
    # Unlike DVC, which deletes outputs first, this meets the links.
    before = objects(baseline)
    assert output_files(baseline), "there is nothing to write over"
    for stage in ("fetch", "prepare", "train", "evaluate", "render"):
        run(baseline, "python", "-m", f"stages.{stage}")
    assert damaged(baseline) == []
    assert before == objects(baseline)


def test_outputs_come_back_as_write_protected_links(baseline: Path) -> None:
    for name in OUTPUTS:
        shutil.rmtree(baseline / name)
    run(baseline, "dvc", "checkout", "--force")
    cached = {path.stat().st_ino for path in (baseline / ".dvc/cache").rglob("*")}
    files = [path for path in output_files(baseline) if path.stat().st_size]
    assert len(files) > 30
    assert [path for path in files if path.stat().st_ino not in cached] == []
    assert [path for path in files if path.stat().st_mode & 0o222] == []
    assert damaged(baseline) == []
