"""How the memory of freed tensors is kept for the next ones, on Linux."""

import ctypes
import os

# Of glibc's malloc.h; man 3 mallopt.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX, _ARENA_MAX = -1, -2, -4, -8
_NEVER = -1
_GROWTH = 64 << 20


def keep_freed_memory() -> None:
    """Let this process keep the memory that it frees, and ask for huge pages where tensors are large.

    glibc returns each large tensor to the system when it is freed and asks for zeroed pages for the
    next one, which costs 10 to 20 % of a training step on CPUs (docs/benchmarks.md). The process does
    not shrink any more, and what lies free between its tensors takes up to a quarter more memory. Call
    it before torch makes its first tensor. Where the allocator is not glibc's, only the huge pages
    are asked for.
    """
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")  # read by torch
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        # One heap for all threads: the others are of 64 MB, and return what does not fit.
        for option, value in (
            (_ARENA_MAX, 1),
            (_MMAP_MAX, 0),
            (_TRIM_THRESHOLD, _NEVER),
            (_TOP_PAD, _GROWTH),
        ):
            mallopt(option, value)
