"""segpipe check: parameters and data, without training."""

import argparse
from pathlib import Path
from typing import Any

from segpipe.console import say
from segpipe.labels.load import load_scheme
from segpipe.params.load import load_params
from segpipe.params.schema import Params
from segpipe.sources.build import check_source
from segpipe.storage.prepare import check_data, refuse_empty

_EXAMPLES = """
examples:
  segpipe check
  segpipe check --params recipes/camvid.yaml
"""


def add_command(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add `check` to the command line."""
    parser = commands.add_parser(
        "check",
        help="validate parameters and data without training",
        description="Validate the whole of params.yaml, then the data it names: pairs, splits, every image "
        "and every mask value. Nothing is written.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--params",
        type=Path,
        default=Path("params.yaml"),
        help="parameter file (default: params.yaml)",
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    params = load_params(options.params)
    say(f"{options.params}: the parameters are valid")
    _check_data(params)
    return 0


def _check_data(params: Params) -> None:
    checked = check_source(params.source, params.prepare.split)
    if checked.samples is None:
        say(f"{params.source.path}: the {params.source.name} source can be made from it")
        return
    counts = ", ".join(f"{len(members)} {split}" for split, members in checked.samples.items())
    if checked.readable:
        scheme = load_scheme(params.labels.scheme, params.labels.map, Path(params.source.path))
        check_data(checked.samples, Path(params.source.path), scheme, params.prepare)
        say(f"{params.source.path}: {counts} samples, every file read and in order")
    else:
        refuse_empty(checked.samples)
        say(
            f"{params.source.path}: {counts} samples, paired; `dvc repro prepare` unpacks and reads them"
        )
