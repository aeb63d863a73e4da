"""segpipe new: a project of one's own, outside of segpipe's repository."""

import argparse
from pathlib import Path
from typing import Any

from segpipe.runtime.console import say

_DESCRIPTION = """
Make a folder in which the installed segpipe trains: params.yaml with every parameter and what it
means, dvc.yaml, a README, a git repository. Nothing outside of the folder is changed.
"""
_EXAMPLES = """
examples:
  segpipe new demo
  segpipe new seeds --data /data/seeds
  segpipe new streets --data cvat-export.zip

Without --data the project trains on generated street scenes, in three minutes on two cores. A folder
in segpipe's layout (images/, masks/, classes.csv) stays where it is, and is only read; the export of an
annotation tool is imported into data/own of the project, as `segpipe import` does.
"""


def add_command(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add `new` to the command line."""
    parser = commands.add_parser(
        "new",
        help="make a project, for own data or a try",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="the folder to make")
    parser.add_argument(
        "--data",
        type=Path,
        metavar="EXPORT",
        help="own images and masks: a folder, or what an annotation tool exported",
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from segpipe.project.make import make_project

    folder = options.folder
    data = make_project(folder, options.data)
    say(f"{folder}/ is a project of segpipe now; its README.md says how it goes on")
    if data is not None:
        say(f"the data is read at {folder / data}; nothing there is ever changed")
    if not (folder / ".git").exists():
        say(
            "git was not found, so it is no repository: segpipe train works, `dvc exp` and comparisons "
            "with earlier commits do not (install git, then: git init, and remove .dvc/config.local)"
        )
    commands = [f"cd {folder}"]
    if data is not None:
        commands += ["segpipe check", "segpipe plan --minutes 10"]
    say("\n".join(["next:", *(f"  {command}" for command in [*commands, "segpipe train"])]))
    return 0
