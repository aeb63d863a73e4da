"""segpipe repeat: one training with several seeds, and what its scores are worth."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segpipe.cli.output_file import CSV_START, JSON_START, refuse_foreign_file
from segpipe.results.comparability import family_notes
from segpipe.results.evaluation import ClassScores
from segpipe.results.experiments import RunResults, read_run
from segpipe.results.records import shown_fields
from segpipe.runtime.console import say
from segpipe.runtime.errors import ParameterError
from segpipe.sweeps.seeds import family_names, seed_experiments, seeds_of, train_all

if TYPE_CHECKING:
    from segpipe.evaluation.family import Family

_DESCRIPTION = """
Train with several seeds and show each score's mean and spread, the 95 % interval of the mean, and how
much of the variance of a single run is the images': what more images would take away, where the rest
is what more seeds would.

Each training is an experiment of DVC, NAME-seed-0 and so on, in a temporary workspace: params.yaml and
all else here stay as they are. One that has been made of the same parameters, code and data is not
trained again. So the same command goes on after a Ctrl-C or a crash. Names of experiments, revisions or
folders instead of --seeds take what has been trained as a family; one name stands for NAME-seed-K.
"""
_EXAMPLES = """
examples:
  segpipe repeat --seeds 5
  segpipe repeat --seeds 3,5,7 --name hard -S loss.name=ohem
  segpipe repeat hard --json hard.json
  segpipe repeat hard --against plain
  segpipe repeat scores/seed0 scores/seed1 scores/seed2

std is the standard deviation between the seeds on these images. The interval is that of other images of
the same kind and other seeds. In the images' share, what images and seeds do together counts as the
images'. docs/uncertainty.md says how well both are known.
"""


def add_command(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add `repeat` to the command line."""
    parser = commands.add_parser(
        "repeat",
        help="train with several seeds; mean, spread, and what of it is the images'",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("runs", metavar="RUN", nargs="*", help="runs of a family, or its name")
    parser.add_argument(
        "--seeds",
        metavar="N",
        help="how many, from train.seed of params.yaml on, or which ones, such as 3,5,7",
    )
    parser.add_argument("--name", help="of the experiments (default: one that the parameters give)")
    parser.add_argument(
        "-S",
        dest="settings",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="a parameter of all trainings, as `dvc exp run -S` takes it; may be given several times",
    )
    parser.add_argument(
        "--against",
        metavar="RUN",
        nargs="+",
        help="another family, by its name or its runs: is the difference of the means shown?",
    )
    parser.add_argument(
        "--score",
        choices=tuple(shown_fields(ClassScores)),
        default="iou",
        help="which score to show by class (default: iou)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers there")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write the table there")
    parser.add_argument(
        "--force", action="store_true", help="replace FILE also where it is of something else"
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    refuse_foreign_file(options.csv, "--csv", CSV_START, options.force)
    refuse_foreign_file(options.json, "--json", JSON_START, options.force)
    others = [read_run(name) for name in family_names(options.against or ())]
    names = _trained(options)
    # scipy takes a tenth of a second to import; what is wrong with the call is said before.
    from segpipe.cli.repeat_tables import family_lines, write_family_csv, write_family_json
    from segpipe.evaluation.family import family

    found = family([read_run(name) for name in names], score=options.score)
    lines = [*_legend(found), *family_notes(found.runs), ""]
    lines += [*family_lines(found), "", _summary(found)]
    lines += [f"measured on {found.runs[0].evaluation.protocol.summary}"]
    lines += _verdict(found, others, options)
    for line in lines:
        say(line)
    if options.csv is not None:
        write_family_csv(options.csv, found, names)
        say(f"the table is in {options.csv}")
    if options.json is not None:
        write_family_json(options.json, found, names)
        say(f"all numbers are in {options.json}")
    say(f"the runs side by side: segpipe compare {' '.join(names)}")
    return 0


def _trained(options: argparse.Namespace) -> list[str]:
    """Return the names of the family's runs, after training them where --seeds asks for it."""
    if bool(options.runs) == (options.seeds is not None):
        raise ParameterError(
            "give --seeds to train, such as --seeds 5, or the runs of a family, and not both"
        )
    if options.runs:
        if options.settings or options.name:
            raise ParameterError("-S and --name are for trainings; give --seeds with them")
        return family_names(options.runs)
    seeds = seeds_of(options.seeds, options.settings)
    trainings = seed_experiments(seeds, options.settings, options.name)
    train_all(trainings)
    return [one.name for one in trainings]


def _legend(found: "Family") -> list[str]:
    """Return a line for each run: its name, where it was found, its seed and its mIoU."""
    lines = []
    for run, seed, miou in zip(found.runs, found.seeds, found.miou.row.values, strict=True):
        seed_words = "" if seed is None else f", train.seed {seed}"
        score = "" if miou is None else f", mIoU {100 * miou:.2f} %"
        lines.append(f"{run.name} ({run.place}){seed_words}{score}")
    return lines


def _summary(found: "Family") -> str:
    """Return the mIoU of the family in a sentence."""
    miou, runs = found.miou, len(found.runs)
    if miou.mean is None or miou.deviation is None:
        return "mIoU: none"
    text = f"mIoU {100 * miou.mean:.2f} % with a standard deviation of {100 * miou.deviation:.2f} points"
    text += f" over {runs} seeds"
    if not miou.interval.known:
        return f"{text}; no interval: {miou.interval.basis.removeprefix('none: ')}"
    low, high = 100 * miou.interval.low, 100 * miou.interval.high
    text += f"; the mean's 95% interval, for other images and seeds, is {low:.2f} to {high:.2f} %"
    text += f" ({miou.interval.basis.removeprefix('95% ')})"
    if miou.images_share is None:
        return text
    return f"{text}; about {100 * miou.images_share:.0f} % of the variance of a single run is the images'"


def _verdict(found: "Family", others: list[RunResults], options: argparse.Namespace) -> list[str]:
    """Return whether the mean of this family and that of --against differ."""
    if not others:
        return []
    from segpipe.evaluation.family import family, family_differences

    other = family(others, score=options.score)
    means = found.miou.mean, other.miou.mean
    difference = None if means[0] is None or means[1] is None else means[0] - means[1]
    names = " ".join(options.against), options.name or " ".join(options.runs) or "these"
    apart = family_differences(others, found.runs, options.score)
    return [
        f"means of {len(others)} and {len(found.runs)} seeds: {apart.verdict(difference, names)}"
    ]
