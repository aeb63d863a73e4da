"""A finished run once more, beside the workspace: experiment, bundle and MLflow run."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.forge import ROOT
from tests.pipeline.conftest import RUN_CACHE, run, with_forked_programs

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def reproduce(repository: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["python", "-m", "segpipe.cli.main", "reproduce", *arguments],
        cwd=repository,
        env=with_forked_programs(PYTHONPATH=str(ROOT)),
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )


def test_an_experiment_its_bundle_and_its_run_come_out_in_the_same_bits(
    baseline: Path, tmp_path: Path
) -> None:
    run(
        baseline,
        "dvc",
        "exp",
        "run",
        "--temp",
        "-n",
        "wide",
        "-S",
        "train.lr=0.02",
        "-S",
        "loss.name=lovasz",
    )
    before = run(baseline, "git", "status", "--porcelain"), (baseline / "params.yaml").read_bytes()
    cached = {path.name for path in (baseline / RUN_CACHE).rglob("*")}
    done = reproduce(baseline, "wide", "--to", str(tmp_path / "again"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the same bits: SHA-256" in done.stdout
    assert "scores       " in done.stdout and " before, " not in done.stdout
    assert (tmp_path / "again/metrics/report.html").is_file()
    assert "Running stage 'train'" in done.stdout and "is cached" not in done.stdout
    assert {path.name for path in (baseline / RUN_CACHE).rglob("*")} == cached
    # The experiment names the MLflow run, the run the experiment; the clone's own run is not among them.
    training = json.loads(
        run(baseline, "git", "show", "wide:metrics/training.json".replace("wide", ref(baseline)))
    )
    said = reproduce(baseline, training["mlflow_run"], "--dry-run")
    assert said.returncode == 0, said.stdout + said.stderr
    assert "lr=0.02 [wide]), DVC experiment wide" in said.stdout
    bundle = reproduce(baseline, str(tmp_path / "again/models"), "--dry-run")
    assert bundle.returncode == 0, (
        "the code of its commit is that of the training: " + bundle.stderr
    )
    # In 140 characters: the scores, and what was changed.
    shown = run(
        baseline,
        "dvc",
        "exp",
        "show",
        "--only-changed",
        "--no-pager",
        "--hide-workspace",
        "--drop",
        ".*/|models",  # a column for each digest that differs, such as that of the data
        COLUMNS="140",
    )
    assert max(map(len, shown.splitlines())) <= 140
    header = next(line for line in shown.splitlines() if "Experiment" in line).split()
    # Without hours: those of two so short trainings can be the same.
    assert {"miou", "val_loss", "images_s", "loss.name", "train.lr"} <= set(header)
    difference = run(baseline, "dvc", "metrics", "diff", "main", ref(baseline)).splitlines()
    assert len(difference) <= 1 + 6
    assert (
        run(baseline, "git", "status", "--porcelain"),
        (baseline / "params.yaml").read_bytes(),
    ) == before


def ref(repository: Path) -> str:
    names = run(repository, "git", "for-each-ref", "--format=%(refname)", "refs/exps").split()
    return next(name for name in names if name.endswith("/wide"))


def test_code_that_was_never_committed_is_named(baseline: Path, tmp_path: Path) -> None:
    about = json.loads((baseline / "models/model.json").read_text())
    about["lineage"] |= {
        "code": "0" * 32,
        "git_commit": run(baseline, "git", "rev-parse", "HEAD").strip(),
    }
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle/model.json").write_text(json.dumps(about))
    done = reproduce(baseline, str(tmp_path / "bundle"), "--dry-run")
    assert done.returncode == 1
    assert "changes that were not committed" in done.stderr
    forced = reproduce(baseline, str(tmp_path / "bundle"), "--dry-run", "--force")
    assert forced.returncode == 0, forced.stderr
    assert "in the DVC cache" in forced.stdout
