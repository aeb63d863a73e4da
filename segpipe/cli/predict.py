"""segpipe predict: label images for a folder of pictures."""

import argparse
import sys
from pathlib import Path
from typing import Any

from segpipe.console import say
from segpipe.errors import ParameterError, listing

_EXAMPLES = """
examples:
  segpipe predict photographs --out labels
  segpipe predict street.jpg --out labels --bundle models --opacity 0.4
"""


def add_command(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add `predict` to the command line."""
    parser = commands.add_parser(
        "predict",
        help="label every image of a folder",
        description="Write OUT/<base name>.png (the data set's label ids, size of the image) for every "
        "image, and an overlay in OUT/overlays/. Unreadable files are named and skipped; the exit code "
        "is 1 then.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("images", type=Path, help="a folder of images, or one image")
    parser.add_argument("--out", type=Path, required=True, help="where the label images go")
    parser.add_argument(
        "--bundle", type=Path, default=Path("models"), help="the model (default: models)"
    )
    parser.add_argument(
        "--opacity",
        type=float,
        default=0.55,
        help="of the overlay's colours, 0 to 1 (default: 0.55)",
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    # torch takes seconds to import; `segpipe --help` does not need it.
    from segpipe.inference.folder import find_images, predict_folder
    from segpipe.inference.predictor import Predictor

    if not 0 <= options.opacity <= 1:
        raise ParameterError(f"--opacity is {options.opacity}; it must be in 0 to 1")
    images = find_images(options.images)
    if options.images.is_dir() and options.out.resolve() == options.images.resolve():
        raise ParameterError(f"--out is the folder of the images, {options.out}; name another one")
    predictor = Predictor.load(options.bundle)
    unreadable = predict_folder(predictor, images, options.out, options.opacity)
    say(f"{len(images) - len(unreadable)} of {len(images)} label images are in {options.out}/")
    if unreadable:
        print(
            f"error: {len(unreadable)} images were skipped:\n{listing(unreadable)}", file=sys.stderr
        )
    return 1 if unreadable else 0
