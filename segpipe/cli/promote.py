"""segpipe promote: the candidate of a registered model becomes its champion where it is better."""

import argparse
from typing import Any

from segpipe.cli.params_file import tracking_settings
from segpipe.runtime.console import say

_DESCRIPTION = """
Compare the version `candidate` of a registered model with the version `champion`, on the same images, and
make it the champion where it is shown to be better: where the 95 % interval of the difference of both mIoUs
lies above 0, as `segpipe compare` finds it. Without a champion the candidate becomes one.

The exit code is 0 when the candidate is the champion afterwards, and 1 with the reason when not.
"""


def add_command(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add `promote` to the command line."""
    parser = commands.add_parser(
        "promote",
        help="make a registered candidate the champion, if it is shown to be better",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "name",
        metavar="NAME",
        nargs="?",
        help="of the registered model (default: tracking.experiment of params.yaml)",
    )
    parser.add_argument(
        "--force",
        action="store_true",
        help="promote it also where that is not shown, as with other classes or validation images than "
        "the champion's, which cannot be compared; the version keeps a note of it",
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from segpipe.registry.promote import promote  # MLflow takes seconds to import

    settings = tracking_settings()
    name = settings.experiment if options.name is None else options.name
    found = promote(name, settings, force=options.force)
    for line in found.lines:
        say(line)
    return 0 if found.done else 1
