"""The command `segpipe`: what is done with data and models outside the pipeline's stages."""

import argparse
import sys
from collections.abc import Sequence

from segpipe.cli import check, compare, plan, predict, score, show, use
from segpipe.runtime.process_exit import explained, interrupted_when_told


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code.

    0, 1 for a named error, 2 for wrong usage, 130 after a Ctrl-C, 143 after a SIGTERM.
    """
    parser = argparse.ArgumentParser(
        prog="segpipe",
        description="Semantic segmentation that a person can trust. The pipeline itself runs by `dvc repro`.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in (use, plan, check, show, compare, score, predict):
        module.add_command(commands)
    chosen = parser.parse_args(arguments)
    return explained(lambda: _run(chosen), interrupted="interrupted")


def _run(chosen: argparse.Namespace) -> int:
    with interrupted_when_told(by_parent=False):
        return int(chosen.run(chosen))


if __name__ == "__main__":
    sys.exit(main())
