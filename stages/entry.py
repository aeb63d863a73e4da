"""What all stages have in common: help, parameters, snapshot."""

import argparse
from collections.abc import Callable

from segpipe.metrics.optical_flow import require_opencv
from segpipe.params.load import load_params
from segpipe.params.schema import Params
from segpipe.runtime.process_exit import explained, interrupted_when_told
from segpipe.runtime.provenance import PARAMETERS, Snapshot, take_snapshot

Stage = Callable[[Params, Snapshot], None]


def run_stage(name: str, stage: Stage, help_text: str | None) -> int:
    """Run one stage from the repository root; return the exit code: 0, 1 for a named error,
    130 after a Ctrl-C, 143 after a SIGTERM.

    The whole of params.yaml is validated before any work, whatever the stage needs of it, and OpenCV is
    asked for, so that its absence does not show after a training.
    """
    parse_help(name, help_text)
    return run_parsed(name, stage)


def run_parsed(name: str, stage: Stage) -> int:
    """As `run_stage`, where the arguments are read already."""
    return explained(lambda: _run(name, stage))


def parse_help(name: str, help_text: str | None) -> None:
    """Answer --help; the stages take everything else from params.yaml."""
    stage_parser(name, help_text).parse_args()


def stage_parser(name: str, help_text: str | None) -> argparse.ArgumentParser:
    """Return what reads the arguments of a stage."""
    return argparse.ArgumentParser(
        prog=f"python -m stages.{name}",
        description=help_text,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _run(name: str, stage: Stage) -> int:
    with interrupted_when_told():
        params = load_params(PARAMETERS)
        if params.evaluate.temporal != "none":
            require_opencv()
        stage(params, take_snapshot(name))
    return 0
