"""A finished training becomes files: the bundle, the history, what it cost."""

import csv
import io
from pathlib import Path
from typing import Any

from segpipe.atomic import write_text
from segpipe.bundle import InputForm, plain_weights, save_bundle
from segpipe.engine.checkpoint import Progress
from segpipe.engine.setup import Job
from segpipe.hardware import device_name
from segpipe.models.network import count_parameters
from segpipe.params.model import ModelParams


def write_bundle(
    job: Job, progress: Progress, model: ModelParams, lineage: dict[str, Any], folder: Path
) -> None:
    """Write the bundle into the existing `folder`."""
    dataset = job.dataset
    scores = {"best_epoch": progress.best_epoch + 1, "val_miou": progress.best_miou}
    save_bundle(
        folder,
        job.checkpoints.best(),
        plain_weights(job.network),
        model,
        dataset.scheme,
        InputForm(
            dataset.height,
            dataset.width,
            dataset.fit,
            dataset.mean,
            dataset.std,
            job.train.precision,
            dataset.frames,
            dataset.reading,
        ),
        {
            **lineage,
            "data": dataset.fingerprint,
            "excluded": dataset.excluded,
            "scores": scores,
        },
    )


def write_history(progress: Progress, path: Path) -> None:
    """Write a row an epoch; cells without a value are empty."""
    text = io.StringIO()
    table = csv.DictWriter(text, progress.history[0].keys(), lineterminator="\n")
    table.writeheader()
    for row in progress.history:
        table.writerow({key: _cell(value) for key, value in row.items()})
    write_text(path, text.getvalue())


def training_summary(job: Job, progress: Progress) -> dict[str, Any]:
    """Return what metrics/training.json says: the best epoch's scores and what the run cost.

    images_per_second: median over the epochs. device_hours: hours times processes.
    """
    rows = progress.history
    best = rows[progress.best_epoch]
    seconds = sum(row["seconds"] or 0.0 for row in rows)
    waited = sum(row["wait_seconds"] or 0.0 for row in rows)
    speeds = sorted(row["images_per_second"] or 0.0 for row in rows)
    return {
        "best_epoch": progress.best_epoch + 1,
        "epochs": len(rows),
        "val_miou": best["val_miou"],
        "val_pixel_accuracy": best["val_pixel_accuracy"],
        "val_loss": best["val_loss"],
        "train_loss": rows[-1]["train_loss"],
        "images_per_second": round(speeds[len(speeds) // 2], 3),
        "seconds": round(seconds, 2),
        "wait_share": round(waited / max(seconds, 1e-9), 5),
        "device_hours": round(seconds * job.share.processes / 3600, 5),
        "peak_memory_mb": round(max(row["peak_memory_mb"] or 0.0 for row in rows), 1),
        "parameters": count_parameters(job.network),
        "processes": job.share.processes,
        "precision": job.precision,
        "device": device_name(job.device),
    }


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"
