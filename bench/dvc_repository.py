"""A DVC repository to measure in, and what its files take."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

_OUTPUT = "data"
_PIPELINE = f"stages:\n  prepare:\n    cmd: prepare\n    outs:\n      - {_OUTPUT}\n"


class Timing(NamedTuple):
    """Seconds by the clock, and of the processor, which other work on the machine changes little."""

    wall: float
    cpu: float


@dataclass(frozen=True)
class Repository:
    """A DVC repository with one stage, whose output is the data."""

    root: Path

    @property
    def output(self) -> Path:
        """The data in the workspace."""
        return self.root / _OUTPUT

    @property
    def cache(self) -> Path:
        """DVC's copy of the data."""
        return self.root / ".dvc/cache"

    @property
    def _memory(self) -> Path:
        return self.root / "memory"

    def make(self) -> None:
        """Make the folder and the repository in it, without git."""
        self.root.mkdir()
        self.dvc("init", "--quiet", "--no-scm")
        (self.root / "dvc.yaml").write_text(_PIPELINE)

    def dvc(self, *arguments: str) -> str:
        """Run DVC and return what it printed; RuntimeError with that when it fails."""
        own = {"DVC_NO_ANALYTICS": "1", "DVC_SITE_CACHE_DIR": str(self._memory)}
        done = subprocess.run(
            [sys.executable, "-m", "dvc", *arguments],
            cwd=self.root,
            env={**os.environ, **own},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"dvc {' '.join(arguments)}: {done.stdout}{done.stderr}")
        return done.stdout

    def timed(self, *arguments: str, expected: str = "") -> Timing:
        """Return what DVC takes; RuntimeError when it does not print `expected`."""
        os.sync()  # so that what was written before is not paid for here
        start, before = perf_counter(), os.times()
        printed = self.dvc(*arguments)
        wall, after = perf_counter() - start, os.times()
        if expected not in printed:
            raise RuntimeError(f"dvc {' '.join(arguments)} did not say {expected!r}: {printed}")
        user = after.children_user - before.children_user
        return Timing(wall, user + after.children_system - before.children_system)

    def forget(self) -> None:
        """Throw away DVC's memory of hashes; the cache stays."""
        shutil.rmtree(self._memory)


def drop_pages(folder: Path) -> None:
    """Take the files' pages out of the system's disk cache; needs no rights, disturbs no one."""
    if not hasattr(os, "posix_fadvise"):
        return
    os.sync()  # only pages that are on the disk can go
    for path in files(folder):
        handle = os.open(path, os.O_RDONLY)
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(handle)


def disk_use(*folders: Path) -> int:
    """Return the bytes that the folders' files take on the disk, one with several names once."""
    found = {}
    for folder in folders:
        for path in files(folder):
            about = path.lstat()
            found[about.st_dev, about.st_ino] = about.st_blocks * 512
    return sum(found.values())


def files(folder: Path) -> Iterator[Path]:
    """Return all files and links below `folder`."""
    return (path for path in folder.rglob("*") if not path.is_dir())
