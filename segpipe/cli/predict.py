"""segpipe predict: label images for a folder of pictures, rasters or satellite tiles."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segpipe.bundle_format import DESCRIPTION, SHIPPED, read_description
from segpipe.runtime.console import say
from segpipe.runtime.errors import ParameterError, listing

if TYPE_CHECKING:
    from segpipe.raw.input_spec import InputSpec
    from segpipe.raw.reader import Reader

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
_OPACITY = 0.55
_TRAINED = Path("models")


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
        "--bundle",
        type=Path,
        help=f"the model (default: {_TRAINED}, or before a training the one of street scenes that comes "
        "with segpipe)",
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
    from segpipe.raw.build import build_reader

    bundle = options.bundle or _default_bundle()
    spec = read_description(bundle).input
    reader = build_reader(spec.files)
    _refuse_odd_options(options, spec, reader)
    found = reader.find(options.images)
    _refuse_overwriting(options.images, found, options.out, reader)
    # torch takes seconds to import; what is wrong with the call is said before.
    from segpipe.inference.files import predict_files
    from segpipe.inference.predictor import Predictor

    opacity = _OPACITY if options.opacity is None else options.opacity
    predictor = Predictor.load(bundle)
    unreadable = predict_files(predictor, found, options.out, opacity, options.overlap)
    say(f"{len(found) - len(unreadable)} of {len(found)} label images are in {options.out}/")
    if unreadable:
        print(
            f"error: {len(unreadable)} {reader.unit}s were skipped:\n{listing(unreadable)}",
            file=sys.stderr,
        )
    return 1 if unreadable else 0


def _default_bundle() -> Path:
    if (_TRAINED / DESCRIPTION).exists():
        return _TRAINED
    say(
        f"{_TRAINED}/ holds no model yet; the one that comes with segpipe is used, which has seen "
        "generated street scenes alone"
    )
    return SHIPPED


def _refuse_odd_options(options: argparse.Namespace, spec: "InputSpec", reader: "Reader") -> None:
    """Raise ParameterError for an option that does not suit what the model reads."""
    if options.opacity is not None and not 0 <= options.opacity <= 1:
        raise ParameterError(f"--opacity is {options.opacity}; it must be in 0 to 1")
    if options.opacity is not None and reader.streamed:
        raise ParameterError("--opacity is for overlays, and this model's rasters get none")
    if options.overlap is None:
        return
    if not reader.streamed:
        raise ParameterError(
            f"--overlap is for rasters, and this model reads whole {reader.unit}s; leave it out"
        )
    refuse_odd_overlap(spec, options.overlap)


def refuse_odd_overlap(spec: "InputSpec", overlap: int) -> None:
    """Raise ParameterError when the windows of a model cannot share so many image pixels."""
    ratio = spec.files.truth_ratio
    most = min(spec.height, spec.width) // 2 // ratio * ratio
    if not 0 <= overlap <= most or overlap % ratio:
        wanted = f"0 to {most}" if ratio == 1 else f"a multiple of {ratio} from 0 to {most}"
        truth = "" if ratio == 1 else f" and truth pixels {ratio}x{ratio}"
        raise ParameterError(
            f"--overlap is {overlap}; for this model, whose windows have "
            f"{spec.height}x{spec.width} pixels{truth}, it can be {wanted}"
        )


def _refuse_overwriting(given: Path, found: Sequence[Path], out: Path, reader: "Reader") -> None:
    """Refuse to write into the folder that is read, or into a tile, whose files would be more."""
    read = {path if path.is_dir() else path.parent for path in found}
    if given.is_dir():
        read.add(given)
    if out.resolve() in {folder.resolve() for folder in read}:
        raise ParameterError(f"--out is the folder of the {reader.unit}s, {out}; name another one")
