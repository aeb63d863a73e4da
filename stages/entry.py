"""What all stages have in common: help, parameters, snapshot, and errors in plain words."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from segpipe.atomic import disk_errors_explained
from segpipe.errors import SegpipeError
from segpipe.params.load import load_params
from segpipe.params.schema import Params
from segpipe.provenance import PARAMETERS, Snapshot, take_snapshot

Stage = Callable[[Params, Snapshot], None]


def run_stage(name: str, stage: Stage, help_text: str | None) -> int:
    """Run one stage from the repository root; return the exit code: 0, 1 for a named error, 130.

    The whole of params.yaml is validated before any work, whatever the stage needs of it.
    """
    parse_help(name, help_text)
    return explained(lambda: _run(name, stage))


def parse_help(name: str, help_text: str | None) -> None:
    """Answer --help; the stages take everything else from params.yaml."""
    parser = argparse.ArgumentParser(
        prog=f"python -m stages.{name}",
        description=help_text,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.parse_args()


def explained(work: Callable[[], int]) -> int:
    """Return what `work` returns; say expected errors in one message, without a traceback."""
    try:
        with disk_errors_explained(Path.cwd()):
            return work()
    except SegpipeError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; nothing was published", file=sys.stderr)
        return 130


def _run(name: str, stage: Stage) -> int:
    params = load_params(PARAMETERS)
    stage(params, take_snapshot(name))
    return 0
