"""A project without DVC and MLflow, so that its stages run where neither is installed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from segpipe.params.overlay import overlaid

ROOT = Path(__file__).resolve().parent.parent


def make_project(folder: Path, changes: dict[str, Any]) -> Path:
    """Make a project in `folder` with the code of this repository and parameters over the defaults."""
    for name in ("segpipe", "stages", "data"):
        (folder / name).mkdir() if name == "data" else (folder / name).symlink_to(ROOT / name)
    (folder / ".dvc").mkdir()
    (folder / "metrics").mkdir()
    shutil.copy(ROOT / "dvc.yaml", folder)
    shutil.copy(ROOT / "data/synthetic.yaml", folder / "data")
    content = overlaid({**changes, "tracking": {"enabled": False}})
    with (folder / "params.yaml").open("w", encoding="utf-8") as file:
        YAML().dump(content, file)
    return folder


def run_stage(name: str, project: Path) -> None:
    """Run a stage in the folder of a project; CalledProcessError where it fails."""
    run_module(f"stages.{name}", project)


def run_module(module: str, folder: Path, *arguments: str) -> None:
    """Run a module of this repository in a folder; CalledProcessError where it fails."""
    environment = {**os.environ, "DVC_ROOT": str(folder)}
    command = [sys.executable, "-m", module, *arguments]
    subprocess.run(command, cwd=folder, env=environment, check=True)
