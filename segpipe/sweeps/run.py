"""The trials of a sweep, several side by side, until the study has all its points.

Each trial has a folder, whose lock says that somebody works on it. DVC inherits the lock: where the sweep is
killed and DVC trains on, the next sweep waits for it, and where both are gone it takes the trial up.
"""

import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from segpipe.runtime.console import say, say_error
from segpipe.runtime.dvc_process import terminate_stage
from segpipe.runtime.errors import SegpipeError
from segpipe.runtime.lock import lock_folder
from segpipe.runtime.process_exit import Terminated
from segpipe.runtime.trial import FOLDER, ask_to_end, reported_rows, take_back
from segpipe.sweeps.definition import Definition
from segpipe.sweeps.experiment import Experiment
from segpipe.sweeps.space import settings
from segpipe.sweeps.study import Claim, Study
from segpipe.sweeps.trainer import Trainer

_MOST_STARTS = 3  # of a training that something keeps ending
_MOST_FAILURES = 3  # in a row, after which the cause is hardly in the parameters of the points


@dataclass
class _Work:
    """A trial that this process works on.

    at: the experiment that is trained, in its place. asked: whether it was asked to end. pruned: whether
    its training has ended for that.
    """

    claim: Claim
    lock: int
    folder: Path
    experiments: Sequence[Experiment]
    environment: Mapping[str, str]
    at: int = 0
    starts: int = 0
    process: "subprocess.Popen[bytes] | None" = None
    asked: bool = False
    pruned: bool = False

    @property
    def experiment(self) -> Experiment:
        return self.experiments[self.at]

    @property
    def log(self) -> Path:
        return self.folder / f"{self.experiment.name}.log"


