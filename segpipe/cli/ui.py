"""segpipe ui: MLflow's pages, at the runs of segpipe."""

import argparse
from typing import Any

from segpipe.cli.params_file import tracking_settings


def add_command(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add `ui` to the command line."""
    parser = commands.add_parser(
        "ui",
        help="show the runs in MLflow's pages",
        description="Print the link to segpipe's runs in MLflow (mIoU, its interval, loss, images/s and "
        "hours first), open it where there is a browser, and serve MLflow's pages to this machine alone "
        "until Ctrl-C. Where MLFLOW_TRACKING_URI names a server, the link to its pages is printed alone.",
    )
    parser.add_argument("--port", type=int, default=5000, help="of the pages (default: 5000)")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from segpipe.tracking.server import show_runs  # MLflow takes seconds to import

    return show_runs(tracking_settings(), options.port)
