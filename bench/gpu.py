"""What only a GPU can show: equal bits after a kill, speed of training and prediction, CamVid to its end.

Runs the stages without DVC and MLflow, so that a machine with torch, accelerate and pydantic is enough;
each part is said as soon as it is known.

Examples:
  python -m bench.gpu --camvid data/camvid
  python -m bench.gpu --parts resume speed
  python -m bench.gpu --parts streets --out results
"""

import argparse
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from ruamel.yaml import YAML

from segpipe.params.overlay import overlaid
from segpipe.runtime.hardware import best_device, device_name
from segpipe.runtime.yaml_file import read_yaml

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("resume", "speed", "predict", "camvid", "streets")
# The model that comes with segpipe: what fits three megabytes, on many more scenes than the demo's.
STREETS = {
    "source": {"synthetic": {"train": 2000, "val": 100, "test": 0}},
    "prepare": {"height": 128, "width": 256},
    "model": {"unet": {"width": 8}},
    "train": {
        "length": 40,
        "batch_size": 16,
        "lr": 0.006,
        "validate_every": 5,
        "ema": 0.99,
        "augment": {"crop_height": 96, "crop_width": 192},
    },
}


def main() -> None:
    """Measure and print the parts that are asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--camvid", type=Path, help="the folder of CamVid, for the part camvid")
    parser.add_argument("--epochs", type=int, default=300, help="of CamVid (default: 300)")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--out", type=Path, help="a folder for the results of camvid and streets")
    options = parser.parse_args()
    print(f"{device_name(best_device())}, torch {torch.__version__}", flush=True)
    for part in options.parts:
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            _run_part(part, Path(folder), options)
        print(f"{part}: {time.monotonic() - began:.0f} s", flush=True)


def _run_part(part: str, folder: Path, options: argparse.Namespace) -> None:
    match part:
        case "resume":
            _compare_killed(folder)
        case "speed":
            for arguments in (("256", "512", "8", "16"), ("512", "1024", "8", "32")):
                names = ("--height", "--width", "--batch", "--model-width")
                given = [text for pair in zip(names, arguments, strict=True) for text in pair]
                _python("bench.training", ROOT, *given, "--steps", "10")
        case "predict":
            more = (
                []
                if options.camvid is None
                else ["--photographs", str(options.camvid.resolve() / "images")]
            )
            _python("bench.prediction", ROOT, *more)
        case "camvid":
            if options.camvid is None:
                sys.exit("camvid: name its folder with --camvid")
            changes = read_yaml(ROOT / "recipes/camvid.yaml")
            changes["source"]["path"] = str(options.camvid.resolve())
            changes["prepare"] = {"height": 360, "width": 480}
            changes["train"] |= {"length": options.epochs, "validate_every": 20, "lr": 0.006}
            changes["train"] |= {"batch_size": 16, "ema": 0.99}
            changes["train"]["augment"] = {
                "crop_height": 288,
                "crop_width": 384,
                "scale": [0.7, 1.6],
            }
            _report(make_project(folder, changes), options.out, part)
        case "streets":
            _report(make_project(folder, STREETS), options.out, part)


def _compare_killed(folder: Path) -> None:
    """Train twice, once killed by kill -9 at a checkpoint, and compare the weights bit by bit."""
    changes = {
        "prepare": {"height": 128, "width": 256},
        "train": {"length": 12, "batch_size": 8},
        "checkpoint": {"steps": 10},
    }
    project = make_project(folder, changes)
    for stage in ("fetch", "prepare", "train"):
        run_stage(stage, project)
    whole = _digest(project)
    again = subprocess.run([sys.executable, "-m", "stages.train"], cwd=project, check=True)
    assert again.returncode == 0
    print(
        f"trained twice: {'equal bits' if _digest(project) == whole else 'DIFFERENT'}", flush=True
    )
    training = subprocess.Popen([sys.executable, "-m", "stages.train"], cwd=project)
    while _newest_step(project) < 40:
        assert training.poll() is None, "it ended before it was killed"
        time.sleep(0.01)
    training.send_signal(signal.SIGKILL)
    training.wait()
    run_stage("train", project)
    print(
        f"killed and resumed: {'equal bits' if _digest(project) == whole else 'DIFFERENT'}",
        flush=True,
    )


def _newest_step(project: Path) -> int:
    names = [path.name for path in project.glob(".segpipe/state/*/checkpoint-*")]
    return max((int(name.partition("-")[2]) for name in names), default=0)


def _digest(project: Path) -> str:
    return hashlib.sha256((project / "models/model.safetensors").read_bytes()).hexdigest()


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


def _report(project: Path, out: Path | None, name: str) -> None:
    for stage in ("fetch", "prepare", "train", "evaluate"):
        run_stage(stage, project)
    for file in ("evaluation", "training"):
        content = json.loads((project / f"metrics/{file}.json").read_text())
        print(json.dumps({key: value for key, value in content.items() if key != "protocol"}))
    if out is not None:
        for folder in ("models", "metrics"):
            shutil.copytree(project / folder, out / name / folder, dirs_exist_ok=True)


def run_stage(name: str, project: Path) -> None:
    """Run a stage in the folder of a project; CalledProcessError where it fails."""
    _python(f"stages.{name}", project)


def _python(module: str, folder: Path, *arguments: str) -> None:
    environment = {**os.environ, "DVC_ROOT": str(folder)}
    command = [sys.executable, "-m", module, *arguments]
    subprocess.run(command, cwd=folder, env=environment, check=True)


if __name__ == "__main__":
    main()
