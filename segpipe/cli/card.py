"""segpipe card: the model card of a trained model."""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

from segpipe.cli.output_file import refuse_foreign_file
from segpipe.cli.params_file import tracking_settings
from segpipe.cli.register import add_model_arguments
from segpipe.runtime.atomic import write_text
from segpipe.runtime.console import say

_START = "---\nlicense: "


def add_command(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add `card` to the command line."""
    parser = commands.add_parser(
        "card",
        help="write the model card: scores, protocol, data, cost, limits, licence",
        description="Write the model card of an evaluated model in Hugging Face's form: Markdown with "
        "scores and intervals, protocol, data, cost, limits, and the licences of the model and of its "
        "first weights. `segpipe register` keeps it with the version.",
        epilog="examples:\n  segpipe card --license mit --out models/README.md\n  segpipe card exp-wide",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_model_arguments(parser)
    parser.add_argument("--out", type=Path, metavar="FILE", help="where to (default: the console)")
    parser.add_argument(
        "--force", action="store_true", help="replace FILE also where it is no model card"
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from segpipe.registry.card import model_card
    from segpipe.registry.find import find_trained

    refuse_foreign_file(options.out, "--out", _START, options.force)
    with tempfile.TemporaryDirectory(prefix="segpipe-card-") as scratch:
        text = model_card(
            find_trained(options.model, tracking_settings(), Path(scratch)), options.license
        )
    if options.out is None:
        sys.stdout.write(text)
        return 0
    write_text(options.out, text)
    say(f"the model card is {options.out}")
    return 0
