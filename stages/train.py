"""Stage train: train the network, in as many processes as there are GPUs or as are asked for.

reads   data/prepared/, or the copy of it that SEGPIPE_PREPARED names
writes  models/ (the bundle), metrics/history.csv, class_history.csv, learning_rate.csv (as planned),
        metrics/training.json, training_scores.json (its headline), mlflow.json

A run that was interrupted goes on from its last checkpoint.

Examples:
  dvc exp run -S train.lr=0.0005
  dvc exp run -S 'train.length=2000 steps' -S train.schedule=cosine
  SEGPIPE_PROCESSES=2 dvc repro
  accelerate launch --num_processes 8 stages/train.py
  torchrun --nproc_per_node 8 -m stages.train
"""

import os
import sys
import time
from pathlib import Path

if __name__ == "__main__" and __package__ in (None, ""):
    # `accelerate launch stages/train.py` puts this file's folder on the path, not the repository.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    from segpipe.runtime.allocation import keep_freed_memory
    from segpipe.runtime.process_exit import watch_parent

    watch_parent()  # as stages/__init__.py does for `python -m`
    keep_freed_memory()

from segpipe.dataset.reader import open_dataset
from segpipe.params.chosen import chosen
from segpipe.params.load import load_params
from segpipe.params.schema import Params
from segpipe.runtime.console import say_error
from segpipe.runtime.errors import DataError
from segpipe.runtime.process_exit import explained
from segpipe.runtime.provenance import PARAMETERS, Snapshot, take_snapshot
from segpipe.training.distributed.launch import already_launched, launch, number_of_processes
from segpipe.training.distributed.peers import PEER_FAILED, PEER_GRACE_SECONDS, PeerFailed
from segpipe.training.distributed.signals import RESUMABLE, Interrupted
from segpipe.training.run import Outputs, Plan, run_training
from stages.entry import parse_help

PREPARED = Path("data/prepared")
OUTPUTS = Outputs(
    bundle=Path("models"),
    history=Path("metrics/history.csv"),
    planned=Path("metrics/learning_rate.csv"),
    augmentation=Path("metrics/augmentation.png"),
    about_data=Path("data/statistics"),
    summary=Path("metrics/training.json"),
    tracking=Path("metrics/mlflow.json"),
)


def start() -> int:
    """Train in this process, or start the processes that do; return the exit code.

    75: start again to go on. 69: another process failed.
    """
    params, snapshot = load_params(PARAMETERS), take_snapshot("train")
    if not already_launched():
        processes = number_of_processes()
        if processes > 1:
            return launch("stages.train", processes)
    try:
        run_training(planned(params, snapshot), prepared_folder(), OUTPUTS)
    except Interrupted:
        return RESUMABLE
    except PeerFailed as end:
        say_error(str(end))
        time.sleep(0 if end.already_terminated else PEER_GRACE_SECONDS)
        return PEER_FAILED
    return 0


def prepared_folder() -> Path:
    """Return where the prepared data is read: SEGPIPE_PREPARED, where it names a copy of data/prepared.

    Such a copy lies on a disk of this machine, where data/prepared is on a slower one that machines
    share. Raises DataError when it is not of the same data, or either is missing or damaged.
    """
    named = os.environ.get("SEGPIPE_PREPARED")
    if not named:
        return PREPARED
    copy = Path(named)
    if open_dataset(copy).fingerprint != open_dataset(PREPARED).fingerprint:
        raise DataError(
            f"SEGPIPE_PREPARED: {copy} is a copy of other data than {PREPARED}/ is now; copy it again, "
            "or unset the variable"
        )
    return copy


def planned(params: Params, snapshot: Snapshot) -> Plan:
    """Return what is to be trained."""
    return Plan(
        model=params.model,
        loss=params.loss,
        train=params.train,
        checkpoint=params.checkpoint,
        tracking=params.tracking,
        recorded=chosen(params),
        snapshot=snapshot,
    )


if __name__ == "__main__":
    parse_help("train", __doc__)
    sys.exit(explained(start))
