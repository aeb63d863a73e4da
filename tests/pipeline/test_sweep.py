"""segpipe sweep under DVC and MLflow: killed and gone on, pruned, applied; and the recipes of sweeps."""

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from segpipe.cli.recipes import params_text
from tests.forge import ROOT, apply_overrides, newest_checkpoint, tiny_overrides, wait_until
from tests.pipeline.conftest import copy_project, mlflow_of, run, with_programs
from tests.pipeline.test_dvc_killed import eighty_slow_steps

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux's /proc"),
]

SEGPIPE = ["python", "-m", "segpipe.cli.main"]
SWEEPS = sorted((ROOT / "recipes/sweeps").glob("*.yaml"))
PRUNED = """
name: killed
search: grid
space:
  train.lr: {choice: [0.01, 0.0000001]}
metrics: {history.val_miou: maximize}
pruner: {name: median, startup: 1}
"""


def files_of(repository: Path, name: str) -> dict[str, Any]:
    page = repository / ".segpipe/sweeps" / name / "sweep.html"
    assert "<script" not in page.read_text()
    found: dict[str, Any] = json.loads(page.with_name("sweep.json").read_text())
    assert len(page.with_name("trials.csv").read_text().splitlines()) == 1 + len(found["trials"])
    return found


def committed(repository: Path, experiment: str, file: str) -> bytes:
    refs = run(repository, "git", "for-each-ref", "--format=%(refname)", "refs/exps").split()
    [ref] = [ref for ref in refs if ref.endswith(f"/{experiment}")]
    return run(repository, "git", "show", f"{ref}:{file}").encode()


def test_a_sweep_that_is_killed_goes_on_prunes_and_is_applied(
    baseline: Path, data: Path, tmp_path: Path
) -> None:
    eighty_slow_steps(baseline, data)
    parameters = YAML(typ="safe").load(baseline / "params.yaml")
    parameters["tracking"]["enabled"] = True
    parameters["train"]["validate_every"] = "8 steps"
    with (baseline / "params.yaml").open("w") as file:
        YAML().dump(parameters, file)
    before = (baseline / "params.yaml").read_bytes(), run(baseline, "git", "status", "--porcelain")
    file_of_sweep = tmp_path / "killed.yaml"
    file_of_sweep.write_text(PRUNED)
    command = [*SEGPIPE, "sweep", str(file_of_sweep)]
    with (tmp_path / "said").open("w") as said:
        sweep = subprocess.Popen(
            command,
            cwd=baseline,
            env=with_programs(),
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
    wait_until(lambda: newest_checkpoint(baseline) or sweep.poll() is not None)
    assert sweep.poll() is None, (tmp_path / "said").read_text()
    os.killpg(sweep.pid, signal.SIGKILL)
    sweep.wait()
    said_now = run(baseline, *command)
    log = (baseline / ".segpipe/sweeps/killed/000/killed-000.log").read_text()
    assert "resuming at" in log, "it goes on from its checkpoint"
    found = files_of(baseline, "killed")
    assert [one["state"] for one in found["trials"]] == ["complete", "pruned"], said_now
    summary = json.loads(committed(baseline, "killed-001", "metrics/training.json"))
    assert summary["pruned"] is True
    assert summary["steps"] < 80
    assert "pruned" not in json.loads(committed(baseline, "killed-000", "metrics/training.json"))
    refuse_cached(baseline, "killed-001")
    check_mlflow(baseline)
    assert "take the first: dvc exp apply killed-000" in said_now
    after = (baseline / "params.yaml").read_bytes(), run(baseline, "git", "status", "--porcelain")
    assert after == before, "the workspace stays as it was"
    run(baseline, "dvc", "exp", "apply", "killed-000")
    assert YAML(typ="safe").load(baseline / "params.yaml")["train"]["lr"] == 0.01


def refuse_cached(repository: Path, experiment: str) -> None:
    """DVC must not take a pruned training for the result of its parameters (also test_seeds.py)."""
    lock = YAML(typ="safe").load(committed(repository, experiment, "dvc.lock"))
    [model] = [out["md5"] for out in lock["stages"]["train"]["outs"] if out["path"] == "models"]
    entries = list((repository / ".dvc/cache/runs").glob("*/*/*"))
    assert entries
    assert not [entry for entry in entries if model in entry.read_text()]


def check_mlflow(repository: Path) -> None:
    """Each trial's run is below that of the sweep, and says how it ended."""
    with mlflow_of(repository) as client:
        experiments = [one.experiment_id for one in client.search_experiments()]
        found = list(client.search_runs(experiments))
    [above] = [run for run in found if run.data.tags.get("sweep") == "killed"]
    assert above.info.run_name == "sweep killed"
    assert above.info.status == "FINISHED"
    assert above.data.metrics["best/history.val_miou"] > 0
    below = [run for run in found if run.data.tags.get("mlflow.parentRunId") == above.info.run_id]
    states = {run.data.tags["dvc_experiment"]: run.data.tags["trial_state"] for run in below}
    assert states == {"killed-000": "complete", "killed-001": "pruned"}


@pytest.mark.parametrize("sweep", SWEEPS, ids=lambda path: path.stem)
def test_a_sweep_of_the_recipes_runs_at_a_tiny_size(sweep: Path, tmp_path: Path) -> None:
    base = {"sequence_grid": "sequence", "tiles_bayes": "esd"}[sweep.stem]
    root, recipe = tmp_path / "w", ROOT / f"recipes/{base}.yaml"
    copy_project(root)
    for world in ("synthetic.yaml", "synthetic_esd.yaml"):
        shutil.copy(ROOT / "data" / world, root / "data" / world)
    (root / "params.yaml").write_text(params_text(recipe))
    tiny = [
        one for one in tiny_overrides(recipe) if not one.startswith(("train.batch", "train.length"))
    ]
    apply_overrides(root / "params.yaml", tiny)
    for arguments in (("init", "-q"), ("add", "-A"), ("commit", "-qm", "tiny")):
        run(root, "git", "-c", "user.name=Ann", "-c", "user.email=ann@example.org", *arguments)
    text = sweep.read_text().replace("[8, 16, 32]", "[1, 2]").replace("[4, 8, 16]", "[2, 4]")
    text = text.replace("10 epochs", "2 steps").replace("{int: [5, 30]}", "{int: [2, 3]}")
    (root / "tiny.yaml").write_text(text)
    said = run(root, *SEGPIPE, "sweep", "tiny.yaml", "--trials", "2")
    assert "take the first: dvc exp apply tiny-00" in said
    found = files_of(root, "tiny")
    assert [one["state"] for one in found["trials"]] == ["complete"] * 2
    assert all(0 <= one["means"]["evaluation.miou"] <= 1 for one in found["trials"])
