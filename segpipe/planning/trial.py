"""A few real steps on a few of the person's own samples: what a plan costs on this machine."""

import statistics
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from accelerate.state import AcceleratorState

from segpipe.augment.draw import plain_specs
from segpipe.dataset.reader import open_dataset
from segpipe.dataset.subset import evenly_spaced
from segpipe.evaluation.evaluate import evaluate
from segpipe.inference.predictor import Predictor
from segpipe.inference.views import Views
from segpipe.loading.batches import read_batch
from segpipe.params.schema import Params
from segpipe.planning.facts import Costs
from segpipe.preparation.prepare import prepare_data
from segpipe.preparation.sample_job import PrepareContext
from segpipe.raw.sample import Sample
from segpipe.training.distributed.sharding import gathered
from segpipe.training.distributed.signals import StopRequest
from segpipe.training.job import Job
from segpipe.training.setup import set_up
from segpipe.training.state.checkpoint import Progress
from segpipe.training.step import train_step
from segpipe.training.validate import validate
from segpipe.training.watch.publish import write_kept_bundle

_SAMPLES, _LEAST_SECONDS, _MOST_STEPS = 8, 3.0, 40
_SCORED = 3  # a photograph of 12 million pixels takes seconds


def measure(
    params: Params, samples: Mapping[str, Sequence[Sample]], context: PrepareContext
) -> Costs:
    """Prepare a few samples and take a few steps as `params` says; nothing of it is kept.

    samples: by split, as the source lists them. Raises what prepare and training raise when the
    parameters do not fit the data.
    """
    size = params.train.batch_size
    few = {
        "train": _spread(samples["train"], max(size, _SAMPLES)),
        "val": _spread(samples["val"] or samples["train"], _SAMPLES // 2),
        "test": [],
    }
    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder) / "prepared"
        prepared.mkdir()
        prepare_data(few, replace(context, prepare=params.prepare, excluded={}), prepared)
        # Centroids take time to find; a rate without warm-up must not lead to infinite values.
        train = params.train.model_copy(update={"sampler": "uniform", "lr": 1e-9})
        dataset = open_dataset(prepared)
        # Accelerate keeps the precision for the process; each trial may have another.
        AcceleratorState._reset_state(reset_partial_state=True)
        try:
            job = set_up(dataset, params.model, params.loss, train, Path(folder) / "state", {})
            return Costs(
                step=_step_seconds(job),
                validation=_validation_seconds(job),
                evaluation=_evaluation_seconds(job, params, few["train"], context.raw, folder),
            )
        finally:
            AcceleratorState._reset_state(reset_partial_state=True)


def _step_seconds(job: Job) -> float:
    rows = np.arange(job.train.batch_size)
    device = job.processes.device
    batch = read_batch(
        job.data.train_split, plain_specs(rows), job.data.frames, device.type == "cuda"
    )
    seconds: list[float] = []
    # The first two choose algorithms and fill caches.
    while len(seconds) < _MOST_STEPS and (len(seconds) < 5 or sum(seconds[2:]) < _LEAST_SECONDS):
        began = perf_counter()
        train_step(job, [batch], epoch=0, step=len(seconds), lr=0.0)
        _wait(device)
        seconds.append(perf_counter() - began)
    return statistics.median(seconds[2:])


def _validation_seconds(job: Job) -> float:
    def once() -> float:
        began = perf_counter()
        validate(job.learner, job.data, job.objective, job.processes, StopRequest())
        _wait(job.processes.device)
        return perf_counter() - began

    once()
    return once() / len(job.data.val_split)


def _evaluation_seconds(
    job: Job, params: Params, samples: Sequence[Sample], raw: Path, folder: str
) -> float:
    """Score a few samples at their own resolution, as the evaluate stage does."""
    bundle, options = Path(folder) / "bundle", params.evaluate
    bundle.mkdir()
    weights = gathered(job.learner.network.state_dict(), on_leader=True)
    write_kept_bundle(job, Progress(), weights, params.model, {}, bundle)
    predictor = Predictor.load(bundle, views=Views.of(options))

    def once(some: Sequence[Sample]) -> float:
        began = perf_counter()
        evaluate(
            predictor,
            some,
            raw,
            boundaries=options.boundaries,
            probabilities=options.probabilities,
            temporal=options.temporal != "none",
        )
        return perf_counter() - began

    once(samples[:1])
    few = samples[:_SCORED]
    return once(few) / len(few)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _spread(samples: Sequence[Sample], number: int) -> list[Sample]:
    places = evenly_spaced(len(samples), min(number, len(samples)))
    return [samples[place] for place in places]
