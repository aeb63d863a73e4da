"""Tiny data sets and parameter files for the tests."""

import copy
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dvc.utils.hydra
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from ruamel.yaml import YAML

from segpipe.cli.recipes import read_header
from segpipe.dataset.digests import row_digest, write_row_digests, write_sums
from segpipe.dataset.layout import STORED_SPLITS, read_index
from segpipe.dataset.reader import open_dataset
from segpipe.dataset.shards import IMAGES, shard_path, shard_places
from segpipe.params.schema import Params

ROOT = Path(__file__).resolve().parent.parent
RECIPES = sorted((ROOT / "recipes").glob("*.yaml"))
CLASSES_CSV = (
    "id,name,red,green,blue\n0,sky,70,130,180\n1,road,128,64,128\n2,car,0,0,142\n9,void,0,0,0\n"
)


def scene(
    seed: int, height: int = 48, width: int = 64
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """An image that can be learnt, (H, W, 3), and its raw ids, (H, W): sky over road, with a car."""
    random = np.random.default_rng(seed)
    horizon = int(random.integers(height // 3, height // 2))
    mask = np.zeros((height, width), np.uint8)
    mask[horizon:] = 1
    left = int(random.integers(0, width - 20))
    mask[horizon : horizon + height // 4, left : left + 16] = 2
    mask[-3:] = 9
    colours = np.array([[110, 160, 210], [90, 90, 95], [150, 30, 30]] + [[20, 20, 20]] * 7)
    image = colours[mask] + random.integers(-20, 21, (height, width, 3))
    return image.clip(0, 255).astype(np.uint8), mask


def make_folder(
    root: Path, train: int = 8, val: int = 3, test: int = 0, height: int = 48, width: int = 64
) -> Path:
    """Write a data set in the layout of the folder source."""
    number = 0
    for split, count in (("train", train), ("val", val), ("test", test)):
        for index in range(count):
            image, mask = scene(number, height, width)
            save(root / f"images/{split}/drive{index % 2}_{index:03d}.png", image)
            save(root / f"masks/{split}/drive{index % 2}_{index:03d}.png", mask)
            number += 1
    (root / "classes.csv").write_text(CLASSES_CSV)
    return root


def save(path: Path, array: NDArray[Any]) -> None:
    """Write an image file of the kind that the suffix names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def tiny_parameters(data: Path, **changes: Any) -> dict[str, Any]:
    """Complete parameters for `make_folder` data; changes by dotted key, dots written as `__`."""
    content = copy.deepcopy(Params().model_dump(mode="json"))
    content["source"] |= {"name": "folder", "path": str(data)}
    content["labels"]["scheme"] = "classes.csv"
    content["prepare"] |= {"height": 32, "width": 48}
    content["model"]["unet"] |= {"width": 4, "depth": 2}
    content["train"] |= {"length": 2, "batch_size": 4, "lr": 0.01, "precision": "fp32"}
    content["train"]["warmup"] = 0.5
    content["train"]["validate_every"] = 1
    content["render"]["images"] = 2
    content["tracking"]["enabled"] = False
    for key, value in changes.items():
        *parents, last = key.split("__")
        section = content
        for parent in parents:
            section = section[parent]
        section[last] = value
    return content


def write_parameters(path: Path, content: dict[str, Any]) -> None:
    """Write a parameter file."""
    with path.open("w", encoding="utf-8") as file:
        YAML().dump(content, file)


def override_sets(text: str) -> list[list[str]]:
    """The `-S key=value` options in a text; those with but a space between them belong together."""
    sets: list[list[str]] = []
    end = -1
    for found in re.finditer(r"-S ('[^']+'|\S+?)(?=[,;.:)`]*(?:\s|$))", text):
        if end < 0 or text[end : found.start()] != " ":
            sets.append([])
        sets[-1].append(found[1].strip("'"))
        end = found.end()
    return sets


def tiny_overrides(recipe: Path) -> list[str]:
    """The options by which the header of a recipe says that it runs at a tiny size."""
    command = read_header(recipe.read_text()).fields["tiny"]
    assert command.startswith("dvc exp run --temp -S "), "it would leave params.yaml tiny"
    (options,) = override_sets(command)
    return options


def apply_overrides(parameters: Path, options: list[str]) -> None:
    """Change a parameter file as `dvc exp run -S` does, by DVC's own function."""
    dvc.utils.hydra.apply_overrides(parameters, options)


def make_workspace(root: Path, data: Path, **changes: Any) -> Path:
    """A folder in which stages run: dvc.yaml, params.yaml and the code, linked."""
    root.mkdir(parents=True, exist_ok=True)
    for name in ("segpipe", "stages", "dvc.yaml"):
        (root / name).symlink_to(ROOT / name)
    (root / ".dvc").mkdir()
    write_parameters(root / "params.yaml", tiny_parameters(data, **changes))
    return root


def make_prepared(root: Path, data: Path, **changes: Any) -> Path:
    """A workspace in which fetch and prepare have run."""
    workspace = make_workspace(root, data, **changes)
    for stage in ("fetch", "prepare"):
        done = run_stage(stage, workspace)
        assert done.returncode == 0, done.stderr
    return workspace


def workspace_with(prepared: Path, root: Path, **changes: Any) -> Path:
    """A workspace with a copy of what `make_prepared` left in the workspace `prepared`.

    The changes, of what `make_workspace` writes, must not be of what fetch and prepare read.
    """
    content = YAML(typ="safe").load(prepared / "params.yaml")
    workspace = make_workspace(root, Path(content["source"]["path"]), **changes)
    shutil.copytree(prepared / "data", workspace / "data")
    return workspace


def checkpoints(workspace: Path) -> list[Path]:
    """The checkpoints of the trainings of a workspace, the newest of each last."""
    return sorted(workspace.glob(".segpipe/state/*/checkpoint-*"))


def newest_checkpoint(workspace: Path) -> int:
    """The last step that is saved, 0 before the first."""
    return max((int(path.name.partition("-")[2]) for path in checkpoints(workspace)), default=0)


def wait_until(reached: Callable[[], object], seconds: float = 200) -> None:
    """Wait for something that others bring about; the time is only against hanging."""
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline, "it has not come"
        time.sleep(0.05)


def wait_for_checkpoint(workspace: Path, *trainers: "subprocess.Popen[Any]") -> None:
    """Wait until a training has saved; none of `trainers` may end before."""

    def reached() -> bool:
        early = [trainer for trainer in trainers if trainer.poll() is not None]
        assert early == [], [trainer.communicate() for trainer in early]
        return bool(checkpoints(workspace))

    wait_until(reached)


def children(pid: int) -> list[int]:
    """The processes that a process has started (proc(5)), whichever of its threads did."""
    lists = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for text in lists for child in text.read_text().split()]


def runs(pid: int) -> bool:
    """Whether there is such a process, and it has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def poisoned_bands(prepared: Path, split: str, row: int) -> str:
    """Make bands in float16 of prepared pictures, with NaN in one sample; return its name."""
    description = prepared / "dataset.json"
    about = json.loads(description.read_text())
    scaling = {"bands": [1, 2, 3], "low": [0.0] * 3, "high": [1.0] * 3}
    about["input"]["files"] |= {"kind": "raster", "scaling": scaling}
    description.write_text(json.dumps(about))
    for path in prepared.glob(f"*/{IMAGES}-*.npy"):
        np.save(path, (np.load(path) / 255).astype(np.float16))
    rows = read_index(prepared / split / "index.csv")
    shard_N, place_N = shard_places(rows, about["shards"][split])
    path = shard_path(prepared / split, IMAGES, shard_N[row])
    images = np.load(path)
    images[place_N[row], :, 3:5, 3:5] = np.nan
    np.save(path, images)
    reseal(prepared)
    return rows[row].sample.name


def reseal(prepared: Path) -> None:
    """Let prepared data that a test has changed pass for what was prepared."""
    write_sums(prepared)
    dataset = open_dataset(prepared)
    for name in STORED_SPLITS:
        split = dataset.split(name)
        rows = zip(split.images_NTHWC, split.masks_Nhw, strict=True)
        write_row_digests(prepared / name, [row_digest(*row) for row in rows])
    write_sums(prepared)


def run_stage(name: str, workspace: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a stage as DVC does, in a process of its own."""
    return run_python(["-m", f"stages.{name}"], workspace, **environment)


def run_python(
    arguments: list[str], folder: Path, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run Python in `folder` with warnings on, one thread, and no state of the caller."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=child_environment(**environment),
        capture_output=True,
        text=True,
        timeout=800,
        check=False,
    )


def signalled(script: str, folder: Path, until: str, number: int) -> "subprocess.Popen[str]":
    """Run a script in `folder`, and send it a signal once the file `until` is there, or it has ended."""
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=folder,
        env=child_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_until(lambda: (folder / until).exists() or process.poll() is not None)
    process.send_signal(number)
    return process


def child_environment(**changes: str) -> dict[str, str]:
    """The environment of a stage: the caller's less what tests and launchers leave in it."""
    left_out = (
        "DVC_",
        "MLFLOW_",
        "SEGPIPE_",
        "ACCELERATE_",
        "WORLD_SIZE",
        "RANK",
        "LOCAL_RANK",
        "GIT_",
    )
    kept = {key: value for key, value in os.environ.items() if not key.startswith(left_out)}
    fixed = {"OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0", "PYTHONFAULTHANDLER": "1"}
    return {**kept, **fixed, **changes}
