"""What each of the trainings that run side by side may use: GPUs of its own, its part of the processor."""

import os

from segpipe.runtime.errors import ParameterError
from segpipe.runtime.workers import usable_cores

_VISIBLE = "CUDA_VISIBLE_DEVICES"
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")


def shared_out(jobs: int) -> list[dict[str, str]]:
    """Return the environment of each of `jobs` trainings; what the user set for threads stands.

    Raises ParameterError where there are GPUs, but fewer than trainings.
    """
    gpus = _visible_gpus()
    if gpus and jobs > len(gpus):
        raise ParameterError(
            f"--jobs {jobs}: there are {len(gpus)} GPUs, and each training needs one of its own; give "
            f"--jobs {len(gpus)} or fewer"
        )
    each = max(len(gpus) // jobs, 1)
    threads = str(max(usable_cores() // jobs, 1))
    environments = []
    for job in range(jobs):
        own = {name: os.environ.get(name, threads) for name in _THREADS} if jobs > 1 else {}
        if gpus:
            own[_VISIBLE] = ",".join(gpus[job * each : (job + 1) * each])
        environments.append(own)
    return environments


def _visible_gpus() -> list[str]:
    """Return what names each GPU here; the driver is asked, since torch takes seconds to import."""
    named = os.environ.get(_VISIBLE)
    if named is not None:
        return [one.strip() for one in named.split(",") if one.strip() not in ("", "-1")]
    import pynvml

    try:
        pynvml.nvmlInit()
        try:
            return [str(number) for number in range(pynvml.nvmlDeviceGetCount())]
        finally:
            pynvml.nvmlShutdown()
    except pynvml.NVMLError:
        return []
