"""A training from prepared data to a published bundle."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from torch import Tensor

from segpipe.dataset.reader import Dataset, open_dataset
from segpipe.params.checkpoint import CheckpointParams
from segpipe.params.loss import LossParams
from segpipe.params.model import ModelParams
from segpipe.params.schema import TrackingParams
from segpipe.params.train import TrainParams
from segpipe.results.records import write_record
from segpipe.results.training import TrainedRun, TrainingHeadline, training_headline
from segpipe.runtime.atomic import atomic_dir
from segpipe.runtime.console import say
from segpipe.runtime.provenance import Snapshot
from segpipe.runtime.revision import git_revision
from segpipe.runtime.state import held_alone, kept_folder, profile_folder, state_folder
from segpipe.tracking.tracker import Tracker
from segpipe.training.distributed.peers import peers_watched
from segpipe.training.distributed.sharding import gathered
from segpipe.training.distributed.signals import StopRequest, listening
from segpipe.training.forecast import forecast
from segpipe.training.job import Job, Learner
from segpipe.training.loop import train
from segpipe.training.setup import set_up
from segpipe.training.state.checkpoint import Progress
from segpipe.training.state.identity import Identity
from segpipe.training.state.resume import resume
from segpipe.training.suitability import outputs_of, refuse_exchanged
from segpipe.training.temperature import calibrate
from segpipe.training.watch.console import announce, say_early_stop, say_result
from segpipe.training.watch.kept import keep_model
from segpipe.training.watch.memory import memory_watched
from segpipe.training.watch.pictures import write_sheet
from segpipe.training.watch.profiler import Profiler
from segpipe.training.watch.publish import (
    training_summary,
    write_bundle,
    write_history,
    write_planned_rates,
)
from segpipe.training.watch.tracked import mlflow_run


@dataclass(frozen=True)
class Plan:
    """What is to be trained. recorded: all parameters, as the bundle and MLflow keep them."""

    model: ModelParams
    loss: LossParams
    train: TrainParams
    tracking: TrackingParams
    recorded: dict[str, Any]
    snapshot: Snapshot
    checkpoint: CheckpointParams = field(default_factory=CheckpointParams)


@dataclass(frozen=True)
class Outputs:
    """Where the results go.

    planned: the planned learning rate. augmentation: a picture of what it does. about_data: the
    pictures of the data, which are not ours but go to MLflow with the rest.
    """

    bundle: Path
    history: Path
    planned: Path
    augmentation: Path
    about_data: Path
    summary: Path
    tracking: Path


def run_training(plan: Plan, prepared: Path, outputs: Outputs) -> None:
    """Train, or go on with a training that was interrupted, and publish the result.

    The leading process holds the state's lock, speaks with MLflow and writes the outputs.
    Raises BusyError when another process trains on the same state, StaleRunError when parameters
    or code changed meanwhile (the finished state is kept then) or the first weights did at the start,
    Interrupted after a signal, OutOfMemory when memory falls short, and PeerFailed when another
    process of the training is gone.
    """
    dataset = open_dataset(prepared)
    identity = Identity(plan.model, plan.loss, plan.train, dataset.fingerprint)
    decisive, about = identity.describe(), _about(plan)
    state, stop = state_folder(decisive), StopRequest()
    lock = held_alone(state) if _rank() == 0 else contextlib.nullcontext()
    with lock, _process_group(), peers_watched(_rank(), stop):
        if _rank() == 0 and (line := identity.take_over_former_state(state)):
            say(line)
        job = set_up(dataset, plan.model, plan.loss, plan.train, state, about, plan.checkpoint)
        learner, processes = job.learner, job.processes
        refuse_exchanged(learner.pretrained, decisive.get("pretrained"))
        progress, notes = resume(job)
        if processes.leads:
            announce(job, plan.loss, progress, notes)
            write_planned_rates(job.train, job.lengths, outputs.planned)
            augment, seed = job.train.augmentation, job.train.seed
            write_sheet(outputs.augmentation, dataset, job.data.train_split, augment, seed)
        profiler = Profiler(
            profile_folder(state),
            steps=job.train.profile if processes.leads else 0,
            batch_size=job.train.batch_size,
            device=processes.device,
        )
        foreseen = partial(_forecast, plan, dataset, processes.number)
        memory = memory_watched(
            processes.shard, job.data.crop, processes.device, progress, foreseen
        )
        with (
            listening(stop),
            mlflow_run(plan.tracking, plan.model.name, plan.recorded, job, progress, stop) as (
                tracker,
                log_row,
            ),
        ):
            if tracker is not None:
                _send_pictures(tracker, outputs)
            with memory, profiler:
                train(job, progress, stop, log_row, profiler, partial(_keep, plan, job, progress))
            last = gathered(learner.result.state_dict(), on_leader=processes.leads)
            if tracker is not None:
                _publish(plan, job, progress, last, tracker, profiler, outputs)
        if processes.leads:
            say_result(progress, str(outputs.bundle))
            if (kept := kept_folder(state, "models").parent).is_dir():
                say(f"models and pictures of the way there are in {kept}/ (checkpoint, tracking)")
        if profiler.written:
            say(profiler.last_line())


def _send_pictures(tracker: Tracker, outputs: Outputs) -> None:
    tracker.log_files(outputs.augmentation, "data")
    if outputs.about_data.is_dir():
        tracker.log_files(outputs.about_data, "data")


def _publish(
    plan: Plan,
    job: Job,
    progress: Progress,
    last: dict[str, Tensor],
    tracker: Tracker,
    profiler: Profiler,
    outputs: Outputs,
) -> None:
    """Write the outputs, tell MLflow of them, and remove the state. last: the weights at the end."""
    say_early_stop(job.train.early_stopping, job.lengths.total, progress)
    summary = training_summary(job, progress, tracker.run_id)
    with atomic_dir(outputs.bundle) as partial_folder:
        write_bundle(job, progress, last, plan.model, _lineage(plan, job.learner), partial_folder)
        calibrate(partial_folder, job)
        plan.snapshot.verify()
    write_history(progress, outputs.history)
    headline = training_headline(summary)
    write_record(outputs.summary, summary)
    write_record(outputs.summary.with_name(TrainingHeadline.file), headline)
    write_record(outputs.tracking, TrainedRun(run_id=tracker.run_id))
    # The loss and images/s are metrics by step already.
    tracker.log_metrics({"hours": headline.hours}, step=progress.step)
    tracker.log_files(outputs.summary, "training")
    tracker.log_files(outputs.bundle, "bundle")
    if profiler.written:
        tracker.log_files(profiler.folder, "profile")
    # Before the state is removed: who is killed meanwhile has still something to go on from.
    tracker.finish("FINISHED")
    job.checkpoints.remove()


def _keep(plan: Plan, job: Job, progress: Progress) -> None:
    """Keep the model of the present step where `checkpoint.every` asks for it."""
    every = plan.checkpoint.every
    if every and progress.step % every.steps(job.lengths.epoch, job.train.batch_size) == 0:
        folder = kept_folder(job.checkpoints.folder, "models")
        # Git is asked by the one process that writes.
        lineage = _lineage(plan, job.learner) if job.processes.leads else {}
        keep_model(job, progress, plan.model, lineage, folder)


def _forecast(plan: Plan, dataset: Dataset, processes: int) -> dict[str, Any]:
    return forecast(
        plan.model,
        plan.train,
        height=dataset.input.height,
        width=dataset.input.width,
        channels=len(dataset.input.mean),
        outputs=outputs_of(plan.loss, dataset),
        truth_ratio=dataset.truth_ratio,
        frames=dataset.input.frames,
        processes=processes,
    )


def _about(plan: Plan) -> dict[str, Any]:
    """What may differ when a run goes on, and is said aloud then."""
    return {
        "code": plan.snapshot.code,
        "processes": _processes(),
        "accumulation": plan.train.accumulation,
        "sharding": plan.train.sharding,
        # The bits of a lane depend on it.
        **({"threads": torch.get_num_threads()} if plan.train.lanes else {}),
    }


def _rank() -> int:
    return int(os.environ.get("RANK", "0"))


def _processes() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))


def _lineage(plan: Plan, learner: Learner) -> dict[str, Any]:
    code = {"code": plan.snapshot.code, "git_commit": git_revision()}
    started = {"pretrained": learner.pretrained.lineage()} if learner.pretrained else {}
    return {"parameters": plan.recorded, **code, **started}


@contextlib.contextmanager
def _process_group() -> Iterator[None]:
    """Leave the process group in order after the block, without which some runs abort when they exit."""
    try:
        yield
    finally:
        if PartialState._shared_state:
            PartialState().destroy_process_group()
