"""A file system of a few kilobytes to megabytes, for tests of full disks."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    """Make `folder` and mount a disk of so many bytes there (`64k`, `4m`) for the block, or skip the test."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this system does not let a test mount a file system")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)
