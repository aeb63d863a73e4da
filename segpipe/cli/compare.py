"""segpipe compare: evaluations side by side, class by class."""

import argparse
import string
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segpipe.cli.compare_tables import markdown_lines, text_lines, write_csv
from segpipe.cli.output_file import CSV_START, refuse_foreign_file
from segpipe.results.comparability import comparability, differing_parameters
from segpipe.results.comparison import Row, class_rows, cost_rows, rare_classes, score_rows
from segpipe.results.evaluation import ClassScores
from segpipe.results.experiments import RunResults, read_run
from segpipe.results.records import shown_fields
from segpipe.runtime.console import say
from segpipe.runtime.errors import ParameterError

if TYPE_CHECKING:
    from segpipe.evaluation.paired import Differences

_LETTERS = string.ascii_uppercase
_EXAMPLES = """
examples:
  segpipe compare HEAD workspace
  segpipe compare exp-plain exp-weighted --sort difference
  segpipe compare exp-plain exp-weighted --score dice
  segpipe compare main exp-a exp-b --markdown
  segpipe compare ../earlier/metrics workspace --csv comparison.csv

Each name is `workspace` (metrics/ here), a folder with evaluation.json, a revision of git, or an
experiment of DVC (`dvc exp list` names them); revisions and experiments are read without checking
them out. Rare classes come first. `rare mIoU` is the mean IoU of the rarest third of the classes,
which are named. The pixel shares are those of the truth. Differences are to the first name, in
percentage points for scores. The 95 % interval is that of other images of the same kind; what
another seed of the training would change is not in it (`segpipe repeat` measures that). A difference
is shown where its interval, which is that of the same images scored by both, does not hold 0.
"""


def add_command(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add `compare` to the command line."""
    parser = commands.add_parser(
        "compare",
        help="compare the scores of runs, class by class",
        description="Show IoU by class of two or more evaluations with their differences, beside the "
        "pixel share of the class, then the totals and what the trainings cost. What makes them hard "
        "to compare (other classes, split, images, truth) is said first, then which parameters differ.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("first", metavar="A", help="what the others are compared with")
    parser.add_argument("others", metavar="B", nargs="+", help="one or more others")
    parser.add_argument(
        "--sort",
        choices=("share", "difference", "name"),
        default="share",
        help="order of the classes: the rarest, the largest loss (of the last name against A), or by "
        "name (default: share)",
    )
    parser.add_argument(
        "--score",
        choices=tuple(shown_fields(ClassScores)),
        default="iou",
        help="which score to show by class (default: iou)",
    )
    parser.add_argument("--markdown", action="store_true", help="print a Markdown table")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write the numbers there as well")
    parser.add_argument(
        "--force", action="store_true", help="replace FILE also where it is of something else"
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    # scipy takes a tenth of a second to import; the other commands do without it.
    from segpipe.evaluation.paired import paired_differences, with_intervals

    names = [options.first, *options.others]
    _refuse_names(names)
    refuse_foreign_file(options.csv, "--csv", CSV_START, options.force)
    runs = [read_run(name) for name in names]
    rare = rare_classes(runs)
    groups = [
        class_rows(runs, options.sort, options.score),
        score_rows(runs, rare),
        cost_rows(runs),
    ]
    differences = [paired_differences(runs[0], run, rare, options.score) for run in runs[1:]]
    groups = [with_intervals(rows, differences) for rows in groups]
    if options.markdown:
        said = [
            f"> {line}"
            for line in (*comparability(runs, names), *differing_parameters(runs, names))
        ]
        lines = [*said, *[""] * bool(said), *markdown_lines(groups, names), ""]
        lines += _verdicts(groups, differences, names)
    else:
        letters = _LETTERS[: len(names)]
        lines = [*comparability(runs, letters), *_legend(letters, runs)]
        lines += [*differing_parameters(runs, letters), ""]
        lines += [*text_lines(groups, letters), "", *_verdicts(groups, differences, letters)]
    lines += ["", *_protocols(runs, names), *_footnotes(rare, options.score)]
    for line in lines:
        say(line)
    if options.csv is not None:
        write_csv(options.csv, groups, names, " | ".join(_protocols(runs, names)))
        say(f"the numbers are in {options.csv}")
    return 0


def _refuse_names(names: Sequence[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ParameterError(f"{', '.join(twice)}: duplicate name; name each once")
    if len(names) > len(_LETTERS):
        raise ParameterError(
            f"{len(names)} evaluations do not fit a table; name {len(_LETTERS)} at most "
            "(`dvc exp show` lists any number of them)"
        )


def _legend(letters: str, runs: Sequence[RunResults]) -> list[str]:
    """Return a line for each run: its name, where it was found, and its MLflow run."""
    lines = []
    for letter, run in zip(letters, runs, strict=True):
        tracked = run.training and run.training.mlflow_run
        about = [] if run.place.rstrip("/") == run.name.rstrip("/") else [run.place]
        about += [f"MLflow run {tracked}"] if tracked else []
        lines.append(f"{letter}  {run.name}" + (f" ({', '.join(about)})" if about else ""))
    return lines


def _verdicts(
    groups: Sequence[Sequence[Row]], differences: Sequence["Differences"], names: Sequence[str]
) -> list[str]:
    """Return a line for each run but the first: whether its mIoU differs."""
    row = next(row for rows in groups for row in rows if (row.kind, row.name) == ("score", "mIoU"))
    found = zip(differences, row.differences, names[1:], strict=True)
    return [one.verdict(difference, (names[0], name)) for one, difference, name in found]


def _protocols(runs: Sequence[RunResults], names: Sequence[str]) -> list[str]:
    """Return on what and how the runs were measured, once where it is the same of all."""
    found = [run.evaluation.protocol.summary for run in runs]
    if len(set(found)) == 1:
        return [f"measured on {found[0]}"]
    return [f"{name} measured on {one}" for name, one in zip(names, found, strict=True)]


def _footnotes(rare: Sequence[str], score: str) -> list[str]:
    units = ["scores in percent, their differences in percentage points"]
    by_class = [f"by class: {shown_fields(ClassScores)[score].label}"] if score != "iou" else []
    if not rare:
        return [*units, *by_class, "rare mIoU: none, since no class has true pixels in all of them"]
    third = "mean IoU of the rarest third of the classes"
    return [*units, *by_class, f"rare mIoU: {third}: {', '.join(rare)}"]
