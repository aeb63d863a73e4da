"""On what a model was trained: versions, devices, threads, code and command, for whoever repeats it.

It names no machine, no person and no absolute path, and holds no secret (law 9).
"""

import importlib.metadata
import os
import platform
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from segpipe.runtime.hardware import device_name
from segpipe.runtime.revision import git_revision
from segpipe.tracking.redaction import HIDDEN, redacted

ENVIRONMENT = "environment.json"
_SHORTEST = 4  # letters of a secret; a shorter one would blot out half a text
_PACKAGES = (
    *(
        "segpipe",
        "torch",
        "torchvision",
        "accelerate",
        "numpy",
        "pillow",
        "safetensors",
        "pydantic",
    ),
    *("dvc", "mlflow", "rasterio", "segmentation-models-pytorch", "timm"),
)
# What changes speed or, in the last digits, results. Other variables may hold anything.
_VARIABLES = re.compile(
    r"(OMP|KMP|MKL|GOMP)_[A-Z_]+|SEGPIPE_PROCESSES|CUBLAS_WORKSPACE_CONFIG|NVIDIA_TF32_OVERRIDE|"
    r"PYTORCH_(CUDA_)?ALLOC_CONF|TORCH_ALLOW_TF32_CUBLAS_OVERRIDE|NCCL_(ALGO|PROTO|P2P_DISABLE)"
)
_SECRET = re.compile(r"PASSWORD|PASSWD|TOKEN|SECRET|CREDENTIAL|_KEY\b")
_PATH = re.compile(r"(?<![\w.])(?:~|/(?=[^/\s]))[^\s:=,;'\"]*")


def environment(device: torch.device, processes: int, machines: int) -> dict[str, Any]:
    """Return plain values; the devices are those of this machine, the others being taken for its like.

    processes, machines: of the training. Nothing depends on the time, so that it is the same again
    where nothing changed.
    """
    return {
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "cuda": torch.version.cuda,
        "cudnn": _cudnn() if device.type == "cuda" else None,
        "system": {
            "name": platform.system(),
            "release": platform.release(),
            "distribution": _distribution(),
            "machine": platform.machine(),
        },
        "processor": {
            "name": device_name(torch.device("cpu")),
            "cores": os.cpu_count(),
            "usable_cores": _usable_cores(),
            "memory_mb": _memory_mb(),
            "instructions": torch.backends.cpu.get_cpu_capability(),
        },
        "gpus": _gpus(device),
        "threads": {"within": torch.get_num_threads(), "between": torch.get_num_interop_threads()},
        "variables": chosen_variables(os.environ),
        "processes": processes,
        "machines": machines,
        "git": _git(),
        "command": command_line(sys.orig_argv, os.environ),
    }


def machines_of(variables: Mapping[str, str], processes: int) -> int:
    """Return how many machines take part, from what torchrun and Accelerate tell their processes."""
    each = int(variables.get("LOCAL_WORLD_SIZE") or processes)
    return max(1, processes // max(each, 1))


def chosen_variables(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that matter for speed and results, without paths and secrets."""
    return {
        name: redacted_text(value, variables)
        for name, value in sorted(variables.items())
        if _VARIABLES.fullmatch(name)
    }


def command_line(arguments: Sequence[str], variables: Mapping[str, str]) -> list[str]:
    """Return a program's name and its arguments without paths and secrets."""
    program, *rest = arguments
    return [Path(program).name, *(redacted_text(argument, variables) for argument in rest)]


def redacted_text(text: str, variables: Mapping[str, str]) -> str:
    """Return `text` without what variables keep secret, and with PATH for each absolute path.

    Paths below the current folder become relative ones.
    """
    for name, value in variables.items():
        if _SECRET.search(name) and len(value) >= _SHORTEST:
            text = text.replace(value, HIDDEN)
    text = redacted(text).replace(f"{Path.cwd()}/", "").replace(str(Path.home()), "/PATH")
    return _PATH.sub("PATH", text)


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _cudnn() -> int | None:
    found: int | None = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
    return found


def _distribution() -> str | None:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME")
    except OSError:  # no Linux, or one without the file
        return None


def _usable_cores() -> int | None:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def _memory_mb() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20


def _gpus(device: torch.device) -> list[dict[str, Any]]:
    if device.type != "cuda":
        return []
    found = [torch.cuda.get_device_properties(n) for n in range(torch.cuda.device_count())]
    return [
        {
            "name": gpu.name,
            "memory_mb": gpu.total_memory >> 20,
            "capability": f"{gpu.major}.{gpu.minor}",
        }
        for gpu in found
    ]


def _git() -> dict[str, Any]:
    revision = git_revision()
    commit = None if revision is None else revision.removesuffix("-dirty")
    return {"commit": commit, "dirty": revision is not None and revision.endswith("-dirty")}
