"""How a sweep has its experiments trained: by DVC, in temporary workspaces."""

import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from segpipe.results.experiments import read_run
from segpipe.sweeps.experiment import Experiment
from segpipe.sweeps.measures import measured

# What stands in the log where a training was ended from outside (a signal, a lock of DVC that another one
# held for too long), so that it can go on, and what stands there once DVC has its workspace.
_ENDED = re.compile(
    rb"exited with (?:-\d+|75|69|130|137|143)\b|Unable to acquire lock|is busy, it is being blocked"
    rb"|is training on this state already"
)
_UNDER_WAY = b"Reproducing experiment"
_CAUSE = re.compile(r"^(?:error|ERROR): (?!failed to reproduce)(.+)", re.MULTILINE)
_TAIL = 20_000  # bytes of a log in which the cause is looked for


class Trainer(Protocol):
    """What `segpipe.sweeps.run` needs; its tests put trainings in the place of DVC that take no time."""

    def is_finished(self, experiment: Experiment) -> bool:
        """Return whether its results are there; ParameterError where they are of something else."""

    def start(
        self,
        experiment: Experiment,
        environment: Mapping[str, str],
        log: Path,
        kept_open: Sequence[int],
    ) -> "subprocess.Popen[bytes]":
        """Start it; its output is added to `log`."""

    def under_way(self, log: Path) -> bool:
        """Return whether another one may be started beside it."""

    def measured(self, experiment: Experiment, names: Sequence[str]) -> dict[str, float]:
        """Return numbers that a finished one has written."""

    def was_pruned(self, experiment: Experiment) -> bool:
        """Return whether a finished one was ended by the sweep."""

    def failure(self, log: Path, code: int) -> str | None:
        """Return why one that is not finished failed; None where it was ended and can go on."""


class DvcTrainer:
    """Runs `dvc exp run --temp`."""

    def is_finished(self, experiment: Experiment) -> bool:
        """As Trainer."""
        return experiment.is_finished()

    def start(
        self,
        experiment: Experiment,
        environment: Mapping[str, str],
        log: Path,
        kept_open: Sequence[int],
    ) -> "subprocess.Popen[bytes]":
        """As Trainer."""
        with log.open("ab") as output:
            return experiment.start(environment, output, kept_open)

    def under_way(self, log: Path) -> bool:
        """As Trainer."""
        return _UNDER_WAY in log.read_bytes()

    def measured(self, experiment: Experiment, names: Sequence[str]) -> dict[str, float]:
        """As Trainer."""
        return measured(experiment.ref, list(names))

    def was_pruned(self, experiment: Experiment) -> bool:
        """As Trainer; the run-cache forgets it then."""
        training = read_run(experiment.ref).training
        pruned = training is not None and bool(training.pruned)
        if pruned:
            experiment.forget_cached()
        return pruned

    def failure(self, log: Path, code: int) -> str | None:
        """As Trainer."""
        tail = log.read_bytes()[-_TAIL:]
        if code < 0 or _ENDED.search(tail):
            return None
        causes = _CAUSE.findall(tail.decode(errors="replace"))
        return causes[0] if causes else f"`dvc exp run` ended with code {code}"
