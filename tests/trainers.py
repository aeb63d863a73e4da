"""Trainings of any number of processes, forked from one that has imported torch; see what each step saw.

A process of its own spends some seconds on importing; `python -m tests.trainers` does so once. A line on
its stdin asks for one training: {"workspace": ..., "processes": n, "signal": ...}, where signal is
null or {"rank": r, "phase": "step" or "validation", "count": k, "number": s}: the process of that
rank sends itself the signal s in the k-th step, or the k-th batch that is validated after a step.
The answer, a line on stdout, is the list of exit codes by rank, negative for a signal.

Each process notes in seen-RANK.jsonl what its steps were made of, and in counts-RANK.json the counts of
each validation, of which one is made before the first step; its output goes to said-RANK.txt.
"""

import contextlib
import json
import os
import socket
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from tests.forge import ROOT, child_environment


@dataclass(frozen=True)
class Step:
    """A step of all processes. samples: of each row of the batch, in order, its number and a digest of
    what augmentation made of image and truth. loss: the mean over the valid pixels, of which so many.
    """

    epoch: int
    step: int
    samples: list[tuple[int, str]]
    loss: float
    pixels: int


@dataclass(frozen=True)
class Outcome:
    """How a training ended. codes, said: by rank. counts: the confusion matrix of each validation."""

    codes: list[int]
    said: list[str]
    steps: list[Step]
    counts: list[list[list[int]]]


