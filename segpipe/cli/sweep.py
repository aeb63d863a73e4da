"""segpipe sweep: a search for good parameters, each point an experiment of DVC."""

import argparse
import importlib.util
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from segpipe.cli.recipes import FOLDER
from segpipe.params.settings import settings_of
from segpipe.project.make import RECIPES
from segpipe.runtime.console import say, say_error
from segpipe.runtime.errors import ParameterError, SegpipeError, listing
from segpipe.runtime.state import repository_root
from segpipe.runtime.trial import PARENT_RUN
from segpipe.sweeps.definition import Definition, read_definition
from segpipe.sweeps.devices import shared_out
from segpipe.sweeps.experiment import Experiment
from segpipe.sweeps.findings import complete, shown_trials, verdicts
from segpipe.sweeps.page import PAGE, Findings, write_files
from segpipe.sweeps.run import Runner
from segpipe.sweeps.space import refuse_impossible, settings
from segpipe.sweeps.storage import identity
from segpipe.sweeps.study import Study
from segpipe.sweeps.trainer import DvcTrainer
from segpipe.tracking.sweep_run import SweepRun

_DESCRIPTION = """
Search for good parameters: a grid, random points, or Bayesian search. FILE says what is searched and by
what it is judged (docs/sweeps.md); it is a path or the name of one in recipes/sweeps/.

Each point is an experiment of DVC, NAME-000 and so on, in a temporary workspace: params.yaml and all else
here stay as they are. The same command goes on after a Ctrl-C or a crash: no point is lost, none is trained
twice.
"""
_EXAMPLES = """
examples:
  segpipe sweep sequence_grid --dry-run
  segpipe sweep tiles_bayes --trials 60 --jobs 2
  segpipe sweep my_sweep.yaml -S train.length=5

--jobs: how many train side by side, each with GPUs of its own, or its part of the processor.
"""


def add_command(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add `sweep` to the command line."""
    parser = commands.add_parser(
        "sweep",
        help="search for good parameters: grid, random, Bayesian",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "file", metavar="FILE", help="the file of a sweep, or the name of a recipe's"
    )
    parser.add_argument(
        "--jobs", type=int, default=1, metavar="N", help="trainings side by side (default: 1)"
    )
    parser.add_argument("--trials", type=int, metavar="N", help="points in all, in place of FILE's")
    parser.add_argument(
        "--dry-run", action="store_true", help="check all, and show what would be trained"
    )
    parser.add_argument(
        "-S",
        dest="settings",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="a parameter of all trials, as `set` in FILE; may be given several times",
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    for name in ("jobs", "trials"):
        if (getattr(options, name) or 1) < 1 or getattr(options, name) == 0:
            raise ParameterError(f"--{name} {getattr(options, name)}: must be 1 or more")
    definition = _definition(options)
    checked, environments = refuse_impossible(definition), shared_out(options.jobs)
    _require_optuna()
    folder = repository_root() / ".segpipe" / "sweeps" / definition.name
    if options.dry_run:
        _say_plan(definition, checked)
        return 0
    Experiment(
        definition.name, settings(definition, {})
    ).is_finished()  # refuses where there is no commit
    study = Study(definition, folder)
    say(
        f"sweep {definition.name}: {definition.search} search, {study.budget} points"
        + (f" of {definition.repeats} seeds" if definition.repeats > 1 else "")
        + f", {options.jobs} at a time; the output of the trainings is in {folder}/NUMBER/"
    )
    return _search(definition, study, folder, environments)


def _search(
    definition: Definition, study: Study, folder: Path, environments: list[dict[str, str]]
) -> int:
    params = Experiment("", settings(definition, {})).parameters()
    above = SweepRun(params.tracking, definition.name, study.parent)
    if above.run_id:
        study.parent = above.run_id
        environments = [{**one, PARENT_RUN: above.run_id} for one in environments]

    def ended(number: int, state: str, experiments: Sequence[str]) -> None:
        above.tag_trial(experiments, {"trial": str(number), "trial_state": state})
        write_files(folder, _findings(definition, study))
        done = len([one for one in study.records() if one.state in ("complete", "pruned")])
        say(f"{done} of {study.budget} points are done")

    begun = identity(definition)
    runner = Runner(
        definition=definition,
        study=study,
        folder=folder,
        trainer=DvcTrainer(),
        environments=environments,
        seed=params.train.seed,
        check=partial(_refuse_edited, definition, begun),
        ended=ended,
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
    best = found.best
    above.end(
        "FINISHED",
        {f"best/{name}": value for name, value in (best[0].means if best else {}).items()},
    )
    if failed:
        reasons = [f"trial {number}: {reason}" for number, reason in failed.items()]
        say(f"{len(failed)} trials failed; the same command tries them again:\n{listing(reasons)}")
    _say_result(found, folder)
    return 1 if failed else 0


def _findings(definition: Definition, study: Study, last: bool = False) -> Findings:
    trials = shown_trials(study.records())
    lines = verdicts(trials, definition) if last else []
    return Findings(definition, study.budget, trials, lines)


def _say_result(found: Findings, folder: Path) -> None:
    for one in found.best[:3] if len(found.definition.metrics) == 1 else found.best:
        values = ", ".join(f"{name} {value:.5g}" for name, value in one.means.items())
        point = ", ".join(f"{key}={value}" for key, value in one.record.point.items())
        say(f"{one.record.experiments[0]}: {values}; {point}")
    for line in found.verdicts:
        say(line)
    page = folder / PAGE
    if not complete(found.trials):
        say(f"no point is complete; the page is {page}")
    else:
        say(
            f"the page is {page}; take the first: dvc exp apply {found.best[0].record.experiments[0]}"
        )


def _say_plan(definition: Definition, checked: int) -> None:
    from segpipe.sweeps.space import grid

    say(f"{checked} points of the space were checked against the parameters: all are valid")
    if definition.search != "grid":
        seeds = f"of {definition.repeats} seed(s)"
        say(f"{definition.search} search would draw {definition.trials} points {seeds}")
        return
    for number, point in enumerate(grid(definition)[: definition.trials]):
        say(
            f"{definition.name}-{number:03d}: {', '.join(f'{key}={value}' for key, value in point.items())}"
        )


def _refuse_edited(definition: Definition, begun: dict[str, str]) -> None:
    if identity(definition) != begun:
        raise ParameterError(
            "params.yaml or the current commit was changed since the sweep began, and its points would not "
            "compare; bring it back, and give the same command again"
        )


def _definition(options: argparse.Namespace) -> Definition:
    name = options.file
    places = [Path(name), *(folder / "sweeps" / f"{name}.yaml" for folder in (FOLDER, RECIPES))]
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        known = sorted(
            {one.stem for folder in (FOLDER, RECIPES) for one in (folder / "sweeps").glob("*.yaml")}
        )
        raise ParameterError(
            f"{name}: there is no such file, and no sweep among the recipes:\n{listing(known)}"
        )
    definition = read_definition(path)
    changes: dict[str, Any] = {"settings": {**definition.settings, **settings_of(options.settings)}}
    if options.trials is not None:
        changes["trials"] = options.trials
    if both := sorted(changes["settings"].keys() & definition.space.keys()):
        raise ParameterError(f"-S {', '.join(both)}: is searched by {path}; leave it out")
    return definition.model_copy(update=changes)


def _require_optuna() -> None:
    if importlib.util.find_spec("optuna") is None:
        raise ParameterError(
            "sweeps need Optuna, which is not installed: pip install 'segpipe[sweep]'"
        )
