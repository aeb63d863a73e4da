"""The stage train of segpipe, as `python -m stages.train` runs it, with a log of what each step saw."""

import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np

from bench.peers import task
from bench.project import make_project
from segpipe.labels.load import load_scheme
from segpipe.params.prepare import PrepareParams
from segpipe.preparation.prepare import prepare_data
from segpipe.preparation.sample_job import PrepareContext
from segpipe.raw.input_spec import PICTURES
from segpipe.raw.sample import Sample
from segpipe.rendering.png import write_png
from segpipe.runtime.process_exit import explained
from segpipe.training import loop
from segpipe.training.step import StepReport, train_step
from stages import train


def prepare_workspace(folder: Path, norm: str, lanes: int) -> None:
    """Make a project in `folder` with the peers' scenes, prepared, and the peers' parameters."""
    changes = {
        "model": {"name": "unet", "unet": task.UNETS[norm].model_dump()},
        "loss": {"name": "cross_entropy"},
        "train": {
            "length": task.EPOCHS,
            "batch_size": task.BATCH,
            "lanes": lanes,
            "lr": task.LR,
            "warmup": "1 step",
            "validate_every": task.EPOCHS,
            "precision": "fp32",
            "augment": {"crop_height": task.CROP_HEIGHT, "crop_width": task.CROP_WIDTH},
        },
        "checkpoint": {"steps": task.CHECKPOINT_STEPS},
    }
    raw = make_project(folder, changes) / "data/raw"
    samples = []
    for number in range(task.SAMPLES):
        sample = Sample(f"{number:03d}", "", f"images/{number:03d}.png", f"masks/{number:03d}.png")
        for path, array in zip((sample.image, sample.mask), task.scene(number), strict=True):
            write_png(raw / str(path), array)
        samples.append(sample)
    rows = [f"{k},{name},{c[0]},{c[1]},{c[2]}" for k, (name, c) in enumerate(task.CLASSES.items())]
    (raw / "classes.csv").write_text("\n".join(["id,name,red,green,blue", *rows, ""]))
    context = PrepareContext(
        raw,
        load_scheme("classes.csv", {}, raw),
        PICTURES,
        PrepareParams(height=task.HEIGHT, width=task.WIDTH),
    )
    (folder / "data/prepared").mkdir()
    splits = {"train": samples, "val": samples[:2], "test": []}
    prepare_data(splits, context, folder / "data/prepared")


def main() -> None:
    """Train in the project that is the working directory, whose parameters are in its params.yaml."""
    log = task.StepLog()

    def logged(job: Any, pieces: Any, *, epoch: int, step: int, **options: Any) -> StepReport:
        report = train_step(job, pieces, epoch=epoch, step=step, **options)
        samples = np.concatenate([piece.specs_B["row"] for piece in pieces]).tolist()
        log.add(epoch * task.EPOCH_STEPS + step, samples, report.loss)
        return report

    loop.train_step = logged  # type: ignore[attr-defined]
    code = explained(train.start)
    if code == 0 and task.rank_and_world()[0] == 0:
        shutil.copy("models/last.safetensors", "final.safetensors")
    sys.exit(code)


if __name__ == "__main__":
    main()
