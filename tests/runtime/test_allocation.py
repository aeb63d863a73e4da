"""Memory that is freed is used again without asking the system."""

import platform
import subprocess
import sys

import pytest

from segpipe.runtime.allocation import keep_freed_memory

# Page faults of forty tensors of 8 MB, each freed before the next one is made.
_PROGRAM = f"""
import resource, sys
from {keep_freed_memory.__module__} import keep_freed_memory
if sys.argv[1] == "kept":
    keep_freed_memory()
import torch
for _ in range(3):  # first uses, which fault in any case, in small pages where no huge one is free
    torch.full((2**21,), 1.0)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(40):
    torch.full((2**21,), 1.0)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the allocator is not glibc's")
def test_freed_memory_is_used_again() -> None:
    def faults(mode: str) -> int:
        command = [sys.executable, "-c", _PROGRAM, mode]
        # Also where glibc was told to keep memory by the environment of the tests.
        return int(subprocess.run(command, check=True, capture_output=True, env={}).stdout)

    assert faults("kept") < faults("returned") / 10
