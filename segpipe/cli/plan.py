"""segpipe plan: params.yaml for the own data, this machine and a time budget."""

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segpipe.cli.params_file import PARAMS, replace_params
from segpipe.params.load import load_params
from segpipe.params.prepare import PrepareParams
from segpipe.params.schema import Params
from segpipe.params.settings import settings_of
from segpipe.params.writer import write_params, yaml_value
from segpipe.preflight.inspection import plan_preparation
from segpipe.preflight.label_proposal import load_scheme_of
from segpipe.preparation.sample_job import PrepareContext
from segpipe.runtime.console import say
from segpipe.runtime.errors import DataError, ParameterError
from segpipe.runtime.state import downloads_folder
from segpipe.sources.build import check_source, list_samples
from segpipe.sources.esd_tiles import subtile_sides
from segpipe.sources.listing import Listing

if TYPE_CHECKING:
    from segpipe.planning.draft import Material

_RAW = Path("data/raw")
_EXAMPLES = """
examples:
  segpipe plan --minutes 30
  segpipe plan --minutes 10 --dry-run
  segpipe plan --minutes 60 --set model.name=unet --set prepare.height=512 --set prepare.width=512

Source, labels and splits are those of params.yaml; the rest is chosen anew. Every file of the data is
read, and a few training steps are taken to measure this machine: leave it alone meanwhile. Each chosen
value in params.yaml has its reason beside it. A params.yaml that is kept nowhere else is copied to
.segpipe/replaced/ first.
"""


def add_command(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add `plan` to the command line."""
    parser = commands.add_parser(
        "plan",
        help="choose parameters for the data, this machine and a time budget",
        description="Look at the data that params.yaml names and at this machine, and write params.yaml for "
        "them: size, crop, batch, model, first weights, length, learning rate, sampler and augmentation, "
        "each with its reason, and a forecast of time and memory.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--minutes",
        type=float,
        default=30.0,
        help="time of `segpipe train` from its start to the report, of 1 to 100000 (default: 30)",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a parameter that stays as it is given; may be repeated",
    )
    parser.add_argument("--dry-run", action="store_true", help="show the plan and write nothing")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    if not 1 <= options.minutes <= 100_000:
        raise ParameterError(f"--minutes {options.minutes:g}: must be between 1 and 100000")
    given = settings_of(options.set)
    present = load_params(PARAMS)
    raw = _raw_folder(present)

    from segpipe.planning.plan import header, in_words, make_plan  # torch is slow to import

    planned = make_plan(material_of(present, raw), options.minutes, given)
    width = max(len(choice.key) for choice in planned.choices)
    for choice in planned.choices:
        say(f"  {choice.key:<{width}}  {yaml_value(choice.value):<12}  {choice.reason}")
    command = ["segpipe", "plan", "--minutes", f"{options.minutes:g}"]
    command += [part for setting in options.set for part in ("--set", setting)]
    reasons = {choice.key: choice.reason for choice in planned.choices}
    text = write_params(planned.params, header(planned, shlex.join(command)), reasons)
    seconds, memory = planned.seconds, planned.memory
    say(
        f"forecast: {in_words(seconds)}; "
        f"{memory['total_mb']:.0f} MB of the {memory['available_mb']:.0f} MB that are free"
    )
    if options.dry_run:
        say("nothing is written, because of --dry-run")
        return 0
    replace_params(text.encode(), force=True)
    say(f"the plan is in {PARAMS}; next: segpipe train")
    return 0


def material_of(present: Params, raw: Path) -> "Material":
    """Return what a plan is made from: the parameters as they are, and the files below `raw`."""
    from segpipe.planning.draft import Material
    from segpipe.planning.facts import TILES
    from segpipe.planning.rules import raster_side, tile_side

    side = None  # of windows: their number and sizes are facts of the data for a plan
    if present.source.name in TILES:
        side = tile_side(subtile_sides(raw))
    elif present.source.name == "rasters":
        side = raster_side(list_samples(present.source, present.prepare, raw).truth_ratio)
    if side is not None:
        prepare = present.prepare.model_copy(update={"height": side, "width": side})
        present = present.model_copy(update={"prepare": prepare})

    def listed(prepare: PrepareParams) -> Listing:
        return list_samples(present.source, prepare, raw)

    def context(listing: Listing, prepare: PrepareParams) -> PrepareContext | None:
        scheme = load_scheme_of(present, listing, raw)
        return plan_preparation(present.source.name, present.labels, prepare, listing, scheme, raw)

    return Material(present, listed, context)


def _raw_folder(present: Params) -> Path:
    """Return where the files are: at source.path, or in data/raw where fetch has made them."""
    if present.source.name == "esd":
        return Path(present.source.path)
    if check_source(present.source, present.prepare, downloads_folder()).readable:
        return Path(present.source.path)
    if not _RAW.is_dir():
        raise DataError(
            f"the data of the {present.source.name} source is made or unpacked by the fetch stage; run "
            "`dvc repro fetch` first"
        )
    return _RAW
