"""segpipe sweep: a search for good parameters, each point an experiment of DVC."""

import argparse
import importlib.util
from pathlib import Path
from typing import Any

from segpipe.cli.recipes import FOLDER
from segpipe.params.settings import settings_of
from segpipe.project.make import RECIPES
from segpipe.runtime.console import say
from segpipe.runtime.errors import ParameterError, listing
from segpipe.runtime.state import repository_root
from segpipe.sweeps.definition import Definition, read_definition
from segpipe.sweeps.devices import shared_out
from segpipe.sweeps.space import grid, refuse_impossible, shown_point

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
        value = getattr(options, name)
        if value is not None and value < 1:
            raise ParameterError(f"--{name} {value}: must be 1 or more")
    definition = _definition(options)
    checked, environments = refuse_impossible(definition), shared_out(options.jobs)
    _require_optuna()
    folder = repository_root() / ".segpipe" / "sweeps" / definition.name
    if options.dry_run:
        _say_plan(definition, checked)
        return 0
    from segpipe.sweeps.search import search  # which imports what pages and processes need

    return search(definition, folder, environments)


def _say_plan(definition: Definition, checked: int) -> None:
    say(f"{checked} points of the space were checked against the parameters: all are valid")
    if definition.search != "grid":
        seeds = f"of {definition.repeats} seed(s)"
        say(f"{definition.search} search would draw {definition.trials} points {seeds}")
        return
    for number, point in enumerate(grid(definition)[: definition.trials]):
        say(f"{definition.name}-{number:03d}: {shown_point(point)}")


def _definition(options: argparse.Namespace) -> Definition:
    name, folders = options.file, (FOLDER / "sweeps", RECIPES / "sweeps")
    places = [Path(name), *(folder / f"{name}.yaml" for folder in folders)]
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        known = sorted({one.stem for folder in folders for one in folder.glob("*.yaml")})
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
