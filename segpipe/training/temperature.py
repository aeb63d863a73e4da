"""The temperature of a trained model, fitted on half of the validation images (docs/measures.md).

Shapes: N pixels, K classes, h and w of an image's truth.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from segpipe.augment.draw import plain_specs
from segpipe.bundle import load_bundle
from segpipe.bundle_format import read_description, write_description
from segpipe.dataset.subset import evenly_spaced
from segpipe.labels.scheme import VOID
from segpipe.loading.batches import read_batch
from segpipe.metrics.temperature import LARGEST, SMALLEST, fit_temperature
from segpipe.models.parts.network import Network
from segpipe.runtime.randomness import ranked
from segpipe.training.job import Job
from segpipe.training.validate import result_logits

MOST_SAMPLES, MOST_PIXELS = 100, 2000  # of the fit, and of each sample


def calibrate(folder: Path, job: Job) -> None:
    """Fit the temperature of the bundle in `folder`, and write it into its description.

    One process does it, an image at a time, so that the number of processes changes nothing. The
    lineage has `temperature`: the image files of the fit and its pixels, or why there was none.
    """
    model = load_bundle(folder).model
    temperature, found = _fitted(model, job)
    about = read_description(folder)
    lineage = {**about.lineage, "temperature": found}
    write_description(
        folder, about.model_copy(update={"temperature": temperature, "lineage": lineage})
    )


def rows_of_fit(images: list[str], seed: int) -> list[int]:
    """Return the rows of validation samples that the temperature is fitted on, at most 100.

    images: the image file of each row; windows of one file stay together. They belong to half of
    the files, rounded down, as ranked by a hash of (seed, path).
    """
    files = ranked(set(images), seed)
    half = set(files[: len(files) // 2])
    rows = [row for row, image in enumerate(images) if image in half]
    return [rows[place] for place in evenly_spaced(len(rows), MOST_SAMPLES)]


def _fitted(model: Network, job: Job) -> tuple[float, dict[str, Any]]:
    """Return the temperature and what the lineage says of it."""
    if job.train.overfit is not None:
        return 1.0, {"none": "train.overfit validates on what it learns by heart"}
    images = [row.sample.image for row in job.data.val_split.rows]
    rows = rows_of_fit(images, job.train.seed)
    if not rows:
        return 1.0, {"none": "there are fewer than two validation images"}
    logits_NK, truth_N = _pixels(model, job, rows)
    temperature = fit_temperature(logits_NK, truth_N)
    if temperature is None:
        return 1.0, {
            "none": f"no temperature in {SMALLEST:g}..{LARGEST:g} is best for {len(rows)} samples"
        }
    fit_images = list(dict.fromkeys(images[row] for row in rows))
    return temperature, {"images": fit_images, "pixels": len(truth_N)}


def _pixels(
    model: Network, job: Job, rows: list[int]
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Return logits, of one logit z as 0 and z, and truth of evenly spaced valid pixels of some rows."""
    data, processes = job.data, job.processes
    model = model.to(processes.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    learner = replace(job.learner, network=model, average=None)
    logits, truths = [], []
    for row in rows:
        batch = read_batch(data.val_split, plain_specs([row]), data.frames, pin=False)
        truth_n = batch.mask_Bhw[0].flatten().numpy()
        valid = np.flatnonzero(truth_n != VOID)
        places = valid[evenly_spaced(len(valid), MOST_PIXELS)]
        with torch.no_grad():
            logits_Khw = result_logits(learner, data, processes, batch)[0]
        chosen_NK = logits_Khw.flatten(1)[:, places].float().T.cpu().numpy()
        logits.append(np.pad(chosen_NK, ((0, 0), (1, 0))) if len(logits_Khw) == 1 else chosen_NK)
        truths.append(truth_n[places])
    return np.concatenate(logits), np.concatenate(truths)
