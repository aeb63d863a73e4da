"""Out of memory: which errors say so, on a GPU or a CPU, and what a person is told."""

import errno
import traceback

# torch has a class of error for GPUs only; on CPUs its allocator, and the libraries', say these.
_SIGNS = (
    "can't allocate memory",
    "Cannot allocate memory",
    "not enough memory",
    "bad_alloc",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)
# oneDNN and Python say these of a lack of memory, and of other things.
_ALSO_OF_OTHER_THINGS = (
    "could not create a primitive",
    "could not execute a primitive",
    "can't start new thread",
)
_PROBE = 1 << 28
_OURS = ("segpipe.", "stages.")


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that memory fell short; torch need not be imported."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    if not isinstance(error, RuntimeError):
        return False
    text = str(error)
    starved = any(sign in text for sign in _ALSO_OF_OTHER_THINGS) and not _has_room()
    return starved or any(sign in text for sign in _SIGNS)


def allocator_words(error: BaseException) -> str:
    """Return the first line of what an error says, 300 characters at most."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:300]


def out_of_memory_text(error: BaseException) -> str:
    """Return what a person is told where a command has no better words: the place, the cause, the repair."""
    places = [
        f" in {module}, {frame.f_code.co_name}"
        for frame, _ in traceback.walk_tb(error.__traceback__)
        if (module := frame.f_globals.get("__name__", "")).startswith(_OURS)
    ]
    place = places[-1] if places else ""
    return (
        f"out of memory{place}: {allocator_words(error)}\n"
        "Free some memory, or ask for less of it: fewer processes or threads (SEGPIPE_PROCESSES, "
        "OMP_NUM_THREADS), smaller images or windows, a smaller batch or network; then start again"
    )


def _has_room() -> bool:
    """Whether this process could have 256 MB more now, while it holds what it needs."""
    try:
        bytearray(_PROBE)
    except MemoryError:
        return False
    return True
