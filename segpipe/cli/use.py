"""segpipe use: a recipe becomes params.yaml."""

import argparse
import textwrap
from pathlib import Path
from typing import Any

from segpipe.cli.params_file import PARAMS, is_kept, refuse_folder, replace_params
from segpipe.cli.recipes import (
    change_lines,
    changes,
    find_recipe,
    params_text,
    read_header,
    recipe_paths,
    values_of,
)
from segpipe.params.chosen import chosen
from segpipe.params.load import load_overlay, load_params, outdated, validate
from segpipe.params.overlay import overlaid, with_data_of
from segpipe.params.schema import Params
from segpipe.params.writer import header_of, write_params
from segpipe.project.make import RECIPES, in_project, write_pipeline
from segpipe.runtime.console import say
from segpipe.runtime.errors import ParameterError
from segpipe.runtime.version import VERSION_FILE, version_text
from segpipe.runtime.yaml_file import read_yaml

_EXAMPLES = """
examples:
  segpipe use
  segpipe use camvid --dry-run
  segpipe use camvid
  segpipe use my/params.yaml
  segpipe use camvid --keep-data
  segpipe use --upgrade

Without a name the recipes are listed. A recipe names what differs from the defaults; params.yaml is
written with every parameter and what it means. A file that names every parameter is taken as it is,
with its comments. A params.yaml that is in the last commit, an experiment or a recipe can be had back,
so it is replaced at once; any other is replaced with --force alone, and a copy of it kept in
.segpipe/replaced/. --keep-data takes a recipe for the own data: source, labels, splits and bands stay
as they are in params.yaml. --upgrade adds what this version of segpipe has more, keeps all values, and
keeps a copy likewise; in a project made by `segpipe new` all stages run again after it.
"""


def add_command(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add `use` to the command line."""
    parser = commands.add_parser(
        "use",
        help="take a recipe as params.yaml",
        description="Show what a recipe (recipes/NAME.yaml, or any parameter file) changes in "
        "params.yaml, and take it. A recipe with a fault is refused.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", nargs="?", help="a recipe, or the path of a parameter file")
    parser.add_argument("--dry-run", action="store_true", help="show the difference alone")
    parser.add_argument(
        "--force", action="store_true", help="replace a params.yaml that is kept nowhere else"
    )
    parser.add_argument(
        "--keep-data", action="store_true", help="keep source, labels and splits of params.yaml"
    )
    parser.add_argument(
        "--upgrade",
        action="store_true",
        help="bring what an older version made up to date: params.yaml, and in a project made by `segpipe "
        "new` dvc.yaml and segpipe.version",
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    refuse_folder()
    if options.upgrade:
        if options.name is not None:
            raise ParameterError("--upgrade is about params.yaml itself; name no recipe with it")
        _upgrade(options.dry_run)
        if in_project():
            _upgrade_project(options.dry_run)
    elif options.name is None:
        if options.keep_data:
            raise ParameterError(
                "--keep-data is about a recipe; name one: segpipe use NAME --keep-data"
            )
        _list_recipes()
    else:
        _use(find_recipe(options.name), options.dry_run, options.force, options.keep_data)
    return 0


def _use(recipe: Path, dry_run: bool, force: bool, keep_data: bool) -> None:
    params, text = load_overlay(recipe), params_text(recipe)
    if keep_data:
        params = _with_present_data(recipe)
        about = read_header(text).about
        text = write_params(params, f"# {about}\n#\n# data      own: {params.source.path}\n")
    content = text.encode()
    present = PARAMS.read_bytes() if PARAMS.is_file() else None
    _say_difference(params, present is not None)
    if present == content:
        say(f"{PARAMS} is {_shown(recipe)} already; nothing is written")
    elif dry_run:
        if present is not None and not is_kept(present):
            say(
                f"{PARAMS} is neither committed nor a recipe; it would be replaced with --force alone"
            )
        say(f"nothing is written, because of --dry-run; take it with: segpipe use {_shown(recipe)}")
        return
    else:
        replace_params(content, force=force)
        say(f"{PARAMS} is {_shown(recipe)} now")
    _say_next(read_header(content.decode()).fields.get("data"), params.source.path)


def _with_present_data(recipe: Path) -> Params:
    """Return the recipe's parameters for the data of params.yaml; ParameterError when they do not fit."""
    values = with_data_of(read_yaml(recipe), load_params(PARAMS))
    return validate(overlaid(values), f"{recipe.name} with the data of {PARAMS}")


def _upgrade(dry_run: bool) -> None:
    """Write params.yaml anew with what this version has more; the values stay."""
    content, present = read_yaml(PARAMS), PARAMS.read_bytes()
    params = validate(content, PARAMS.name)
    for line in outdated(content):
        say(f"  {line}")
    text = write_params(params, header_of(present.decode())).encode()
    if not outdated(content):
        say(f"{PARAMS} is up to date; nothing is written")
    elif dry_run:
        say("nothing is written, because of --dry-run")
    else:
        replace_params(text, force=True)
        say(f"{PARAMS} is up to date now; each value is as it was")


def _upgrade_project(dry_run: bool) -> None:
    """Have the installed segpipe make the results of a project from now on."""
    if VERSION_FILE.is_file() and VERSION_FILE.read_text(encoding="utf-8") == version_text():
        say(f"{VERSION_FILE} names the installed segpipe; nothing is written")
    elif not dry_run:
        write_pipeline(Path())
        say(
            f"{VERSION_FILE} and dvc.yaml are those of the installed segpipe now; `segpipe train` runs "
            "all stages again"
        )


def _say_difference(params: Params, present: bool) -> None:
    if not present:
        say(f"{PARAMS}: there is none yet")
        return
    differing, same = changes(values_of(PARAMS), chosen(params))
    for line in change_lines(differing):
        say(line)
    count = f"{len(differing)} of {len(differing) + same} parameters differ, {same} are the same"
    say(count if differing else f"all {same} parameters are the same")


def _say_next(data: str | None, path: str) -> None:
    there = "is there" if Path(path).exists() else "is not there yet"
    say(f"data: {path} {there}" + (f"; {data}" if data else ""))
    say("next: segpipe check && dvc repro")


def _shown(recipe: Path) -> str:
    """Return what a person types for a recipe: of those that come with segpipe the name."""
    return recipe.stem if recipe.parent == RECIPES else str(recipe)


def _list_recipes() -> None:
    paths = recipe_paths()
    present = values_of(PARAMS) if PARAMS.is_file() else {}
    distances = {path: len(changes(present, values_of(path))[0]) for path in paths}
    width = max(len(path.stem) for path in paths)
    for path in paths:
        about = read_header(path.read_text(encoding="utf-8", errors="replace")).about
        mark = "*" if distances[path] == 0 else " "
        say(f"{mark} {path.stem:<{width}}  {textwrap.shorten(about, 90, placeholder=' ...')}")
    nearest = min(paths, key=lambda path: distances[path])
    count = distances[nearest]
    if not PARAMS.is_file():
        say(f"{PARAMS}: there is none yet; `segpipe use NAME` writes it")
    elif count:
        say(f"{PARAMS} is none of them; nearest is {nearest.stem}, {count} parameter(s) differ")
    else:
        say(f"{PARAMS} has the parameters of {nearest.stem}")
