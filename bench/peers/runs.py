"""The scripts of the peers, and their runs: started, killed at chosen moments, and started again."""

import os
import random
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from bench.peers.segpipe_script import prepare_workspace
from bench.peers.task import CHECKPOINT_STEPS, STEPS
from bench.project import ROOT

LIMIT_SECONDS = 600.0  # of one start, on a busy machine
# When to kill: so many steps after the start, and seconds later; None: when the next checkpoint is begun.
Moment = tuple[int, float | None]


@dataclass(frozen=True)
class Script:
    """A script, the option that it is started with, and the packages that it needs.

    lanes: of segpipe; None: another's script.
    """

    title: str
    module: str
    option: str | None = None
    packages: tuple[str, ...] = ()
    lanes: int | None = None

    def states(self, folder: Path) -> set[Path]:
        """Return the checkpoints, also those that are being written."""
        where = "checkpoints/*" if self.lanes is None else ".segpipe/state/*/*"
        return set(folder.glob(where))


_A, _L, _S = "accelerate_script", "lightning_script", "segpipe_script"
_LOADER, _HAND = ("stateful loader", "--stateful"), ("randomness by hand", "--by-hand")
SCRIPTS = {
    "accelerate": Script("Accelerate, as documented", _A),
    "accelerate-stateful": Script(f"Accelerate, {_LOADER[0]}", _A, _LOADER[1], ("torchdata",)),
    "accelerate-by-hand": Script(f"Accelerate, {_HAND[0]}", _A, _HAND[1]),
    "lightning": Script("Lightning, as documented", _L, None, ("lightning",)),
    "lightning-stateful": Script(
        f"Lightning, {_LOADER[0]}", _L, _LOADER[1], ("lightning", "torchdata")
    ),
    "lightning-by-hand": Script(f"Lightning, {_HAND[0]}", _L, _HAND[1], ("lightning",)),
    "segpipe": Script("segpipe", _S, lanes=0),
    "segpipe-lanes": Script("segpipe, `train.lanes: 2`", _S, lanes=2),
}


@dataclass
class Run:
    """A run that is done. kills: that it went through. refused: starts that ended in an error."""

    folder: Path
    kills: int = 0
    refused: int = 0


def moments(kills: int, seed: int) -> list[Moment]:
    """Return random moments, every second one while a checkpoint is written."""
    draws = random.Random(seed)
    return [
        (draws.randint(CHECKPOINT_STEPS, STEPS // kills), draws.uniform(0, 0.3) if k % 2 else None)
        for k in range(kills)
    ]


def train(
    script: Script,
    python: str,
    folder: Path,
    norm: str = "batch",
    processes: int = 1,
    kills: tuple[Moment, ...] = (),
) -> Run:
    """Train in a new folder to the end; RuntimeError, with what the script said, when it cannot be done.

    A start that fails, as on half a checkpoint, is repeated without the newest one, as a person would.
    """
    run, left = Run(folder), list(kills)
    folder.mkdir()
    if script.lanes is not None:
        prepare_workspace(folder, norm, script.lanes)
    while True:
        moment = (left[0][0] + _steps_logged(folder), left[0][1]) if left else None
        code = _start(script, python, folder, norm, processes, moment)
        if code == 0:
            return run
        if code == -signal.SIGKILL and moment:
            run.kills += 1
            left.pop(0)
            continue
        run.refused += 1
        states = script.states(folder)
        if run.refused > len(kills) or not states or script.lanes is not None:
            said = (folder / "said.txt").read_text()[-3000:]
            raise RuntimeError(f"{script.module} ended with {code}:\n{said}")
        newest = max(states, key=lambda path: path.stat().st_mtime)
        shutil.rmtree(newest) if newest.is_dir() else newest.unlink()


def _start(
    script: Script, python: str, folder: Path, norm: str, processes: int, moment: Moment | None
) -> int:
    launcher = ["-m", "torch.distributed.run", f"--nproc-per-node={processes}"]
    command = [python, *(launcher if processes > 1 else []), "-m", f"bench.peers.{script.module}"]
    command += ["--norm", norm, *([script.option] if script.option else [])]
    environment = os.environ | {
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "ACCELERATE_USE_CPU": "1",
        "SEGPIPE_PROCESSES": str(processes),
        "PYTHONPATH": str(ROOT),
        "DVC_ROOT": str(folder),
    }
    with (folder / "said.txt").open("ab") as said:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        if moment is None or not _comes(moment, process, script, folder):
            return process.wait(LIMIT_SECONDS)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    return process.wait()


def _comes(moment: Moment, process: subprocess.Popen[bytes], script: Script, folder: Path) -> bool:
    """Wait for a moment, counted in lines of the log; False where the process ends before it."""
    steps, seconds = moment
    while _steps_logged(folder) < steps:
        if process.poll() is not None:
            return False
        time.sleep(0.01)
    if seconds is not None:
        time.sleep(seconds)
        return process.poll() is None
    before = script.states(folder)
    while not script.states(folder) - before:
        if process.poll() is not None:
            return False
        time.sleep(0.001)
    return True


def _steps_logged(folder: Path) -> int:
    log = folder / "seen-0.jsonl"
    return log.read_bytes().count(b"\n") if log.is_file() else 0
