"""A sweep from its definition to its page: trials, MLflow, console."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from time import monotonic

from segpipe.runtime.console import say, say_error
from segpipe.runtime.errors import ParameterError, SegpipeError, listing
from segpipe.runtime.trial import PARENT_RUN
from segpipe.sweeps.definition import Definition
from segpipe.sweeps.experiment import Experiment
from segpipe.sweeps.findings import complete, shown_trials, verdicts
from segpipe.sweeps.page import PAGE, Findings, write_files
from segpipe.sweeps.run import Runner
from segpipe.sweeps.space import settings, shown_point
from segpipe.sweeps.storage import identity
from segpipe.sweeps.study import Study
from segpipe.sweeps.trainer import DvcTrainer
from segpipe.tracking.sweep_run import SweepRun


def search(definition: Definition, folder: Path, environments: Sequence[Mapping[str, str]]) -> int:
    """Train the points that are left, and write the page; return the exit code, 1 where trials failed.

    folder: of the sweep. environments: one for each training that runs at a time. What stops the sweep is
    raised; a line then says how to go on.
    """
    Experiment(
        definition.name, settings(definition, {})
    ).is_finished()  # refuses where nothing is committed
    study = Study(definition, folder)
    seeds = f" of {definition.repeats} seeds" if definition.repeats > 1 else ""
    say(
        f"sweep {definition.name}: {definition.search} search, {study.budget} points{seeds}, "
        f"{len(environments)} at a time; the output of the trainings is in {folder}/NUMBER/"
    )
    params = Experiment("", settings(definition, {})).parameters()
    above = SweepRun(params.tracking, definition.name, study.parent)
    if above.run_id:
        study.parent = above.run_id
        environments = [{**one, PARENT_RUN: above.run_id} for one in environments]
    runner = Runner(
        definition=definition,
        study=study,
        folder=folder,
        trainer=DvcTrainer(),
        environments=environments,
        seed=params.train.seed,
        check=partial(_refuse_edited, definition, study, identity(definition), params.train.seed),
        ended=_Ended(definition, study, folder, above),
    )
    try:
        failed = runner.run()
    except (KeyboardInterrupt, SegpipeError) as error:
        above.end("KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED", {})
        say_error(
            "the sweep is not finished; the same command goes on: finished points are not trained again, and "
            "unfinished ones continue from their last checkpoints"
        )
        raise
    found = _findings(definition, study, last=True)
    write_files(folder, found)
    means = found.best[0].means if found.best else {}
    above.end("FINISHED", {f"best/{name}": value for name, value in means.items()})
    if failed:
        reasons = [f"trial {number}: {reason}" for number, reason in failed.items()]
        say(f"{len(failed)} trials failed; the same command tries them again:\n{listing(reasons)}")
    _say_result(found, folder)
    return 1 if failed else 0


class _Ended:
    """What is done when a trial has ended: its tags, the page, and a line on what is left."""

    def __init__(self, definition: Definition, study: Study, folder: Path, above: SweepRun) -> None:
        self._definition, self._study, self._folder, self._above = definition, study, folder, above
        self._begin, self._here = monotonic(), 0

    def __call__(self, number: int, state: str, experiments: Sequence[str]) -> None:
        self._here += 1
        self._above.tag_trial(experiments, {"trial": str(number), "trial_state": state})
        write_files(self._folder, _findings(self._definition, self._study))
        done = [one for one in self._study.records() if one.state in ("complete", "pruned")]
        left = self._study.budget - len(done)
        minutes = (monotonic() - self._begin) / 60 / self._here * left
        say(f"{len(done)} of {self._study.budget} points are done, about {minutes:.0f} min to go")


def _findings(definition: Definition, study: Study, last: bool = False) -> Findings:
    trials = shown_trials(study.records())
    lines = verdicts(trials, definition) if last else []
    return Findings(definition, study.budget, trials, lines)


def _say_result(found: Findings, folder: Path) -> None:
    for one in found.best[:3] if len(found.definition.metrics) == 1 else found.best:
        values = ", ".join(f"{name} {value:.5g}" for name, value in one.means.items())
        say(f"{one.record.experiments[0]}: {values}; {shown_point(one.record.point)}")
    for line in found.verdicts:
        say(line)
    page = folder / PAGE
    if not complete(found.trials):
        say(f"no point is complete; the page is {page}")
    else:
        say(
            f"the page is {page}; take the first: dvc exp apply {found.best[0].record.experiments[0]}"
        )


def _refuse_edited(
    definition: Definition, study: Study, begun: Mapping[str, str], seed: int
) -> None:
    """Raise ParameterError where parameters, commit, code or data are not those that the sweep began with."""
    if identity(definition) != begun:
        raise ParameterError(
            "params.yaml or the current commit was changed since the sweep began, and its points would not "
            "compare; bring it back, and give the same command again"
        )
    first = next((one for one in study.records() if one.state == "complete"), None)
    if first is not None:
        own = settings(definition, first.point)
        seeded = (f"train.seed={seed}",) if definition.repeats > 1 else ()
        Experiment(first.experiments[0], (*own, *seeded)).is_finished()
