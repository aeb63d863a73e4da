"""segpipe score: label images of any program against the truth."""

import argparse
from pathlib import Path
from typing import Any

from segpipe.cli.predict_summary import score_line
from segpipe.results.records import REPORT
from segpipe.runtime.console import say

_DESCRIPTION = """
Score a folder of predicted label images against a folder of true ones, at the size of the truth,
with the measures, tables and intervals of segpipe's own models.

Both folders hold PNG, BMP or TIFF files of label ids, of palettes, or of RGB colours. Files pair by
their path below the folder, with or without a usual ending (frankfurt_000000_000294_pred.png and
frankfurt_000000_000294_gtFine_labelIds.png). Each true label image needs its prediction. Where a
prediction holds 255, or a label that the scheme ignores, it counts as wrong, as in the official
evaluator of Cityscapes. Nothing is resized, and no value is guessed: what does not fit is listed.
"""
_EXAMPLES = """
examples:
  segpipe score results gtFine/val --scheme cityscapes19 --out scores/theirs
  segpipe score mmseg_out gtFine/val --scheme cityscapes19 --predictions train-ids --out scores/mmseg
  segpipe score labels masks --scheme classes.csv --out scores/ours --boundaries 0.75 2
  segpipe score labels masks --scheme classes.csv --out scores/ours --group '^([^_]+)_'

`segpipe compare scores/theirs scores/ours` shows them side by side.
"""


def add_command(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add `score` to the command line."""
    parser = commands.add_parser(
        "score",
        help="score label images of any program against the truth",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("predictions", type=Path, help="a folder of predicted label images")
    parser.add_argument("truth", type=Path, help="a folder of true label images")
    parser.add_argument(
        "--scheme",
        required=True,
        help="what the values mean: a built-in name such as cityscapes19, or a CSV or YAML file",
    )
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder of evaluation.json, its tables and report.html; an earlier result there is replaced",
    )
    parser.add_argument(
        "--predictions",
        dest="values",
        choices=("ids", "train-ids"),
        help="what numbers in the predictions are: the ids of the scheme (default; what could be "
        "either is refused), or train ids 0..K-1 in the order of the classes",
    )
    parser.add_argument(
        "--group",
        metavar="REGEX",
        help="pattern with one (group), searched in the name: the group of an image in groups.csv "
        "(default: the city of Cityscapes' names, else the folder)",
    )
    parser.add_argument(
        "--boundaries",
        type=float,
        nargs="+",
        default=[],
        metavar="PERCENT",
        help="widths of Boundary IoU and boundary F, in percent of the image's diagonal (default: "
        "neither, for they take longer than all else)",
    )
    parser.add_argument(
        "--images",
        type=Path,
        metavar="DIR",
        help="folder of the photographs, for the pictures of the report, which shows the masks alone "
        "without it; they pair as the label images do",
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from segpipe.evaluation.score import score  # torch is slow to import

    found = score(
        options.predictions,
        options.truth,
        options.scheme,
        out=options.out,
        values=options.values,
        group=options.group,
        boundaries=options.boundaries,
        images=options.images,
    )
    say(f"{score_line(found)}; the results are in {options.out}/")
    say(f"the report: {options.out / REPORT.name}")
    return 0
