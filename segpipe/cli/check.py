"""segpipe check: parameters and data, without training."""

import argparse
from pathlib import Path
from typing import Any

from segpipe.labels.exclusion import excluded_labels
from segpipe.labels.load import load_scheme
from segpipe.params.load import load_overlay, load_params
from segpipe.params.schema import Params
from segpipe.preflight.inspection import plan_preparation, survey_listing
from segpipe.preflight.judge import judge
from segpipe.preflight.label_proposal import load_scheme_of
from segpipe.preflight.report import refuse_foreign, write_report
from segpipe.preflight.splits import empty_splits, kept_and_left_out
from segpipe.runtime.console import say
from segpipe.runtime.findings import Finding, refuse, say_warnings
from segpipe.runtime.state import downloads_folder
from segpipe.sources.build import check_source
from segpipe.sources.listing import Listing

_REPORT = Path(".segpipe/preflight")
_EXAMPLES = """
examples:
  segpipe check
  segpipe check --params recipes/camvid.yaml
  segpipe check --report data-report

The report is a page, report.html, with pictures of what is wrong, and the same as report.md and report.json.
Errors end the command with exit code 1; warnings do not.
"""


def add_command(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add `check` to the command line."""
    parser = commands.add_parser(
        "check",
        help="validate parameters and data without training",
        description="Validate the whole of params.yaml, then the data it names: pairs, splits, every image "
        "and every mask value, classes, copies of images in two splits. Nothing is written but the report.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--params",
        type=Path,
        default=Path("params.yaml"),
        help="parameter file, or a recipe (default: params.yaml)",
    )
    parser.add_argument(
        "--report",
        type=Path,
        default=_REPORT,
        metavar="DIR",
        help=f"folder of the report (default: {_REPORT}); an earlier report there is replaced",
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    load = load_params if options.params.name == "params.yaml" else load_overlay
    params = load(options.params)
    say(f"{options.params}: the parameters are valid")
    refuse_foreign(options.report)
    checked = check_source(params.source, params.prepare, downloads_folder())
    path = params.source.path
    if not checked.readable:  # else the files are checked with the labels
        scheme = load_scheme(params.labels.scheme, params.labels.map, Path(path))
        excluded_labels(scheme, params.labels.exclude_images_with)
    if checked.listing is None:
        made = "downloaded" if params.source.name == "cityscapes" else f"made from {path}"
        say(
            f"the data of the {params.source.name} source can be {made}; no image was looked at, since "
            "none is there before `dvc repro fetch`"
        )
    elif checked.readable:
        _check_files(params, checked.listing, options.report)
    else:
        _check_names(params, checked.listing)
    return 0


def _check_names(params: Params, listing: Listing) -> None:
    """Of archives the names are looked at alone."""
    counts = {split: len(members) for split, members in listing.samples.items()}
    findings = [*listing.findings, *empty_splits(counts, 0)]
    say_warnings(findings)
    refuse(findings)
    shown = ", ".join(f"{count} {split}" for split, count in counts.items())
    say(
        f"{params.source.path}: {shown} samples, paired by their names; no image and no mask "
        "value was looked at, since they lie in archives: `dvc repro prepare` unpacks and reads them"
    )


def _check_files(params: Params, listing: Listing, folder: Path) -> None:
    raw = Path(params.source.path)
    scheme = load_scheme_of(params, listing, raw)
    context = plan_preparation(
        params.source.name, params.labels, params.prepare, listing, scheme, raw
    )
    survey, memory = survey_listing(listing, context), None
    if context is not None:
        from segpipe.training.forecast import forecast_training  # torch is slow to import

        memory = forecast_training(params, context)
    findings = judge(
        survey, listing.findings, scheme, params.prepare, params.train.batch_size, memory
    )
    page = write_report(folder, findings, survey, scheme, raw, memory)
    say_warnings(findings)
    refuse(findings, page)
    kept, left_out = kept_and_left_out(survey)
    say(f"{raw}: {kept}, every file read and in order{_but(findings)}{left_out}")
    say(f"the report: {page}")


def _but(findings: list[Finding]) -> str:
    plural = "" if len(findings) == 1 else "s"
    return f", with {len(findings)} warning{plural}" if findings else ""
