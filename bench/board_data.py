"""CamVid for the board: splits that leave whole drives out, and how many steps fit a time.

The names of CamVid's images begin with the drive that they were taken on: 0001TP (at dusk), 0006R0 and
0016E5 in the training split, 0016E5 alone in validation, Seq05VD and 0001TP in the test split of SegNet.
"""

import shutil
import tempfile
from pathlib import Path

from bench.gpu import make_project, run_stage
from bench.plan import for_as_long
from segpipe.params.schema import Params
from segpipe.planning.plan import FIXED_SECONDS, RESERVE

DRIVES = ("0001TP", "0006R0", "0016E5")
TRAINING_IMAGES = 367


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


def steps_within(params: Params, minutes: float) -> Params:
    """Return parameters with as many steps as fit the minutes on this machine, by a trial of a few.

    They validate once, at the end. The start is counted; preparation comes on top.
    """
    with tempfile.TemporaryDirectory() as folder:
        project = make_project(Path(folder), params.model_dump(mode="json"))
        run_stage("fetch", project)
        seconds = minutes * 60 * RESERVE - FIXED_SECONDS
        return for_as_long(params, project / "data/raw", seconds, scored=False)
