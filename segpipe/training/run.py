"""A training from prepared data to a published bundle."""

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from accelerate import PartialState

from segpipe.dataset.reader import Dataset, open_dataset
from segpipe.loading.order import Share
from segpipe.params.checkpoint import CheckpointParams
from segpipe.params.loss import LossParams
from segpipe.params.model import ModelParams
from segpipe.params.schema import TrackingParams
from segpipe.params.train import TrainParams
from segpipe.results.records import write_record
from segpipe.results.training import TrainedRun
from segpipe.runtime.atomic import whole_folder
from segpipe.runtime.console import say
from segpipe.runtime.provenance import Snapshot
from segpipe.runtime.revision import git_revision
from segpipe.runtime.state import held_alone, profile_folder, state_folder
from segpipe.training.distributed.failure import Followed, other_is_gone
from segpipe.training.distributed.interruption import StopRequest, listening
from segpipe.training.distributed.sharding import gathered
from segpipe.training.forecast import forecast
from segpipe.training.loop import train
from segpipe.training.setup import Job, set_up
from segpipe.training.smaller import fitting, go_on_smaller
from segpipe.training.state.checkpoint import Progress
from segpipe.training.state.identity import Identity
from segpipe.training.state.resume import resume
from segpipe.training.stopping import Row
from segpipe.training.suitability import outputs_of, refuse_exchanged
from segpipe.training.watch.announce import announce, say_early_stop, say_result
from segpipe.training.watch.memory import OutOfMemory, Shortage, memory_watched
from segpipe.training.watch.preview import write_sheet
from segpipe.training.watch.profiler import Profiler
from segpipe.training.watch.publish import (
    training_summary,
    write_bundle,
    write_history,
    write_planned_rates,
)
from segpipe.training.watch.tracked import mlflow_run, numbers


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
    Interrupted after a signal,
    TrainingError when memory falls short; with `train.auto_accumulate` one process goes on by itself
    in smaller pieces, of several each raises StartAgain or Followed.
    """
    dataset = open_dataset(prepared)
    identity = Identity(plan.model, plan.loss, plan.train, dataset.fingerprint)
    decisive = identity.describe()
    state, weights = state_folder(decisive), decisive.get("pretrained")
    leads = _rank() == 0
    with held_alone(state) if leads else contextlib.nullcontext():
        if leads and (line := identity.take_over_former_state(state)):
            say(line)
        try:
            while shortage := _attempt(plan, dataset, state, weights, outputs):
                foreseen = partial(_forecast, plan, dataset, shortage.share)
                go_on_smaller(plan.train, shortage, state, foreseen)
        except (RuntimeError, OSError) as error:
            _follow(error, told=False)
        finally:
            _leave_group()


def _attempt(
    plan: Plan, dataset: Dataset, state: Path, weights: str | None, outputs: Outputs
) -> Shortage | None:
    """Train and publish; return what memory fell short for, when all that took it is let go.

    weights: SHA-256 of the file of the first weights, which is a part of what `state` stands for.
    """
    plan = replace(plan, train=fitting(plan.train, _processes(), state))
    about = _about(plan)
    job = set_up(dataset, plan.model, plan.loss, plan.train, state, about, plan.checkpoint)
    refuse_exchanged(job.pretrained, weights)
    progress, notes = resume(job)
    progress.note_accumulation(job.share.accumulation)
    if job.leads:
        announce(job, plan.loss, progress, notes)
        write_planned_rates(job, outputs.planned)
        drawn = job.train.augmentation, job.train.seed
        write_sheet(outputs.augmentation, dataset, job.train_split, *drawn)
    try:
        with listening() as stop:
            _train_and_publish(plan, job, progress, stop, outputs)
    except OutOfMemory as error:
        return error.shortage
    except (RuntimeError, OSError) as error:
        _follow(error, stop.asked)
    return None


def _follow(error: Exception, told: bool) -> NoReturn:
    """Raise Followed where an error only tells that another process is gone, else the error."""
    if not other_is_gone(error):
        raise error
    text = f"rank {_rank()}: another process is gone, so this one ends ({error})"
    raise Followed(text, told) from None


def _forecast(plan: Plan, dataset: Dataset, share: Share) -> dict[str, Any]:
    train = plan.train.model_copy(update={"accumulation": share.accumulation})
    sides, logits = (dataset.input.height, dataset.input.width), outputs_of(plan.loss, dataset)
    about = (
        len(dataset.input.mean),
        logits,
        dataset.truth_ratio,
        dataset.input.frames,
        share.processes,
    )
    return forecast(plan.model, train, *sides, *about)


def _train_and_publish(
    plan: Plan, job: Job, progress: Progress, stop: StopRequest, outputs: Outputs
) -> None:
    with mlflow_run(plan.tracking, plan.model.name, plan.recorded, job, progress, stop) as (
        tracker,
        log_row,
    ):
        if tracker is not None:
            tracker.log_files(outputs.augmentation, "data")
            if outputs.about_data.is_dir():
                tracker.log_files(outputs.about_data, "data")
        profiler = Profiler(job, profile_folder(job.checkpoints.folder))
        with memory_watched(job, progress), profiler:
            _train(job, progress, stop, log_row, profiler)
        last = gathered(job.result.state_dict(), kept=job.leads)
        if tracker is None:
            return
        say_early_stop(job, progress)
        summary = training_summary(job, progress)
        with whole_folder(outputs.bundle) as partial:
            write_bundle(job, progress, last, plan.model, _lineage(plan, job), partial)
            plan.snapshot.verify()
        write_history(progress, outputs.history)
        write_record(outputs.summary, summary)
        write_record(outputs.tracking, TrainedRun(run_id=tracker.run_id))
        costs = numbers(summary.model_dump())
        whole_run = {f"training/{name}": value for name, value in costs.items()}
        tracker.log_metrics(whole_run, step=progress.step)
        tracker.log_files(outputs.bundle, "bundle")
        if profiler.written:
            tracker.log_files(profiler.folder, "profile")
        # Before the state is removed: who is killed meanwhile has still something to go on from.
        tracker.finish("FINISHED")
        job.checkpoints.remove()
    say_result(job, progress, str(outputs.bundle))
    if profiler.written:
        say(profiler.last_line())


def _train(
    job: Job,
    progress: Progress,
    stop: StopRequest,
    log: Callable[[Row], None],
    profiler: Profiler,
) -> None:
    """Train; when that fails, let the checkpoint that is being written become whole first."""
    try:
        train(job, progress, stop, log, profiler)
    except Exception:
        job.saver.wait()
        raise


def _about(plan: Plan) -> dict[str, Any]:
    """What may differ when a run goes on, and is said aloud then."""
    return {
        "code": plan.snapshot.code,
        "processes": _processes(),
        "accumulation": plan.train.accumulation,
        "sharding": plan.train.sharding,
    }


def _rank() -> int:
    return int(os.environ.get("RANK", "0"))


def _processes() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))


def _lineage(plan: Plan, job: Job) -> dict[str, Any]:
    code = {"code": plan.snapshot.code, "git_commit": git_revision()}
    started = {"pretrained": job.pretrained.lineage()} if job.pretrained else {}
    return {"parameters": plan.recorded, **code, **started}


def _leave_group() -> None:
    """Leave the process group in order, without which some runs abort when they exit."""
    if PartialState._shared_state:
        PartialState().destroy_process_group()
