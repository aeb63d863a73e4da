"""What a training keeps along the way, outside DVC's outputs: models and pictures of validations.

They lie below .segpipe/kept, in a folder for each training, as `kept_folder` says. Each is named by
its step and written whole or not at all, so that a run that goes on from before writes it once more
and loses or doubles none. A disk that refuses stops no training.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from segpipe.params.model import ModelParams
from segpipe.runtime.atomic import atomic_dir, atomic_file
from segpipe.runtime.console import say
from segpipe.training.distributed.sharding import gathered
from segpipe.training.job import Job
from segpipe.training.state.checkpoint import Progress
from segpipe.training.watch.publish import write_kept_bundle


def keep_model(
    job: Job, progress: Progress, model: ModelParams, lineage: dict[str, Any], folder: Path
) -> None:
    """Write the result's present weights as a bundle below `folder`; all processes call this together."""
    leads = job.processes.leads
    weights = gathered(job.learner.result.state_dict(), on_leader=leads)
    if leads:
        target = folder / f"step_{progress.step:09d}"
        with _refusal_said(target), atomic_dir(target) as partial:
            write_kept_bundle(job, progress, weights, model, lineage, partial)


def keep_pictures(content: bytes, name: str, folder: Path) -> None:
    """Write a PNG of predictions as `name` below `folder`."""
    with _refusal_said(folder / name), atomic_file(folder / name) as partial:
        partial.write_bytes(content)


@contextlib.contextmanager
def _refusal_said(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        say(f"warning: {target} could not be written: {error}; the training goes on without it")
