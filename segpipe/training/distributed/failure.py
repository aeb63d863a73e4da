"""What a process of a training says, and with which code it ends, when one of them cannot go on."""

import contextlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from torch.distributed import DistNetworkError

from segpipe.dataset.reader import Split
from segpipe.runtime.errors import SegpipeError

# EX_UNAVAILABLE of sysexits.h: another process of the run has failed, and says why.
FOLLOWED = 69
# EX_OSERR: memory fell short; started again, the training goes on in smaller pieces.
SMALLER = 71

# Seconds that a process which follows another waits to be ended. A launcher ends all as soon as one
# has ended, and the one that knows the cause must have said it by then.
LINGER = 20.0

# What gloo says when the process at the other end has closed its connection, or has died; and NCCL.
_GLOO = ("Connection closed by peer", "Connection reset by peer", "Broken pipe")
_NCCL = "ncclRemoteError"


class Followed(Exception):  # noqa: N818 (the error is another process's)
    """This process ends because another one of the training did, which says why.

    told: whether the launcher has asked this process to end already.
    """

    def __init__(self, text: str, told: bool = False) -> None:
        super().__init__(text)
        self.told = told


class StartAgain(Exception):  # noqa: N818 (starting again is all that is needed)
    """The processes end together, and go on from the last checkpoint when they are started again."""


def other_is_gone(error: BaseException) -> bool:
    """Return whether an error only tells that another process of the training has gone."""
    if not isinstance(error, RuntimeError):
        return False
    text = str(error)
    by_gloo = "gloo" in text and any(sign in text for sign in _GLOO)
    return by_gloo or _NCCL in text or isinstance(error, DistNetworkError)


def sample_names(split: Split, rows_B: NDArray[np.int64]) -> str:
    """Return the names of rows of a split, as a message lists them."""
    return ", ".join(split.rows[row].sample.name for row in rows_B.tolist())


@contextlib.contextmanager
def noted(what: str, rank: int, split: Split, rows_B: NDArray[np.int64]) -> Iterator[None]:
    """Add to an unexpected error where it was met: `what`, of which process, with which samples.

    The error goes on as it is: Python prints its traceback and below it what is added here. What a
    person can act on (SegpipeError) names its place by itself.
    """
    try:
        yield
    except Exception as error:
        if not (isinstance(error, SegpipeError) or other_is_gone(error)):
            error.add_note(f"rank {rank}, {what}, samples {sample_names(split, rows_B)}")
        raise
