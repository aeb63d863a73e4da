"""CamVid for the board: splits that leave whole drives out, and how many steps fit a time.

The names of CamVid's images begin with the drive that they were taken on: 0001TP (at dusk), 0006R0 and
0016E5 in the training split, 0016E5 alone in validation, Seq05VD and 0001TP in the test split of SegNet.
"""

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.plan import for_as_long
from bench.project import make_project, run_stage
from segpipe.params.load import load_overlay, validate
from segpipe.params.schema import Params
from segpipe.params.settings import set_in, settings_of
from segpipe.planning.plan import FIXED_SECONDS, RESERVE

DRIVES = ("0001TP", "0006R0", "0016E5")
TRAINING_IMAGES = 367
# Single scale, on the raw labels; what takes longer than the labels' scores is left out.
_PROTOCOL = {
    "evaluate.split": "val",
    "evaluate.windows": "whole",
    "evaluate.scales": [1.0],
    "evaluate.flip": False,
    "evaluate.boundaries": [],
    "evaluate.probabilities": False,
}


def board_params(recipe: Path, camvid: Path, settings: Sequence[str]) -> Params:
    """Return a recipe's parameters for the files of CamVid, scored by the board's protocol.

    settings: KEY=VALUE, over the recipe and the protocol.
    """
    changes = {"source.path": str(camvid.resolve()), **_PROTOCOL, **settings_of(settings)}
    return recipe_params(recipe, changes)


def recipe_params(recipe: Path, changes: Mapping[str, Any]) -> Params:
    """Return a recipe's parameters with some changed. changes: values by dotted key."""
    content = load_overlay(recipe).model_dump(mode="json")
    for key, value in changes.items():
        set_in(content, key, value)
    return validate(content, str(recipe))


def link_split(camvid: Path, drive: str, folder: Path) -> Path:
    """Make a folder of links to all training and validation images, with one drive as `val`.

    Returns the folder. Raises ValueError for a drive that holds no image, or all of them.
    """
    shutil.rmtree(folder, ignore_errors=True)
    found = {"train": 0, "val": 0}
    for image in sorted((camvid / "images").glob("*/*.*")):
        split = "val" if image.stem.partition("_")[0] == drive else "train"
        (mask,) = (camvid / "masks" / image.parent.name).glob(f"{image.stem}.*")
        for kind, file in (("images", image), ("masks", mask)):
            link = folder / kind / split / file.name
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(file.resolve())
        found[split] += 1
    if not all(found.values()):
        raise ValueError(
            f"the drive {drive} has {found['val']} images, the others {found['train']}"
        )
    shutil.copy(camvid / "classes.csv", folder)
    return folder


def steps_within(params: Params, minutes: float, start: float = FIXED_SECONDS) -> Params:
    """Return parameters with as many steps as fit the minutes on this machine, by a trial of a few.

    They validate once, at the end. start: the seconds of all starts, which count; preparation comes on
    top.
    """
    with tempfile.TemporaryDirectory() as folder:
        project = make_project(Path(folder), params.model_dump(mode="json"))
        run_stage("fetch", project)
        seconds = minutes * 60 * RESERVE - start
        return for_as_long(params, project / "data/raw", seconds, scored=False)