class Trainers:
    """The process that trainings are forked from."""

    def __init__(self) -> None:
        # The workspaces are not the checkout, and tests/ is not installed.
        environment = child_environment(PYTHONPATH=str(ROOT), OMP_WAIT_POLICY="passive")
        self._driver = subprocess.Popen(
            [sys.executable, "-m", "tests.trainers"],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def train(self, workspace: Path, processes: int = 1, signal: Any = None) -> Outcome:
        """Run the stage in so many processes, and wait for its end."""
        for pattern in ("seen-*.jsonl", "counts-*.json", "said-*.txt"):
            for old in workspace.glob(pattern):
                old.unlink()
        asked = {"workspace": str(workspace), "processes": processes, "signal": signal}
        assert self._driver.stdin
        assert self._driver.stdout
        self._driver.stdin.write(json.dumps(asked) + "\n")
        self._driver.stdin.flush()
        answer = self._driver.stdout.readline()
        assert answer, "the driver has died"
        codes = json.loads(answer)
        said = [(workspace / f"said-{rank}.txt").read_text() for rank in range(processes)]
        return Outcome(codes, said, _steps(workspace, processes), _counts(workspace))

    def close(self) -> None:
        """End the driver, and what a test that failed has left of its trainings."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._driver.pid, 9)
        self._driver.communicate()


def _steps(workspace: Path, processes: int) -> list[Step]:
    parts = []
    for rank in range(processes):
        path = workspace / f"seen-{rank}.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        parts.append([json.loads(line) for line in lines])
    return [
        Step(
            *one[0]["place"],
            [(row, digest) for part in one for row, digest in part["samples"]],
            one[0]["loss"],
            one[0]["pixels"],
        )
        for one in zip(*parts, strict=False)  # of a step in which one was killed, nothing is known
    ]


def _counts(workspace: Path) -> list[list[list[int]]]:
    path = workspace / "counts-0.json"
    found: list[list[list[int]]] = json.loads(path.read_text()) if path.exists() else []
    return found


def _main() -> None:
    import torch._dynamo  # noqa: F401 (torch does that at the first optimizer, in four seconds)

    import segpipe.training.run  # noqa: F401 (imported before the fork)
    from stages import train  # noqa: F401

    for line in sys.stdin:
        asked = json.loads(line)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        ranks = [_fork(asked, rank, port) for rank in range(asked["processes"])]
        codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in ranks]
        print(json.dumps(codes), flush=True)


def _fork(asked: dict[str, Any], rank: int, port: int) -> int:
    process = os.fork()
    if process:
        return process
    os.chdir(asked["workspace"])
    said = os.open(f"said-{rank}.txt", os.O_CREAT | os.O_WRONLY)
    os.dup2(said, 1)
    os.dup2(said, 2)
    if asked["processes"] > 1:
        numbers = {"RANK": rank, "LOCAL_RANK": rank, "MASTER_PORT": port}
        numbers |= dict.fromkeys(("WORLD_SIZE", "LOCAL_WORLD_SIZE"), asked["processes"])
        os.environ.update({name: str(number) for name, number in numbers.items()})
        os.environ.update(MASTER_ADDR="127.0.0.1", ACCELERATE_USE_CPU="1")
    sys.exit(_stage(rank, asked["signal"]))


def _stage(rank: int, signal: Any) -> int:
    from segpipe.runtime.process_exit import explained
    from stages import train

    _watch(rank, signal if signal and signal["rank"] == rank else None)
    return explained(train.start)


def _watch(rank: int, signal: Any) -> None:
    """Note what the steps and validations of this process see, and signal it at its place."""
    from segpipe.training import loop, run, step, validate
    from segpipe.training.distributed.signals import StopRequest
    from segpipe.training.state.saver import Saver

    passed: Counter[str] = Counter()
    digests: list[str] = []
    counts: list[list[list[int]]] = []

    def arrive(phase: str) -> None:
        passed[phase] += 1
        if signal and (phase, passed[phase]) == (signal["phase"], signal["count"]):
            os.kill(os.getpid(), signal["number"])

    def augment_batch(*arguments: Any) -> Any:
        image_BCHW, mask_BHW = _augment_batch(*arguments)
        # Of clips, the frames of a sample follow each other.
        frames = image_BCHW.split(len(image_BCHW) // len(mask_BHW))
        for image_TCHW, mask_HW in zip(frames, mask_BHW, strict=True):
            content = image_TCHW.numpy().tobytes() + mask_HW.numpy().tobytes()
            digests.append(blake2b(content, digest_size=8).hexdigest())
        return image_BCHW, mask_BHW

    def train(job: Any, progress: Any, *rest: Any) -> None:
        if progress.step == 0:
            parts = job.learner, job.data, job.objective, job.processes
            validate.validate(*parts, StopRequest())
        _train(job, progress, *rest)

    def train_step(job: Any, pieces: Any, **options: Any) -> Any:
        arrive("step")
        digests.clear()
        report = _train_step(job, pieces, **options)
        rows = np.concatenate([piece.specs_B["row"] for piece in pieces]).tolist()
        samples = list(zip(rows, digests, strict=True))
        seen = {"place": [options["epoch"], options["step"]], "samples": samples}
        seen |= {"loss": report.loss, "pixels": report.pixels}
        with Path(f"seen-{rank}.jsonl").open("a") as file:
            file.write(json.dumps(seen) + "\n")
        return report

    def save(saver: Saver, state: Any) -> None:
        _save(saver, state)
        if signal:
            saver.wait()  # how far the state is shall be no matter of the disk's speed

    def scores(confusion_KK: Any) -> Any:
        counts.append(confusion_KK.tolist())
        Path(f"counts-{rank}.json").write_text(json.dumps(counts))
        return _scores(confusion_KK)

    def predicted_ids(*arguments: Any) -> Any:
        if passed["step"]:
            arrive("validation")
        return _predicted_ids(*arguments)

    _augment_batch, step.augment_batch = step.augment_batch, augment_batch
    _save = Saver.save
    Saver.save = save  # type: ignore[method-assign]
    _train, run.train = run.train, train
    _train_step, loop.train_step = loop.train_step, train_step
    _scores, validate.scores = validate.scores, scores
    _predicted_ids, validate.predicted_ids = validate.predicted_ids, predicted_ids


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        _main()
