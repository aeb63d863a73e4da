"""Where a run begins: at its newest whole checkpoint, the same one in all processes."""

from typing import Any

from accelerate.utils import broadcast_object_list, gather_object

from segpipe.runtime.errors import CheckpointError
from segpipe.training.distributed.sharding import restore_weights
from segpipe.training.job import Job, Learner, Processes
from segpipe.training.optimizer import restore_optimizer
from segpipe.training.state.checkpoint import (
    AVERAGE,
    BEST,
    NETWORK,
    OPTIMIZER,
    Checkpoints,
    Progress,
    State,
)

_SHARE = (
    "that folder must be on a file system that all machines share; where it is, start again a minute "
    "later, when what the system remembers of it is renewed"
)


def resume(job: Job) -> tuple[Progress, list[str]]:
    """Put the newest whole checkpoint into `job`; return how far it is, or a fresh start.

    The leading process chooses, and the others read the same one, for one of several computers may
    read a file that another cannot. The second value says, in the leading process, what is not as
    it was when the checkpoint was written, and which damaged ones were deleted.

    Raises CheckpointError when no checkpoint is whole, or the newest whole one is of another
    network: starting over in silence would hide that. Also, in all processes, when the leading one
    does not see what another one sees: it would start over, or from before.
    """
    found: State | None = None
    notes: list[str] = []
    _refuse_unshared(job)
    if job.processes.leads:
        job.checkpoints.clear_up()
        found, notes = _newest_whole(job.checkpoints)
        notes += [
            f"{path}: is not named as a checkpoint, so it is passed over; the folder is deleted when "
            "the training has finished, so move it elsewhere to keep it"
            for path in job.checkpoints.strays()
        ]
    step = _agreed(job.processes, found.progress.step if found else None)
    if step is None:
        return Progress(), notes
    state = found or _read_as_led(job.checkpoints, step)
    try:
        _put_back(job.learner, state, on_leader=job.processes.leads)
    except (RuntimeError, KeyError, ValueError, IndexError) as error:
        raise CheckpointError(
            f"{job.checkpoints.folder}: the state of this run is of another network than the code "
            f"builds now ({error}); bring that code back, or delete the folder to train from the start"
        ) from error
    return state.progress, notes + _differences(state.about, job.about)


def _refuse_unshared(job: Job) -> None:
    """Raise CheckpointError when another process sees a newer checkpoint than the leading one.

    The leading process may run on another machine than before, when machines come and go.
    """
    if job.processes.number == 1:
        return
    leading, *others = gather_object([max(job.checkpoints.steps(), default=0)])
    for rank, step in enumerate(others, start=1):
        if step > leading:
            raise CheckpointError(
                f"{job.checkpoints.folder}: rank {rank} sees the checkpoint of step {step} there, and "
                f"rank 0 none after step {leading}; {_SHARE}"
            )


def _read_as_led(checkpoints: Checkpoints, step: int) -> State:
    """Read the checkpoint that the leading process has read."""
    try:
        return checkpoints.read(step)
    except CheckpointError as error:
        raise CheckpointError(f"{error}; the leading process has read it, so {_SHARE}") from error


def _newest_whole(checkpoints: Checkpoints) -> tuple[State | None, list[str]]:
    """Return the newest checkpoint that is as it was written; delete those after it."""
    faults: dict[int, str] = {}
    for step in reversed(checkpoints.steps()):
        try:
            state = checkpoints.read(step)
        except CheckpointError as error:
            faults[step] = str(error)
            continue
        for damaged in faults:
            checkpoints.drop(damaged)
        notes = [
            f"{fault}; it was deleted, and the one before is whole" for fault in faults.values()
        ]
        return state, notes
    if faults:
        raise CheckpointError(
            f"{'; '.join(faults.values())}. No checkpoint of this run is whole, so the disk is at "
            f"fault; delete {checkpoints.folder} to train from the start"
        )
    return None, []


def _agreed(processes: Processes, step: int | None) -> int | None:
    """Return what the leading process says."""
    said: list[Any] = [step]
    if processes.number > 1:
        broadcast_object_list(said)
    return None if said[0] is None else int(said[0])


def _put_back(learner: Learner, state: State, on_leader: bool) -> None:
    tensors = state.tensors
    restore_weights(learner.network, tensors[NETWORK])
    if learner.average:
        restore_weights(learner.average.network, tensors[AVERAGE])
    restore_optimizer(learner.optimizer, tensors[OPTIMIZER])
    learner.best = tensors.get(BEST) if on_leader else None


def _differences(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    return [
        f"{key} was {before.get(key)!r} and is {value!r} now"
        for key, value in now.items()
        if before.get(key) != value
    ]
