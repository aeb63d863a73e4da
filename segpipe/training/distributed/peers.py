"""The other processes of a training: whether they train the same, and what is said when one is gone."""

import contextlib
import socket
from collections.abc import Iterator
from typing import Any

import numpy as np
from accelerate.utils import gather_object
from numpy.typing import NDArray
from torch.distributed import DistNetworkError

from segpipe.dataset.reader import Split
from segpipe.runtime.errors import LaunchError, SegpipeError
from segpipe.training.distributed.signals import StopRequest

# EX_UNAVAILABLE of sysexits.h: another process of the run has failed, and says why.
PEER_FAILED = 69

# Seconds that a process whose peer has failed waits to be ended. A launcher ends all as soon as one
# has ended, and the one that knows the cause must have said it by then.
PEER_GRACE_SECONDS = 20.0

# What gloo says when the process at the other end has closed its connection, has died, or says nothing
# for the longest time that is waited; and NCCL.
_GLOO = (
    "Connection closed by peer",
    "Connection reset by peer",
    "Broken pipe",
    "Timed out waiting",
)
_NCCL = "ncclRemoteError"


class PeerFailed(Exception):  # noqa: N818 (the error is another process's)
    """This process ends because another one of the training did, which says why.

    already_terminated: whether the launcher has asked this process to end already.
    """

    def __init__(self, text: str, already_terminated: bool = False) -> None:
        super().__init__(text)
        self.already_terminated = already_terminated


def is_peer_disconnect(error: BaseException) -> bool:
    """Return whether an error only tells that another process of the training has gone or hangs."""
    if not isinstance(error, RuntimeError):
        return False
    text = str(error)
    by_gloo = "gloo" in text and any(sign in text for sign in _GLOO)
    return by_gloo or _NCCL in text or isinstance(error, DistNetworkError)


@contextlib.contextmanager
def peers_watched(rank: int, stop: StopRequest) -> Iterator[None]:
    """Raise PeerFailed in place of an error that only tells that another process is gone."""
    try:
        yield
    except (RuntimeError, OSError) as error:
        if not is_peer_disconnect(error):
            raise
        text = f"rank {rank}: another process is gone, so this one ends ({error})"
        raise PeerFailed(text, already_terminated=stop.asked) from None


def sample_names(split: Split, rows_B: NDArray[np.int64]) -> str:
    """Return the names of rows of a split, as a message lists them."""
    return ", ".join(split.rows[row].sample.name for row in rows_B.tolist())


@contextlib.contextmanager
def annotate_errors(
    place: str, rank: int, split: Split, rows_B: NDArray[np.int64]
) -> Iterator[None]:
    """Add to an unexpected error where it was met: the place, the process and the samples.

    The error goes on as it is: Python prints its traceback and below it what is added here. What a
    person can act on (SegpipeError) names its place by itself.
    """
    try:
        yield
    except Exception as error:
        if not (isinstance(error, SegpipeError) or is_peer_disconnect(error)):
            error.add_note(f"rank {rank}, {place}, samples {sample_names(split, rows_B)}")
        raise


def refuse_differing(processes: int, own: dict[str, Any]) -> None:
    """Raise LaunchError, in all processes, unless they were all started with the same.

    own: what this process was started with, by the name by which a message speaks of it. Several
    machines may have a checkout, a params.yaml or a copy of the prepared data each; a training in
    which these differ would hang, or be recorded as what it was not. All call this together.
    """
    if processes == 1:
        return
    everyone: list[tuple[str, dict[str, Any]]] = gather_object([(socket.gethostname(), own)])
    (leading_host, leading), *others = everyone
    for rank, (host, found) in enumerate(others, start=1):
        for name, value in leading.items():
            if found[name] != value:
                raise LaunchError(
                    f"rank {rank} on {host} was not started with the same {name} as rank 0 on "
                    f"{leading_host}; give all machines the same code, params.yaml, prepared data and "
                    "environment, and start again"
                )
