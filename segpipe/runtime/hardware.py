"""What the machine can do, read from the machine itself."""

import platform
import resource
import sys
from functools import cache
from pathlib import Path
from typing import Literal

import torch

from segpipe.runtime.errors import ParameterError

Precision = Literal["fp32", "bf16"]
# Units that multiply bfloat16 directly; without them it is emulated and slower than float32.
_CPU_BF16 = frozenset({"avx512_bf16", "amx_bf16", "bf16"})


def best_device() -> torch.device:
    """Return the GPU that torch calls current, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def named_devices(names: str) -> list[torch.device]:
    """Return the devices of a list such as "cuda:0,cuda:1"; ParameterError for one that is not here."""
    devices = []
    for name in names.split(","):
        try:
            device = torch.device(name.strip())
            torch.empty(1, device=device)
        # What torch raises depends on what it was built with.
        except (RuntimeError, AssertionError, NotImplementedError) as error:
            cause = str(error).partition("\n")[0]
            here = ", ".join(["cpu", *(f"cuda:{n}" for n in range(torch.cuda.device_count()))])
            raise ParameterError(
                f"the device {name!r} cannot be used ({cause}); this machine has {here}"
            ) from error
        devices.append(device)
    return devices


def choose_precision(wanted: Literal["auto", "fp32", "bf16"], device: torch.device) -> Precision:
    """Return bf16 where it is asked for, or where `auto` meets hardware that has units for it."""
    if wanted != "auto":
        return wanted
    if device.type == "cuda":
        return "bf16" if torch.cuda.get_device_capability(device) >= (8, 0) else "fp32"
    return "bf16" if _CPU_BF16 & _cpu_features() else "fp32"


def peak_memory_mb(device: torch.device) -> float:
    """Return the most memory used so far, in MiB: the GPU's tensors, or the whole process on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return peak_resident_bytes() / 2**20


def peak_resident_bytes() -> int:
    """Return the most memory that this program has had in RAM.

    Linux counts into ru_maxrss what the process held before its program began, as a copy of the one that
    started it (getrusage(2)); VmHWM is the program's own.
    """
    found = _proc_values("self/status", "VmHWM")
    if found:
        return int(found[0].split()[0]) << 10
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used if sys.platform == "darwin" else used << 10


def available_memory() -> int | None:
    """Return the bytes that new processes can use without swapping; None where nothing says it."""
    found = _proc_values("meminfo", "MemAvailable")
    return int(found[0].split()[0]) << 10 if found else None


def own_memory(device: torch.device) -> int:
    """Return the bytes that this process holds and could still have on a device; 0: nothing says it."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0]) + torch.cuda.memory_reserved(device)
    free = available_memory()
    if free is None:
        return 0
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    whole = free + pages * resource.getpagesize()
    return whole if limit == resource.RLIM_INFINITY else min(whole, limit)


def device_name(device: torch.device) -> str:
    """Return the GPU's name, or the processor's."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    lines = _proc_values("cpuinfo", "model name")
    return lines[0] if lines else platform.processor() or platform.machine()


@cache
def _cpu_features() -> frozenset[str]:
    lines = _proc_values("cpuinfo", "flags") or _proc_values("cpuinfo", "Features")
    return frozenset(lines[0].split()) if lines else frozenset()


def _proc_values(name: str, key: str) -> list[str]:
    """Return what stands behind `key:` in a file of /proc, on each line that has it."""
    try:
        lines = (Path("/proc") / name).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # not Linux
        return []
    pairs = (line.partition(":") for line in lines)
    return [value.strip() for name, _, value in pairs if name.strip() == key]
