"""segpipe suggest: which images to annotate next, with pre-labels for the annotation tool."""

import argparse
from pathlib import Path
from typing import Any

from segpipe.bundle_format import read_description
from segpipe.cli.predict import default_bundle
from segpipe.runtime.console import say, say_error
from segpipe.runtime.errors import ParameterError, listing

_DESCRIPTION = """
Rank the images of a folder that nobody has annotated, for the next round of annotation: those come
first of which the model is uncertain (the mean entropy of its probabilities) and that are unlike
those before them (the classes that it sees, and colours). OUT then holds

  suggestions.csv      rank, image, uncertainty, distance to the nearest image before it, file
  images/              copies of the chosen images
  cvat_masks.zip       the model's labels as CVAT imports them ("Segmentation mask 1.1")
  label_studio.json    the same as tasks of Label Studio, and label_studio.xml, its interface

so that a person corrects instead of drawing anew. What is corrected and exported comes back by
`segpipe import`.
"""
_EXAMPLES = """
examples:
  segpipe suggest photographs
  segpipe suggest photographs --number 100 --out round2 --exclude data/mine/images
  segpipe suggest photographs --model models --exclude round1/images --exclude round2/images
"""
_SHOWN = 5


def add_command(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add `suggest` to the command line."""
    parser = commands.add_parser(
        "suggest",
        help="rank images for the next round of annotation",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="a folder of images")
    parser.add_argument(
        "--model", type=Path, metavar="BUNDLE", help="as --bundle of `segpipe predict`"
    )
    parser.add_argument(
        "--number", type=int, default=50, help="of images to choose (default: %(default)s)"
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("suggestions"),
        help="a folder that does not exist yet, or is empty (default: %(default)s)",
    )
    parser.add_argument(
        "--exclude",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="leave out images that are in this folder too, such as the training data, by their content "
        "or nearly so; may be repeated",
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    if options.number < 1:
        raise ParameterError(f"--number is {options.number}; it must be 1 or more")
    bundle = options.model or default_bundle()
    read_description(bundle)
    # torch takes seconds to import; a bundle that is missing is said before.
    from segpipe.inference.predictor import Predictor
    from segpipe.inference.suggest import TABLE, suggest

    predictor = Predictor.load(bundle)
    done = suggest(predictor, options.folder, options.out, options.number, options.exclude)
    if done.found.passed_over:
        say(f"{options.folder}: {done.found.left_out()} were not read")
    if done.known:
        say(f"{done.known} images are among the excluded ones and left out")
    faults = [*done.found.unreadable, *done.skipped]
    if faults:
        say_error(f"error: {len(faults)} images or folders were skipped:\n{listing(faults)}")
    first = listing([str(path) for path in done.images], _SHOWN)
    say(f"{len(done.images)} of {done.examined} images are suggested, the best first:\n{first}")
    out = options.out
    say(
        f"the list is {out / TABLE}; next, annotate {out / 'images'}/: upload it to CVAT, then "
        f"{out / 'cvat_masks.zip'} as annotations (Segmentation mask 1.1), or import "
        f"{out / 'label_studio.json'} into Label Studio; what you export there is read by `segpipe import`"
    )
    return 1 if faults else 0
