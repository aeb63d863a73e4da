"""segpipe check: parameters and data, without training."""

import argparse
from pathlib import Path
from typing import Any

from segpipe.labels.exclusion import excluded_labels
from segpipe.labels.load import MissingLabelFileError, built_in_schemes, load_scheme
from segpipe.labels.scheme import LabelScheme
from segpipe.params.load import load_overlay, load_params
from segpipe.params.schema import Params
from segpipe.preflight.inspection import plan_preparation, survey_listing
from segpipe.preflight.judge import judge
from segpipe.preflight.label_proposal import load_scheme_of, write_class_file
from segpipe.preflight.splits import empty_splits, kept_and_left_out
from segpipe.preflight.training_rules import unfit_saturation
from segpipe.runtime.console import say
from segpipe.runtime.errors import ParameterError
from segpipe.runtime.findings import Finding, refuse, say_warnings
from segpipe.runtime.state import downloads_folder
from segpipe.sources.build import check_source
from segpipe.sources.listing import Listing

_REPORT = Path(".segpipe/preflight")
_OWN = ("folder", "rasters")  # sources of a person's own data
# Errors that a label scheme for other data leads to.
_OF_LABELS = frozenset({"unknown_value", "unknown_colour", "only_void", "one_class"})
# prepare.height, prepare.width and train.length that say nothing of the data: those of recipes/demo.yaml,
# and the defaults, which `segpipe new` writes for own data.
UNPLANNED = (128, 256, "44 epochs"), (256, 512, "20 epochs")
_EXAMPLES = """
examples:
  segpipe check
  segpipe check --params recipes/camvid.yaml
  segpipe check --report data-report
  segpipe check --write-classes

The report is a page, report.html, with pictures of what is wrong, and the same as report.md and report.json.
Errors end the command with exit code 1; warnings do not.
"""


def add_command(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add `check` to the command line."""
    parser = commands.add_parser(
        "check",
        help="validate parameters and data without training",
        description="Validate the whole of params.yaml, then the data it names: pairs, splits, every image "
        "and every mask value, classes, copies of images in two splits. Nothing is written but the report "
        "(and a class file with --write-classes). Its last line says what to do next with own data.",
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
    parser.add_argument(
        "--write-classes",
        action="store_true",
        help="write a class file with the values in your masks into the folder of the data, to be filled "
        "in; a file that is there is never changed",
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from segpipe.preflight.report import refuse_foreign  # jinja2, which the others do without

    load = load_params if options.params.name == "params.yaml" else load_overlay
    params = load(options.params)
    say(f"{options.params}: the parameters are valid")
    refuse_foreign(options.report)
    checked = check_source(params.source, params.prepare, downloads_folder())
    path = params.source.path
    if options.write_classes:
        if checked.listing is None or params.source.name not in _OWN:
            raise ParameterError(
                f"params.yaml: source.name is {params.source.name}; --write-classes reads the masks of your "
                f"own folder (source.name {' or '.join(_OWN)})"
            )
        say(write_class_file(params, checked.listing))
        return 0
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
        _check_files(params, checked.listing, options)
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


def _check_files(params: Params, listing: Listing, options: argparse.Namespace) -> None:
    from segpipe.preflight.report import write_report

    raw = Path(params.source.path)
    if listing.folders:
        say(f"{raw}: {listing.folders}")
    scheme = _scheme(params, listing, raw)
    context = plan_preparation(
        params.source.name, params.labels, params.prepare, listing, scheme, raw
    )
    survey, memory = survey_listing(listing, context), None
    unfit: list[Finding] = []
    if context is not None:
        from segpipe.training.forecast import forecast_training  # torch is slow to import

        memory = forecast_training(params, context)
        unfit = unfit_saturation(len(context.files.channels), params.train.augmentation.saturation)
    findings = judge(
        survey,
        [*listing.findings, *unfit],
        scheme,
        params.prepare,
        params.train.batch_size,
        memory,
    )
    page = write_report(options.report, findings, survey, scheme, raw, memory)
    say_warnings(findings)
    refuse(findings, page, _first_repair(params, findings))
    kept, left_out = kept_and_left_out(survey)
    say(f"{raw}: {kept}, every file read and in order{_but(findings)}{left_out}")
    say(f"the report: {page}")
    if params.source.name in _OWN:
        unnamed = any(finding.kind == "unnamed_class" for finding in findings)
        names = f"write the names of the classes into {raw / params.labels.scheme}, " * unnamed
        say(f"next: {names}{_next_command(params, options.params)}")


def _scheme(params: Params, listing: Listing, raw: Path) -> LabelScheme:
    try:
        return load_scheme_of(params, listing, raw)
    except MissingLabelFileError as error:
        then = "next: `segpipe check --write-classes`, then fill in the names in that file"
        raise MissingLabelFileError(f"{error}\n{then}") from error


def _first_repair(params: Params, findings: list[Finding]) -> str:
    """Return the line that ends a refusal: the repair of the first error."""
    errors = [finding for finding in findings if finding.severity == "error"]
    if not errors or params.source.name not in _OWN:
        return ""
    repair = errors[0].repair
    if errors[0].kind in _OF_LABELS and params.labels.scheme in built_in_schemes():
        repair = (
            f"if the masks were not made for {params.labels.scheme}, set `scheme: classes.csv` under labels "
            "in params.yaml, and run `segpipe check --write-classes`"
        )
    return f"next: {repair}; then `segpipe check` again"


def _next_command(params: Params, file: Path) -> str:
    """Return what to do with data that are in order."""
    if file.name != "params.yaml":
        return f"segpipe use {file}, then segpipe train"
    if (params.prepare.height, params.prepare.width, str(params.train.length)) in UNPLANNED:
        return (
            "segpipe plan --minutes 30 (size and length are those of every new project; it writes settings "
            "for these images), then segpipe train"
        )
    return "segpipe train"


def _but(findings: list[Finding]) -> str:
    plural = "" if len(findings) == 1 else "s"
    return f", with {len(findings)} warning{plural}" if findings else ""
