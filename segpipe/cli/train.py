"""segpipe train: run the pipeline, and show the scores."""

import argparse
import signal
import subprocess
from collections.abc import Sequence
from types import FrameType
from typing import Any

from segpipe.cli.params_file import PARAMS, replace_params
from segpipe.cli.show import show_results
from segpipe.params.edit import with_settings
from segpipe.project.make import in_project
from segpipe.runtime.console import say
from segpipe.runtime.dvc_process import dvc_command, dvc_environment, terminate_stage
from segpipe.runtime.errors import ParameterError
from segpipe.runtime.process_exit import INTERRUPTED, TERMINATED
from segpipe.runtime.provenance import PIPELINE
from segpipe.runtime.version import refuse_other_version

_DESCRIPTION = """
Run `dvc repro`: the stages fetch, prepare, train, evaluate and render, as far as their data,
parameters or code changed; then show the scores. A training that was interrupted goes on from its
last checkpoint.
"""
_EXAMPLES = """
examples:
  segpipe train
  segpipe train --set train.lr=0.001 --set 'train.length=2000 steps'
  segpipe train --processes 2

`dvc exp run -S train.lr=0.001` changes a parameter for one experiment, which DVC keeps beside others;
`dvc repro STAGE` runs a part of the pipeline.
"""


def add_command(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add `train` to the command line."""
    parser = commands.add_parser(
        "train",
        help="run the pipeline (dvc repro) and show the scores",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--set",
        dest="settings",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change a parameter in params.yaml first, such as train.lr=0.001; can be repeated",
    )
    parser.add_argument(
        "--processes",
        type=_at_least_one,
        metavar="N",
        help="processes that train, on GPUs or CPU cores (default: one a GPU, or one); the result is "
        "the same",
    )
    parser.set_defaults(run=_run)


def _at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of processes")
    return int(text)


def _run(options: argparse.Namespace) -> int:
    if not PIPELINE.is_file():
        raise ParameterError(
            f"{PIPELINE}: there is none here; run this in the root of a project or of segpipe's "
            "repository, or make a project: segpipe new DIR"
        )
    if in_project():
        refuse_other_version()
    if options.settings:
        _change_parameters(options.settings)
    processes = {} if options.processes is None else {"SEGPIPE_PROCESSES": str(options.processes)}
    say("dvc repro")
    code = _run_to_end(dvc_command("repro"), dvc_environment(processes))
    if code == 0:
        say("")
        show_results()
    return code


def _change_parameters(settings: Sequence[str]) -> None:
    if not PARAMS.is_file():
        raise ParameterError(f"{PARAMS}: there is no such file; `segpipe use demo` writes it")
    text, changes = with_settings(PARAMS.read_text(encoding="utf-8"), settings, PARAMS.name)
    for line in changes:
        say(f"{PARAMS}: {line}")
    if changes:
        replace_params(text.encode(), force=True)
    else:
        say(f"{PARAMS}: has these values already")


def _run_to_end(command: Sequence[str], environment: dict[str, str]) -> int:
    """Run DVC until it and its stage have ended; return its exit code, 130 or 143 when told to stop.

    The terminal sends Ctrl-C to all of them: the stage saves and ends, for which DVC waits, and so
    does this process. A SIGTERM comes to this process alone, and is passed on to the stage.
    """
    told: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        told.append(number)
        if number == signal.SIGTERM:
            terminate_stage(child)

    numbers = (signal.SIGINT, signal.SIGTERM)
    with subprocess.Popen(command, env=environment) as child:
        before = {number: signal.signal(number, note) for number in numbers}
        try:
            code = child.wait()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
    if told and code:
        return INTERRUPTED if told[0] == signal.SIGINT else TERMINATED
    return code
