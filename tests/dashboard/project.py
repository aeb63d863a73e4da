"""A project for the tests of the dashboard: a tiny model, images with truth, nothing trained."""

import shutil
import subprocess
import sys
from pathlib import Path

from segpipe.dataset.layout import Row, write_index
from segpipe.params.schema import TrackingParams
from segpipe.raw.sample import Sample
from segpipe.tracking.store import open_store
from tests.forge import ROOT, child_environment, make_folder

BUNDLE = ROOT / "tests/data/bundles/format5"
NAMES = ("s0", "s1", "s2")


def make_project(root: Path) -> Path:
    """Write models/, data/raw with three images of split val, and samples/ with others."""
    copy_bundle(root / "models")
    make_folder(root / "data/raw", train=1, val=3)
    files = sorted((root / "data/raw/images/val").iterdir())
    samples = [
        Sample(name, "g", f"images/val/{file.name}", f"masks/val/{file.stem}.png")
        for name, file in zip(NAMES, files, strict=True)
    ]
    (root / "data/prepared/val").mkdir(parents=True)
    write_index(root / "data/prepared/val/index.csv", [Row(sample, 0) for sample in samples])
    make_folder(root / "samples", train=2, val=1)
    return root


def copy_bundle(target: Path) -> None:
    target.mkdir(parents=True)
    for name in ("model.json", "model.safetensors"):
        shutil.copyfile(BUNDLE / name, target / name)


def make_experiment(root: Path, name: str) -> None:
    """Make a repository with an experiment whose model lies in DVC's cache and nowhere else."""

    def run(*command: str) -> str:
        done = subprocess.run(
            command, cwd=root, env=child_environment(), capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    dvc = (sys.executable, "-m", "dvc")
    run("git", "init", "-q")
    run("git", "config", "user.email", "a@example.org")
    run("git", "config", "user.name", "a")
    run(*dvc, "init", "-q")
    copy_bundle(root / "models")
    run(*dvc, "add", "-q", "models")
    run("git", "add", "-A")
    run("git", "commit", "-qm", "trained")
    head = run("git", "rev-parse", "HEAD")
    run("git", "update-ref", f"refs/exps/{head[:2]}/{head[2:]}/{name}", head)
    run("git", "rm", "-q", "models.dvc")
    shutil.rmtree(root / "models")


def make_runs() -> None:
    """Log runs to the store of the working folder: `with model`, `without`, and an unfinished one."""
    store = open_store(TrackingParams())
    with store.calls() as client:
        for name in ("with model", "without"):
            run = client.create_run(store.experiment_id, run_name=name)
            if name == "with model":
                client.log_artifacts(run.info.run_id, str(BUNDLE), "bundle")
            client.set_terminated(run.info.run_id)
        client.create_run(store.experiment_id, run_name="unfinished")
