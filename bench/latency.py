"""Seconds from the start of `dvc repro` to the first optimizer step, and what imports cost each stage.

A copy of this repository's tracked files is fetched and prepared first. Then `dvc repro` is started
in it and watched until it says the first step, and ended. Medians and spread, by the clock and of
the processor (which other work on the machine changes less), are printed. Linux only.

Example: python -m bench.latency --rounds 5
"""

import argparse
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import perf_counter

from bench.dvc_repository import Timing

_STAGES = ("fetch", "prepare", "train", "evaluate", "render")
_FIRST_STEP = "epoch 1/"
_TICKS = os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Measure and print."""
    options = _options()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "repository"
        _copy(root)
        _print("python -c pass", partial(_timed, root, "-c", "pass"), options.rounds)
        for stage in _STAGES:
            imported = partial(_timed, root, "-c", f"import stages.{stage}")
            _print(f"import stages.{stage}", imported, options.rounds)
        if options.imports:
            return
        print("fetching and preparing", flush=True)
        _run(root, "-m", "dvc", "repro", "--quiet", "prepare")
        _print("dvc repro to the first step", partial(_first_step, root), options.rounds)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--imports", action="store_true", help="nothing but the imports")
    return parser.parse_args()


def _print(name: str, measure: Callable[[], Timing], rounds: int) -> None:
    measure()  # from the disk, not from memory
    found = [measure() for _ in range(rounds)]
    wall, cpu = zip(*found, strict=True)
    print(
        f"{name:<28}{statistics.median(wall):7.2f} s ({min(wall):.2f} to {max(wall):.2f}), processor "
        f"{statistics.median(cpu):6.2f} s ({min(cpu):.2f} to {max(cpu):.2f})",
        flush=True,
    )


def _copy(root: Path) -> None:
    """Copy the tracked files, as they are now, into a repository of their own."""
    listed = subprocess.run(["git", "ls-files", "-z"], capture_output=True, check=True, text=True)
    for name in listed.stdout.split("\0"):
        if name and Path(name).is_file() and name != "dvc.lock":
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(name, root / name)
    subprocess.run(["git", "init", "--quiet"], cwd=root, check=True)


def _environment(root: Path) -> dict[str, str]:
    left_out = ("MLFLOW_", "DVC_", "SEGPIPE_", "PYTHONPATH")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
    # The stages are started as `python -m stages.NAME`.
    path = f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', '')}"
    return {**kept, "PATH": path, "PYTHONPATH": str(root), "DVC_NO_ANALYTICS": "1"}


def _run(root: Path, *arguments: str) -> None:
    subprocess.run([sys.executable, *arguments], cwd=root, env=_environment(root), check=True)


def _timed(root: Path, *arguments: str) -> Timing:
    start, before = perf_counter(), os.times()
    _run(root, *arguments)
    wall, after = perf_counter() - start, os.times()
    user = after.children_user - before.children_user
    return Timing(wall, user + after.children_system - before.children_system)


def _first_step(root: Path) -> Timing:
    """Start the training as a person does, and end it after its first step."""
    start = perf_counter()
    running = subprocess.Popen(
        [sys.executable, "-m", "dvc", "repro", "train"],
        cwd=root,
        env=_environment(root),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert running.stdout is not None
    printed = []
    try:
        for line in running.stdout:
            printed.append(line)
            if line.startswith(_FIRST_STEP):
                return Timing(perf_counter() - start, _processor_seconds(running.pid))
    finally:
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
        running.stdout.close()
        _forget(root)
    raise RuntimeError(f"there was no first step:\n{''.join(printed)}")


def _processor_seconds(pid: int) -> float:
    """Return what a process and all below it have used, those that ended too."""
    # The fields behind the name: state is the first; 11 to 14 are the ticks of itself and of its
    # children that ended.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    own = sum(int(field) for field in fields[11:15]) / _TICKS
    below = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return own + sum(_processor_seconds(int(child)) for child in below)


def _forget(root: Path) -> None:
    """Remove what the killed run left, so that the next one starts where it did."""
    shutil.rmtree(root / ".segpipe/state", ignore_errors=True)
    for name in ("lock", "rwlock", "rwlock.lock"):
        (root / ".dvc/tmp" / name).unlink(missing_ok=True)


if __name__ == "__main__":
    main()
