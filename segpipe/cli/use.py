"""segpipe use: a recipe becomes params.yaml."""

import argparse
import contextlib
import hashlib
import os
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from segpipe.cli.recipes import (
    change_lines,
    changes,
    find_recipe,
    params_text,
    read_header,
    recipe_paths,
    values_of,
)
from segpipe.params.load import load_overlay, outdated, validate
from segpipe.params.writer import header_of, write_params
from segpipe.results.experiments import commit_with
from segpipe.runtime.atomic import atomic_file
from segpipe.runtime.console import say
from segpipe.runtime.errors import BusyError, ParameterError
from segpipe.runtime.small_files import read_json
from segpipe.runtime.state import repository_root
from segpipe.runtime.yaml_file import read_yaml

_PARAMS = Path("params.yaml")
_REPLACED = Path(".segpipe/replaced")
_EXAMPLES = """
examples:
  segpipe use
  segpipe use camvid --dry-run
  segpipe use camvid
  segpipe use my/params.yaml
  segpipe use --upgrade

Without a name the recipes are listed. A recipe names what differs from the defaults; params.yaml is
written with every parameter and what it means. A file that names every parameter is taken as it is,
with its comments. A params.yaml that is in the last commit, an experiment or a recipe can be had back,
so it is replaced at once; any other is replaced with --force alone, and a copy of it kept in
.segpipe/replaced/. --upgrade adds what this version of segpipe has more, keeps all values, and keeps
a copy likewise.
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
        "--upgrade", action="store_true", help="bring a params.yaml of an older version up to date"
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    if _PARAMS.is_dir():
        raise ParameterError(f"{_PARAMS}: is a folder, but must be a file; move it away")
    if options.upgrade:
        if options.name is not None:
            raise ParameterError("--upgrade is about params.yaml itself; name no recipe with it")
        _upgrade(options.dry_run)
    elif options.name is None:
        _list_recipes()
    else:
        _use(find_recipe(options.name), options.dry_run, options.force)
    return 0


def _use(recipe: Path, dry_run: bool, force: bool) -> None:
    params, content = load_overlay(recipe), params_text(recipe).encode()
    present = _PARAMS.read_bytes() if _PARAMS.is_file() else None
    _say_difference(recipe, present is not None)
    if present == content:
        say(f"{_PARAMS} is {recipe} already; nothing is written")
    elif dry_run:
        if present is not None and not _kept(present):
            say(
                f"{_PARAMS} is neither committed nor a recipe; it would be replaced with --force alone"
            )
        say(f"nothing is written, because of --dry-run; take it with: segpipe use {recipe}")
        return
    else:
        _refuse_running()
        _protect(present, force)
        with atomic_file(_PARAMS) as partial:
            partial.write_bytes(content)
        say(f"{_PARAMS} is {recipe} now")
    _say_next(read_header(content.decode()).fields.get("data"), params.source.path)


def _upgrade(dry_run: bool) -> None:
    """Write params.yaml anew with what this version has more; the values stay."""
    content, present = read_yaml(_PARAMS), _PARAMS.read_bytes()
    params = validate(content, _PARAMS.name)
    for line in outdated(content):
        say(f"  {line}")
    text = write_params(params, header_of(present.decode())).encode()
    if not outdated(content):
        say(f"{_PARAMS} is up to date; nothing is written")
    elif dry_run:
        say("nothing is written, because of --dry-run")
    else:
        _refuse_running()
        _protect(present, force=True)
        with atomic_file(_PARAMS) as partial:
            partial.write_bytes(text)
        say(f"{_PARAMS} is up to date now; each value is as it was")


def _say_difference(recipe: Path, present: bool) -> None:
    if not present:
        say(f"{_PARAMS}: there is none yet")
        return
    differing, same = changes(values_of(_PARAMS), values_of(recipe))
    for line in change_lines(differing):
        say(line)
    count = f"{len(differing)} of {len(differing) + same} parameters differ, {same} are the same"
    say(count if differing else f"all {same} parameters are the same")


def _say_next(data: str | None, path: str) -> None:
    there = "is there" if Path(path).exists() else "is not there yet"
    say(f"data: {path} {there}" + (f"; {data}" if data else ""))
    say("next: segpipe check && dvc repro")


def _kept(present: bytes) -> bool:
    """Say whether this params.yaml can be had back, byte for byte."""
    if commit_with(_PARAMS) is not None:
        return True
    copies = (path.read_bytes() for path in _REPLACED.glob("*.yaml"))
    return present in copies or present in _written_recipes()


def _written_recipes() -> Iterator[bytes]:
    for path in filter(Path.is_file, Path("recipes").glob("*.yaml")):
        with contextlib.suppress(ParameterError):
            yield params_text(path).encode()


def _protect(present: bytes | None, force: bool) -> None:
    if present is None or _kept(present):
        return
    if not force:
        raise ParameterError(
            f"{_PARAMS}: holds what is neither in the last commit, nor in an experiment, nor in a "
            f"recipe, and would be lost; commit it (`git commit {_PARAMS}`), or replace it with "
            f"--force, which keeps a copy in {_REPLACED}/"
        )
    digest = hashlib.blake2b(present, digest_size=5).hexdigest()
    copy = _REPLACED / f"params-{digest}.yaml"
    with atomic_file(copy) as partial:
        partial.write_bytes(present)
    say(f"the former {_PARAMS} is kept; have it back with: segpipe use {copy}")


def _refuse_running() -> None:
    """Refuse while DVC runs a stage here: at its end it would find other parameters and be refused.

    DVC writes into .dvc/tmp/rwlock which process reads which file. Entries of processes that ended
    without tidying up are passed over, as DVC does. Queued experiments read a copy of their own.
    """
    lock = repository_root() / ".dvc/tmp/rwlock"
    try:
        readers = read_json(lock)["read"][str(_PARAMS.resolve())]
        alive = [(int(one["pid"]), str(one["cmd"])) for one in readers if _lives(int(one["pid"]))]
    except (OSError, ValueError, KeyError, TypeError):
        return  # no lock, or none on params.yaml
    if alive:
        number, command = alive[0]
        raise BusyError(
            f"{_PARAMS}: process {number} (`{command}`) is running a stage with it, whose result would "
            "be refused if the parameters changed meanwhile; wait for it, or end it, and try again"
        )


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _list_recipes() -> None:
    paths = recipe_paths()
    present = values_of(_PARAMS) if _PARAMS.is_file() else {}
    distances = {path: len(changes(present, values_of(path))[0]) for path in paths}
    width = max(len(path.stem) for path in paths)
    for path in paths:
        about = read_header(path.read_text(encoding="utf-8", errors="replace")).about
        mark = "*" if distances[path] == 0 else " "
        say(f"{mark} {path.stem:<{width}}  {textwrap.shorten(about, 90, placeholder=' ...')}")
    nearest = min(paths, key=lambda path: distances[path])
    count = distances[nearest]
    if not _PARAMS.is_file():
        say(f"{_PARAMS}: there is none yet; `segpipe use NAME` writes it")
    elif count:
        say(f"{_PARAMS} is none of them; nearest is {nearest.stem}, {count} parameter(s) differ")
    else:
        say(f"{_PARAMS} has the parameters of {nearest.stem}")
