"""segpipe reproduce: a finished training once more, beside the workspace, and whether the same comes out."""

import argparse
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segpipe.cli.params_file import tracking_settings
from segpipe.runtime.console import say
from segpipe.runtime.errors import DataError

if TYPE_CHECKING:
    from segpipe.reproduction.origin import Origin

_DESCRIPTION = """
Check out the code, parameters and data of a finished training into a folder of its own, train, evaluate
and render there, and say whether scores and weights are the same, bit by bit. The workspace stays as it is.

What is missing is named: a commit that is not in this repository, code that was never committed, data of
another digest. The exit code is 0 when all came out the same, 1 when not.
"""
_EXAMPLES = """
examples:
  segpipe reproduce models
  segpipe reproduce exp-wide --dry-run
  segpipe reproduce 4f7c2d1e9b8a4c6f8e0d1a2b3c4d5e6f --to ../again
  segpipe reproduce HEAD~3

RUN is the folder of a bundle, a revision of git, an experiment of DVC, or a run of MLflow by its id or
name. Data come from the DVC cache or remote; what is not there is fetched and prepared again.
"""


def add_command(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add `reproduce` to the command line."""
    parser = commands.add_parser(
        "reproduce",
        help="train a finished run once more; is the result the same?",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "run_name", metavar="RUN", help="a bundle, revision, experiment or MLflow run"
    )
    parser.add_argument(
        "--to", type=Path, metavar="FOLDER", help="a new folder for it (default: a temporary one)"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="say what would be checked out, and leave nothing"
    )
    parser.add_argument(
        "--force", action="store_true", help="train also where the recorded code was not committed"
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    # They import DVC's and the bundle's side, which other commands do without.
    from segpipe.reproduction.origin import find_origin
    from segpipe.reproduction.reproduce import check_out, prepare, train_again

    if options.to is not None and options.to.exists():
        raise DataError(f"--to {options.to}: is there already; name a new folder")
    origin = find_origin(options.run_name, tracking_settings())
    say(f"{origin.name}: {origin.place}")
    if options.dry_run:
        with tempfile.TemporaryDirectory(prefix="segpipe-reproduce-") as folder:
            origin, project = check_out(origin, Path(folder) / "project", force=options.force)
            _say_data(origin, project)
        say("nothing was run, and nothing is left")
        return 0
    to: Path = options.to or Path(tempfile.mkdtemp(prefix="segpipe-reproduce-")) / "project"
    try:
        origin, project = check_out(origin, to, force=options.force)
        prepare(origin, project)
    except BaseException:  # also Ctrl-C: nothing is in the folder yet that would be missed
        shutil.rmtree(to, ignore_errors=True)
        raise
    found = train_again(origin, project)
    for line in found.lines:
        say(line)
    say(
        f"the result: {project} (models/, metrics/report.html); delete the folder when it is not needed"
    )
    return 0 if found.equal else 1


def _say_data(origin: "Origin", project: Path) -> None:
    from segpipe.reproduction.checkout import prepared_digest

    found = prepared_digest(project)
    if found is None:
        say("data         not in the DVC cache: they would be fetched and prepared again")
    elif origin.data is not None and found != origin.data:
        say(
            f"data         those of the commit have digest {found}, recorded is {origin.data}: they would"
        )
        say("             be fetched and prepared again")
    else:
        say(f"data         digest {found}, in the DVC cache")
    say(f"weights      {'known' if origin.weights else 'not known: only scores would be compared'}")
