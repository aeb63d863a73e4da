"""How many processes train, and their start on this machine.

The number of processes is no parameter, for it does not change the result (law 6). It is, in this
order: what `accelerate launch` or `torchrun` already started; SEGPIPE_PROCESSES; the user's
Accelerate configuration; one a GPU; one.
"""

import logging
import os
import signal
import sys
from pathlib import Path

import torch
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from segpipe.runtime.errors import LaunchError
from segpipe.runtime.yaml_file import read_yaml
from segpipe.training.distributed.peers import PEER_FAILED
from segpipe.training.distributed.signals import RESUMABLE, passing_on

# How a process ends because another one did, or its launcher.
_CONSEQUENCES = (PEER_FAILED, -signal.SIGTERM)
# Set by every `accelerate launch`, also of one process, where it sets no WORLD_SIZE.
_ACCELERATE_WAS_HERE = "ACCELERATE_MIXED_PRECISION"


def already_launched() -> bool:
    """Return whether this is a process of a run that another program started.

    Raises LaunchError when that program started another number than SEGPIPE_PROCESSES asks for.
    """
    if "WORLD_SIZE" not in os.environ and _ACCELERATE_WAS_HERE not in os.environ:
        return False
    running, wanted = int(os.environ.get("WORLD_SIZE", "1")), _from_environment()
    if wanted is not None and wanted != running:
        raise LaunchError(
            f"SEGPIPE_PROCESSES asks for {wanted} processes, but {running} were started; unset it, "
            "or start as many (on CPUs `accelerate launch --cpu` starts one, whatever is asked)"
        )
    return True


def number_of_processes() -> int:
    """Return how many processes to start; LaunchError when SEGPIPE_PROCESSES is not such a number."""
    wanted = _from_environment() or _from_accelerate()
    return wanted or max(1, torch.cuda.device_count())


def launch(module: str, processes: int) -> int:
    """Run `python -m module` in several processes that know of each other; return the exit code.

    They share the cores evenly, unless OMP_NUM_THREADS is set. The others are ended as soon as one
    of them fails; its own message stands above, and which one it was is said here.
    """
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)
    threads = max(1, (os.cpu_count() or 1) // processes)
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    if not torch.cuda.is_available():
        # Without it Accelerate takes the processes for ones that do not belong together.
        os.environ["ACCELERATE_USE_CPU"] = "1"
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        run_id="segpipe",
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
        monitor_interval=0.2,
        signals_to_handle="SIGHUP,SIGQUIT",  # the others are passed on
    )
    try:
        with passing_on():
            elastic_launch(config, sys.executable)("-m", module)
    except ChildFailedError as failure:
        return failed_first(failure)
    except SignalException as end:
        return 128 + int(end.sigval)
    return 0


def failed_first(failure: ChildFailedError) -> int:
    """Say which process was the cause of a failed launch; return the exit code that tells of it.

    Those that only followed it may have ended before it: they were ended by the launcher's SIGTERM,
    or by what they noticed of the other's end. A signal's number counts from 128, as shells have it.
    """
    codes = {rank: one.exitcode for rank, one in failure.failures.items()}
    causes = {rank: code for rank, code in codes.items() if code not in _CONSEQUENCES}
    rank, code = next(iter((causes or codes).items()))
    if code < 0:
        text = f"the process of rank {rank} was ended by {_signal_name(-code)}"
        starved = "; the system does that too, when its memory runs out" if code == -9 else ""
        print(f"error: {text}{starved}", file=sys.stderr)
        return 128 - code
    if code not in (RESUMABLE, PEER_FAILED):
        print(f"the process of rank {rank} failed, with exit code {code}", file=sys.stderr)
    return code


def _signal_name(number: int) -> str:
    return f"{signal.Signals(number).name} (signal {number})"


def _from_environment() -> int | None:
    text = os.environ.get("SEGPIPE_PROCESSES")
    if not text:
        return None
    if not text.isdecimal() or int(text) < 1:
        raise LaunchError(f"SEGPIPE_PROCESSES is {text!r}; it must be a whole number from 1")
    return int(text)


def _from_accelerate() -> int | None:
    """Read the file that `accelerate config` writes, where there is one."""
    home = Path(os.environ.get("HF_HOME", Path.home() / ".cache" / "huggingface"))
    for name in ("default_config.yaml", "default_config.yml"):
        path = home / "accelerate" / name
        if path.is_file():
            content = read_yaml(path) or {}
            if not isinstance(content, dict):
                raise LaunchError(f"{path}: must hold what `accelerate config` writes; run it anew")
            machines = int(content.get("num_machines") or 1)
            if machines > 1:
                raise LaunchError(
                    f"{path}: names {machines} machines; start those with `accelerate launch` on "
                    "each (docs/distributed.md), or set SEGPIPE_PROCESSES for this one alone"
                )
            return int(content.get("num_processes") or 1)
    return None
