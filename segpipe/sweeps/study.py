"""The trials of a sweep, kept by Optuna in a database that a kill at any moment leaves whole.

A trial that is under way is RUNNING there; whether somebody works on it is told by the lock of its folder
(`segpipe.sweeps.run`). So a trial whose process was killed is taken up as the same trial. A training that
failed leaves its trial RUNNING with the reason, so that the next call tries it once more.
"""

import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from segpipe.sweeps.definition import Definition, Dimension, Pruning
from segpipe.sweeps.space import Point, drawn, grid
from segpipe.sweeps.storage import open_study, quiet

if TYPE_CHECKING:
    import optuna

State = Literal["running", "complete", "pruned", "failed"]


@dataclass(frozen=True)
class Record:
    """What is known of a trial. values: of each metric, one for each seed. reason: why it failed."""

    number: int
    state: State
    point: Point
    values: Mapping[str, Sequence[float]]
    experiments: Sequence[str]
    reason: str | None


@dataclass(frozen=True)
class Claim:
    """A trial that this process works on."""

    number: int
    point: Point
    trial: "optuna.Trial"


class Study:
    """The study of a sweep; `folder` holds its database, unless the definition names another."""

    def __init__(self, definition: Definition, folder: Path) -> None:
        """Open it, or make it; ParameterError where it was begun as something else."""
        self._definition, self._machine = definition, f"{socket.gethostname()}:{folder.absolute()}"
        self._points = grid(definition) if definition.search == "grid" else []
        self._study = open_study(definition, folder)

    @property
    def budget(self) -> int:
        """How many points the sweep has."""
        wanted = self._definition.trials
        if self._points:
            return min(wanted or len(self._points), len(self._points))
        return wanted or 0

    @property
    def parent(self) -> str | None:
        """The id of the MLflow run above those of the trials."""
        found: str | None = self._study.user_attrs.get("parent")
        return found

    @parent.setter
    def parent(self, run_id: str) -> None:
        self._study.set_user_attr("parent", run_id)

    def running_here(self) -> list[int]:
        """Return the trials that a process of this machine has begun and not ended."""
        return [
            one.number
            for one in self._all("RUNNING")
            if one.user_attrs.get("machine", self._machine) == self._machine
        ]

    def take_up(self, number: int) -> Claim | None:
        """Return a trial that was begun before, None where it has ended meanwhile."""
        from optuna.trial import Trial

        found = next((one for one in self._all("RUNNING") if one.number == number), None)
        if found is None:
            return None
        with quiet():
            return self._claim(Trial(self._study, found._trial_id))

    def ask(self) -> Claim | None:
        """Begin a new trial; None where the sweep has all its points."""
        from optuna.trial import TrialState

        with quiet():
            if len([one for one in self._all() if one.state != TrialState.FAIL]) >= self.budget:
                return None
            trial = self._study.ask()
            if self._points and trial.number >= len(self._points):  # another machine was faster
                self._study.tell(trial, state=TrialState.FAIL)
                return None
            trial.set_user_attr("machine", self._machine)
            return self._claim(trial)

    def should_end(self, claim: Claim, rows: Sequence[Mapping[str, Any]]) -> bool:
        """Tell the pruner the history so far; return whether it ends the training."""
        pruner = self._definition.pruner
        if pruner is None:
            return False
        sign = self._sign(pruner)
        values = [row[pruner.column] for row in rows if row.get("val_loss") is not None]
        known = self._study.trials[claim.number].intermediate_values
        for number, value in enumerate(values, 1):
            if number not in known and value is not None:
                claim.trial.report(sign * value, number)
                with quiet():
                    if claim.trial.should_prune():
                        return True
        return False

    def end(
        self,
        claim: Claim,
        state: Literal["complete", "pruned"],
        values: Mapping[str, Sequence[float]],
        experiments: Sequence[str],
    ) -> None:
        """Note the end of a trial: the mean over the seeds is its value."""
        from optuna.trial import TrialState

        claim.trial.set_user_attr("values", {name: list(found) for name, found in values.items()})
        claim.trial.set_user_attr("experiments", list(experiments))
        means = [sum(found) / len(found) for found in values.values()]
        whole = state == "complete"
        with quiet():
            self._study.tell(
                claim.trial,
                means if whole else None,
                state=TrialState.COMPLETE if whole else TrialState.PRUNED,
            )

    def note_failure(self, claim: Claim, reason: str | None) -> None:
        """Note why a trial failed, so that it is shown; None: it is tried again."""
        claim.trial.set_user_attr("reason", reason)

    def twin(self, claim: Claim) -> Record | None:
        """Return a complete trial of the same point, as it may be drawn twice of few values."""
        done = (one for one in self.records() if one.state == "complete")
        return next((one for one in done if one.point == claim.point), None)

    def records(self) -> list[Record]:
        """Return all trials but those that were given up before they began."""
        return [_record(one) for one in self._all() if "point" in one.user_attrs]

    def _claim(self, trial: "optuna.Trial") -> Claim:
        def draw(key: str, one: Dimension) -> Any:
            return _suggested(trial, key, one)

        point = drawn(self._definition, draw)
        if trial.user_attrs.get("point") != point:
            trial.set_user_attr("point", point)
        return Claim(trial.number, point, trial)

    def _all(self, *states: str) -> "list[optuna.trial.FrozenTrial]":
        return [one for one in self._study.trials if not states or one.state.name in states]

    def _sign(self, pruner: Pruning) -> int:
        wanted = next(iter(self._definition.metrics.values()))
        better = "minimize" if pruner.column.endswith(("loss", "seconds", "mb")) else "maximize"
        return 1 if wanted == better else -1


def _record(trial: "optuna.trial.FrozenTrial") -> Record:
    about = trial.user_attrs
    states: dict[str, State] = {"COMPLETE": "complete", "PRUNED": "pruned", "RUNNING": "running"}
    reason = about.get("reason") if trial.state.name == "RUNNING" else None
    return Record(
        number=trial.number,
        state="failed" if reason else states.get(trial.state.name, "failed"),
        point=about["point"],
        values=about.get("values", {}),
        experiments=about.get("experiments", []),
        reason=reason,
    )


def _suggested(trial: "optuna.Trial", key: str, one: Dimension) -> Any:
    if one.choice is not None:
        # By its place: Optuna takes words and numbers alone.
        places = [str(place) for place in range(len(one.choice))]
        return one.choice[int(trial.suggest_categorical(key, places))]
    if one.whole is not None:
        return trial.suggest_int(key, *one.whole)
    low, high = one.ends
    return trial.suggest_float(key, low, high, log=one.log_uniform is not None)
