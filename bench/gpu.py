"""What only a GPU can show: equal bits after a kill, speed, memory, the board's tracks, a model to ship.

Runs the stages without DVC and MLflow, and needs no network. Beside torch and torchvision it needs the wheels
accelerate, matplotlib, numpy, pillow, pydantic, ruamel.yaml, safetensors, scipy and tqdm, and what those
need. What a part finds is printed as soon as it is known.

- resume: a training twice, once killed at a checkpoint; the weights bit by bit.
- speed: training steps against plain loops, the last two in bf16 with eight workers at 512x1024.
- memory: the peak of the recipe `cityscapes` on generated scenes beside its forecast.
- predict: `predict_files` against its steps alone; validation and prediction against plain loops.
- board: CamVid by the rules of docs/board.md, but that the preparation is outside the clock.
- streets: the model that comes with segpipe, trained on many more scenes.

Examples:
  python -m bench.gpu --camvid data/camvid
  python -m bench.gpu --parts resume speed memory
  python -m bench.gpu --parts board --camvid data/camvid --minutes 15 --seeds 0,1,2 --out results
  python -m bench.gpu --parts streets --out results
"""

import argparse
import hashlib
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from bench.board_data import board_params, recipe_params, steps_within
from bench.board_rows import row_line, scores_row, summary
from bench.project import ROOT, make_project, run_module, run_stage
from segpipe.cli.recipes import find_recipe
from segpipe.params.settings import set_in, settings_of
from segpipe.results.evaluation import Evaluation
from segpipe.results.records import read_record
from segpipe.runtime.atomic import write_json
from segpipe.runtime.hardware import best_device, device_name

PARTS = ("resume", "speed", "memory", "predict", "board", "streets")
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
# Arguments of bench.training, and of bench.inference.
_SIZES = "--height 512 --width 1024 --batch 8 --model-width 32"
_SPEEDS = (
    "--height 256 --width 512 --batch 8 --model-width 16",
    _SIZES,
    f"{_SIZES} --plain bf16 --workers 8",
    f"{_SIZES} --plain bf16 --workers 8 --compile",
)
# The recipe `cityscapes` on a few generated scenes of its size.
_MEMORY = {
    "source.name": "synthetic",
    "source.path": "data/synthetic.yaml",
    "source.synthetic.train": 16,
    "source.synthetic.val": 2,
    "source.synthetic.test": 0,
    "source.synthetic.height": 1024,
    "source.synthetic.width": 2048,
    "train.length": "4 steps",
    "train.warmup": 0,
    "train.validate_every": "4 steps",
}
# Seconds of a stage until its first step, beside what a trial measures: imports, CUDA, the checks.
_START = 15.0


def main() -> None:
    """Measure and print the parts that are asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--camvid", type=Path, help="the folder of CamVid, for the part board")
    parser.add_argument(
        "--recipe", default="camvid", help="of the board: a name or a file (camvid)"
    )
    parser.add_argument(
        "--set",
        dest="settings",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="over the recipe, for memory and board; can be repeated",
    )
    parser.add_argument("--minutes", type=float, default=3.0, help="of the board's clock (3)")
    parser.add_argument("--seeds", default="0", help="of the board, separated by commas (0)")
    parser.add_argument("--out", type=Path, help="a folder for the results of board and streets")
    options = parser.parse_args()
    if "board" in options.parts and options.camvid is None:
        parser.error("the part board needs the folder of CamVid: --camvid DIR")
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
            for arguments in _SPEEDS:
                run_module("bench.training", ROOT, *arguments.split(), "--steps", "10")
        case "memory":
            _compare_memory(folder, options.settings)
        case "predict":
            camvid = options.camvid
            more = [] if camvid is None else ["--photographs", str(camvid.resolve() / "images")]
            run_module("bench.prediction", ROOT, *more)
            run_module("bench.inference", ROOT, *_SIZES.split())
        case "board":
            _board(folder, options)
        case "streets":
            _streets(make_project(folder, STREETS), options.out)


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
    run_stage("train", project)
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


def _compare_memory(folder: Path, settings: Sequence[str]) -> None:
    """Print the peak of a short training at the size of the recipe `cityscapes` beside its forecast."""
    params = recipe_params(find_recipe("cityscapes"), {**_MEMORY, **settings_of(settings)})
    project = make_project(folder, params.model_dump(mode="json"))
    for stage in ("fetch", "prepare", "train"):
        run_stage(stage, project)
    forecast = json.loads((project / "data/report/report.json").read_text())["forecast"]
    found = json.loads((project / "metrics/training.json").read_text())
    ratio = found["peak_memory_mb"] / forecast["total_mb"]
    print(
        f"memory at batch {forecast['batch_size']} of {forecast['height']}x{forecast['width']}: peak "
        f"{found['peak_memory_mb']:.0f} MB, forecast {forecast['total_mb']:.0f} MB, ratio {ratio:.2f}"
    )


def _board(folder: Path, options: argparse.Namespace) -> None:
    """Train a recipe with each seed for as many steps as fit the minutes; print and keep the rows."""
    recipe = find_recipe(options.recipe)
    params = board_params(recipe, options.camvid, options.settings)
    params = steps_within(params, options.minutes, _START)
    rows = {}
    for seed in map(int, options.seeds.split(",")):
        content = params.model_dump(mode="json")
        set_in(content, "train.seed", seed)
        place = folder / str(seed)
        place.mkdir()
        project = make_project(place, content)
        for stage in ("fetch", "prepare"):
            run_stage(stage, project)
        began = time.monotonic()
        run_stage("train", project)
        seconds = time.monotonic() - began
        run_stage("evaluate", project)
        scores = scores_row(read_record(Evaluation, project / "metrics/evaluation.json"))
        machine, name = device_name(best_device()), f"{recipe.stem}-{seed}"
        rows[name] = {"seconds": round(seconds, 1), "machine": machine, **scores}
        print(row_line(name, rows[name]), flush=True)
        if options.out is not None:
            _keep(project, options.out / name)
            write_json(options.out / "rows.json", rows)
    for line in summary(recipe.stem, list(rows.values()), options.minutes):
        print(line)


def _streets(project: Path, out: Path | None) -> None:
    for stage in ("fetch", "prepare", "train", "evaluate"):
        run_stage(stage, project)
    for file in ("evaluation", "training"):
        content = json.loads((project / f"metrics/{file}.json").read_text())
        print(json.dumps({key: value for key, value in content.items() if key != "protocol"}))
    if out is not None:
        _keep(project, out / "streets")


def _keep(project: Path, out: Path) -> None:
    """Copy bundle, metrics and parameters of a project into a folder."""
    for name in ("models", "metrics"):
        shutil.copytree(project / name, out / name, dirs_exist_ok=True)
    shutil.copy(project / "params.yaml", out)


if __name__ == "__main__":
    main()
