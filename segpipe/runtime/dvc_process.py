"""DVC as a program: that of this environment, whose stages find the Python of this process."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from segpipe.runtime.process_exit import Terminated


def dvc_command(*arguments: str) -> list[str]:
    """Return the command line that starts DVC of this environment."""
    return [sys.executable, "-m", "dvc", *arguments]


def dvc_environment(added: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment in which the stages' `python` is that of this process; added: laid over it."""
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    return {**os.environ, "PATH": programs, **(added or {})}


def start_dvc(
    arguments: Sequence[str],
    environment: Mapping[str, str] | None = None,
    output: IO[bytes] | None = None,
    kept_open: Sequence[int] = (),
    folder: Path | None = None,
) -> "subprocess.Popen[bytes]":
    """Start DVC, in `folder` or here, and return its process.

    environment: added to that of this process. output: a file for what it says; None for this
    terminal. kept_open: file descriptors that it shall have too, such as those of locks.
    """
    return subprocess.Popen(
        dvc_command(*arguments),
        cwd=folder,
        env=dvc_environment(environment),
        stdout=output,
        stderr=output,
        pass_fds=kept_open,
    )


def wait_for_dvc(dvc: "subprocess.Popen[bytes]") -> int:
    """Wait until DVC has ended, and return its exit code.

    Ctrl-C and SIGTERM are raised when its stage has saved its state and DVC has ended.
    """
    try:
        return dvc.wait()
    except KeyboardInterrupt as told:
        # A terminal sends Ctrl-C to the stage as well. SIGTERM came to this process alone.
        if isinstance(told, Terminated):
            terminate_stage(dvc)
        raise
    finally:
        dvc.wait()


def run_dvc(arguments: Sequence[str], folder: Path | None = None) -> int:
    """Run DVC to its end, in `folder` or here; return its exit code."""
    return wait_for_dvc(start_dvc(arguments, folder=folder))


def terminate_stage(dvc: "subprocess.Popen[bytes]") -> None:
    """Have DVC's stage save its state and end; DVC itself would die of a SIGTERM and leave it behind."""
    import psutil

    with contextlib.suppress(psutil.NoSuchProcess):
        for process in psutil.Process(dvc.pid).children() or [psutil.Process(dvc.pid)]:
            process.terminate()
