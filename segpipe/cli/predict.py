"""segpipe predict: label images for a folder of pictures, rasters or satellite tiles."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segpipe.runtime.console import say
from segpipe.runtime.errors import ParameterError, listing

if TYPE_CHECKING:
    from segpipe.inference.predictor import Predictor
    from segpipe.raw.input_spec import Kind

_DESCRIPTION = """
Write the label image of every picture, raster or ESD tile, as the model was trained on:

  pictures  OUT/<base name>.png (the data set's label ids, size of the image), OUT/overlays/
  rasters   OUT/<base name>.tif, a GeoTIFF that lines up with the raster; void where it has no data
  tiles     OUT/<tile>.tif (on the truth's grid), OUT/<tile>.png and OUT/overlays/

What cannot be read is named and skipped; the exit code is 1 then.
"""
_EXAMPLES = """
examples:
  segpipe predict photographs --out labels
  segpipe predict street.jpg --out labels --bundle models --opacity 0.4
  segpipe predict orthophotos --out labels --overlap 128
  segpipe predict data/esd/Tile7 --out labels
"""
_PLURAL = {"picture": "images", "raster": "rasters", "esd": "tiles"}
_OPACITY = 0.55


def add_command(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add `predict` to the command line."""
    parser = commands.add_parser(
        "predict",
        help="label every image, raster or tile of a folder",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("images", type=Path, help="a folder of images, rasters or tiles, or one")
    parser.add_argument("--out", type=Path, required=True, help="where the label images go")
    parser.add_argument(
        "--bundle", type=Path, default=Path("models"), help="the model (default: models)"
    )
    parser.add_argument(
        "--opacity",
        type=float,
        help=f"of the overlay's colours, 0 to 1; for pictures and tiles (default: {_OPACITY})",
    )
    parser.add_argument(
        "--overlap",
        type=int,
        help="image pixels that neighbouring windows of a raster share (default: a quarter of a "
        "window); at its edge a network sees half of what it needs",
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    # torch takes seconds to import; `segpipe --help` does not need it.
    from segpipe.inference.folder import find_inputs
    from segpipe.inference.predictor import Predictor

    if options.opacity is not None and not 0 <= options.opacity <= 1:
        raise ParameterError(f"--opacity is {options.opacity}; it must be in 0 to 1")
    kind = _kind(options.bundle)
    found = find_inputs(options.images, kind)
    _refuse_overwriting(options.images, found, options.out, kind)
    predictor = Predictor.load(options.bundle)
    unreadable = _predict(predictor, found, options)
    done, what = len(found) - len(unreadable), _PLURAL[kind]
    say(f"{done} of {len(found)} label images are in {options.out}/")
    if unreadable:
        print(
            f"error: {len(unreadable)} {what} were skipped:\n{listing(unreadable)}", file=sys.stderr
        )
    return 1 if unreadable else 0


def _predict(
    predictor: "Predictor", found: Sequence[Path], options: argparse.Namespace
) -> list[str]:
    from segpipe.inference.folder import predict_folder, predict_rasters, predict_tiles
    from segpipe.inference.rasters import refuse_odd_overlap

    kind, form = predictor.reading.kind, predictor.bundle.form
    if kind == "raster":
        if options.opacity is not None:
            raise ParameterError("--opacity is for overlays, and this model's rasters get none")
        if options.overlap is not None:
            refuse_odd_overlap(form, options.overlap)
        return predict_rasters(predictor, found, options.out, options.overlap)
    if options.overlap is not None:
        whole = "whole pictures" if kind == "picture" else "tiles cut as in training"
        raise ParameterError(
            f"--overlap is for rasters, and this model reads {whole}; leave it out"
        )
    opacity = _OPACITY if options.opacity is None else options.opacity
    predict = predict_folder if kind == "picture" else predict_tiles
    return predict(predictor, found, options.out, opacity)


def _kind(bundle: Path) -> "Kind":
    """What the model reads, told before torch is there: a wrong path is then said at once.

    Pictures where the bundle is missing or damaged; loading it says so in words.
    """
    try:
        about = json.loads((bundle / "model.json").read_text(encoding="utf-8"))
        kind: Kind = about["input"]["reading"]["kind"]
    except (OSError, ValueError, KeyError, TypeError):
        return "picture"
    return kind if kind in _PLURAL else "picture"


def _refuse_overwriting(given: Path, found: Sequence[Path], out: Path, kind: "Kind") -> None:
    """Refuse to write into the folder that is read, or into a tile, whose files would be more."""
    read = {path if kind == "esd" else path.parent for path in found}
    if given.is_dir():
        read.add(given)
    if out.resolve() in {folder.resolve() for folder in read}:
        raise ParameterError(f"--out is the folder of the {_PLURAL[kind]}, {out}; name another one")