@dataclass
class Runner:
    """Works on a study. seed: of the first training of each point. environments: one for each training that
    runs at a time. check: called before each trial; raises where what trials are made of was changed.
    ended: called with each trial that has ended. poll: seconds between two looks at the trainings.
    """

    definition: Definition
    study: Study
    folder: Path
    trainer: Trainer
    environments: Sequence[Mapping[str, str]]
    seed: int = 0
    check: Callable[[], None] = lambda: None
    ended: Callable[[int, str, Sequence[str]], None] = lambda number, state, names: None
    poll: float = 0.5
    _works: dict[int, _Work] = field(default_factory=dict)
    _failed: dict[int, str] = field(default_factory=dict)
    _in_a_row: int = 0
    _said_waiting: set[int] = field(default_factory=set)

    def run(self) -> dict[int, str]:
        """Train all points that are left; return the trials that failed, with their reasons.

        Ctrl-C and SIGTERM wait until the trainings have saved their state. Raises SegpipeError where the
        first trainings fail one after the other.
        """
        try:
            while self._fill() or self._works:
                for slot, work in list(self._works.items()):
                    if self._advance(work):
                        os.close(work.lock)
                        del self._works[slot]
                time.sleep(self.poll)
        except KeyboardInterrupt as told:
            if isinstance(told, Terminated):  # a Ctrl-C reaches the trainings by itself
                for work in self._works.values():
                    if work.process is not None:
                        terminate_stage(work.process)
            raise
        finally:
            if self._works:
                say_error(f"waiting for {len(self._works)} trainings to end")
            for work in self._works.values():
                if work.process is not None:
                    work.process.wait()
                os.close(work.lock)
        return self._failed

    def _fill(self) -> bool:
        """Begin trials where a place is free; return whether there is something left to wait for."""
        for slot, environment in enumerate(self.environments):
            if slot in self._works:
                continue
            if any(not self._is_under_way(work) for work in self._works.values()):
                return True
            begun = self._next(environment)
            if begun is None:
                return bool(self._said_waiting & set(self.study.running_here()))
            self._works[slot] = begun
        return True

    def _is_under_way(self, work: _Work) -> bool:
        return work.process is not None and self.trainer.under_way(work.log)

    def _next(self, environment: Mapping[str, str]) -> _Work | None:
        mine = {work.claim.number for work in self._works.values()}
        for number in self.study.running_here():
            if number in mine or number in self._failed:
                continue
            lock = self._lock(number)
            if lock is None:
                self._say_waiting(number)
            elif (claim := self.study.take_up(number)) is None:
                os.close(lock)
            else:
                return self._work(claim, lock, environment)
        claim = self.study.ask()
        if claim is None:
            return None
        lock = self._lock(claim.number)
        # Another sweep of this machine may have taken it up as a dead one, just after it was begun.
        return self._next(environment) if lock is None else self._work(claim, lock, environment)

    def _lock(self, number: int) -> int | None:
        folder = self._place(number)
        folder.mkdir(exist_ok=True)
        return lock_folder(folder)

    def _place(self, number: int) -> Path:
        return self.folder / f"{number:03d}"

    def _say_waiting(self, number: int) -> None:
        if number not in self._said_waiting:
            self._said_waiting.add(number)
            say(f"trial {number}: another process is training it; it is waited for")

    def _work(self, claim: Claim, lock: int, environment: Mapping[str, str]) -> _Work:
        self.check()
        self.study.note_failure(claim, None)
        name = f"{self.definition.name}-{claim.number:03d}"
        own = settings(self.definition, claim.point)
        experiments = [Experiment(name, own)]
        if self.definition.repeats > 1:
            seeds = [self.seed + number for number in range(self.definition.repeats)]
            experiments = [Experiment(f"{name}-seed-{n}", (*own, f"train.seed={n}")) for n in seeds]
        say(
            f"trial {claim.number}: {', '.join(f'{k}={_shown(v)}' for k, v in claim.point.items())}"
        )
        return _Work(claim, lock, self._place(claim.number), experiments, environment)

    def _advance(self, work: _Work) -> bool:
        """Take a trial as far as it goes now; return whether it has ended."""
        if work.process is not None:
            code = work.process.poll()
            if code is None:
                self._prune(work)
                return False
            work.process = None
            if not self.trainer.is_finished(work.experiment):
                return self._retry(work, code)
        while work.at < len(work.experiments) and self.trainer.is_finished(work.experiment):
            if self.trainer.was_pruned(work.experiment):
                work.pruned = True
                work.experiments = work.experiments[: work.at + 1]
            work.at, work.starts = work.at + 1, 0
        if work.at == len(work.experiments):
            self._end(work)
            return True
        if work.at == 0 and (same := self.study.twin(work.claim)):
            self.study.end(work.claim, "complete", same.values, same.experiments)
            say(
                f"trial {work.claim.number}: is the point of trial {same.number}, whose values it has"
            )
            return True
        self._start(work)
        return False

    def _start(self, work: _Work) -> None:
        work.starts += 1
        # The first seed stands for the point: its history is what the pruner sees.
        trial = (
            {FOLDER: str(work.folder.absolute())} if work.at == 0 and self.definition.pruner else {}
        )
        work.process = self.trainer.start(
            work.experiment, {**work.environment, **trial}, work.log, [work.lock]
        )

    def _prune(self, work: _Work) -> None:
        if work.at or work.asked or not self.definition.pruner:
            return
        if self.study.should_end(work.claim, reported_rows(work.folder)):
            work.asked = True
            ask_to_end(work.folder)
            say(f"trial {work.claim.number}: is asked to end (pruned)")

    def _retry(self, work: _Work, code: int) -> bool:
        reason = self.trainer.failure(work.log, code)
        if reason is None and work.starts < _MOST_STARTS:
            say(
                f"trial {work.claim.number}: was ended from outside (code {code}); it is started again"
            )
            self._start(work)
            return False
        reason = reason or f"was ended from outside {work.starts} times (code {code})"
        self.study.note_failure(work.claim, reason)
        self._failed[work.claim.number] = reason
        self._in_a_row += 1
        say(f"trial {work.claim.number}: failed: {reason}; its output is in {work.log}")
        if self._in_a_row == _MOST_FAILURES:
            raise SegpipeError(
                f"{_MOST_FAILURES} trials failed one after the other, the last because: {reason}; their "
                "output is in the folders of the trials; the same command tries them again"
            )
        return True

    def _end(self, work: _Work) -> None:
        names = list(self.definition.metrics)
        found = [self.trainer.measured(one, names) for one in work.experiments]
        values = {name: [one[name] for one in found] for name in names}
        experiments = [one.name for one in work.experiments]
        state: Literal["pruned", "complete"] = "pruned" if work.pruned else "complete"
        self.study.end(work.claim, state, values, experiments)
        take_back(work.folder)
        self._in_a_row = 0
        means = ", ".join(f"{name} {_shown(sum(v) / len(v))}" for name, v in values.items())
        say(f"trial {work.claim.number}: {state}, {means}")
        self.ended(work.claim.number, state, experiments)


def _shown(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
