"""segpipe register: a model becomes a version in MLflow's registry, ready to be served."""

import argparse
import tempfile
from pathlib import Path
from typing import Any

from segpipe.cli.params_file import tracking_settings
from segpipe.runtime.console import say

_DESCRIPTION = """
Put a model into MLflow's model registry, with its scores and its model card, as a new version with the
alias `candidate`. `mlflow models serve` answers requests with it (docs/serving.md), and `segpipe promote`
makes it `champion`.

What is registered is the bundle, a script that MLflow runs in place of a pickle, the code of this segpipe,
evaluation.json and image_counts.csv. The same weights with the same scores are registered once.
"""
_EXAMPLES = """
examples:
  segpipe register
  segpipe register exp-wide --name street-scenes --license apache-2.0
  segpipe register 4f7c2d1e9b8a4c6f8e0d1a2b3c4d5e6f

MODEL is the folder of a bundle, a revision of git, an experiment of DVC, or a run of MLflow by its id or
name. Of models/ the scores are those in metrics/.
"""


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the model and its licence to a command."""
    parser.add_argument(
        "model",
        metavar="MODEL",
        nargs="?",
        default="models",
        help="a bundle, revision, experiment or MLflow run (default: models)",
    )
    parser.add_argument(
        "--license",
        default="unknown",
        metavar="ID",
        help="of the model, for its card: an identifier of Hugging Face such as apache-2.0 "
        "(default: unknown)",
    )


def add_command(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add `register` to the command line."""
    parser = commands.add_parser(
        "register",
        help="put a model into MLflow's registry, ready to be served",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_model_arguments(parser)
    parser.add_argument(
        "--name", help="of the registered model (default: tracking.experiment of params.yaml)"
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from segpipe.registry.find import find_trained
    from segpipe.registry.register import register_model

    settings = tracking_settings()
    name = settings.experiment if options.name is None else options.name
    with tempfile.TemporaryDirectory(prefix="segpipe-register-") as scratch:
        found = find_trained(options.model, settings, Path(scratch))
        version, is_new = register_model(found, name, settings, options.license)
    known = "" if is_new else "; it was registered before, with the same weights and scores"
    say(f"{version}: candidate{known}")
    say(f"its files are in MLflow run {version.run_id}; `segpipe ui` shows them")
    say(f"next: segpipe promote {name}, or mlflow models serve -m models:/{name}@candidate")
    return 0
