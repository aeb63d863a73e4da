"""segpipe completion: commands, options and files completed by the shell."""

import argparse
from pathlib import Path
from typing import Any

from segpipe.runtime.console import say

_SHELLS = ("bash", "zsh", "tcsh")
_EXAMPLES = """
examples:
  eval "$(segpipe completion bash)"                           # in ~/.bashrc
  segpipe completion zsh > ~/.zsh/completions/_segpipe        # a folder of $fpath
  segpipe completion tcsh > ~/.segpipe.tcsh                   # and `source ~/.segpipe.tcsh` in ~/.tcshrc
"""


def add_command(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add `completion` to the command line."""
    parser = commands.add_parser(
        "completion",
        help="print what lets a shell complete commands and options",
        description="Print a script by which a shell completes segpipe's commands, options and files.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("shell", choices=_SHELLS)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    import shtab

    from segpipe.cli.main import CommandParser

    parser = CommandParser()
    for command in {*parser.commands.choices.values()}:
        for action in command._actions:
            if action.type is Path:
                action.complete = shtab.FILE  # type: ignore[attr-defined]
    say(shtab.complete(parser, shell=options.shell))
    return 0
