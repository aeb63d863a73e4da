"""segpipe predict: label images for a folder of pictures, rasters or satellite tiles."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segpipe.bundle_format import DESCRIPTION, SHIPPED, read_description
from segpipe.inference.clips import Clips, find_clips, trained_clip
from segpipe.inference.find import Found, find
from segpipe.inference.targets import (
    map_folders,
    output_names,
    refuse_output_folder,
    refuse_overwriting,
    refuse_submission,
)
from segpipe.params.source import ClipParams
from segpipe.runtime.console import say, say_error
from segpipe.runtime.errors import DataError, ParameterError, listing

if TYPE_CHECKING:
    from segpipe.inference.files import Predicted
    from segpipe.raw.input_spec import InputSpec
    from segpipe.raw.reader import Reader

_DESCRIPTION = """
Write the label image of every picture, raster or ESD tile, as the model was trained on:

  pictures  OUT/NAME.png (the data set's label ids, size of the image; viewers show the classes'
            colours), OUT/overlays/NAME.png
  rasters   OUT/NAME.tif, a GeoTIFF that lines up with the raster; void where it has no data
  tiles     OUT/NAME.tif (on the truth's grid), OUT/NAME.png and OUT/overlays/NAME.png

NAME is the file's name without suffix (with it, where a.jpg lies beside a.png), below the same
folders as in the folder that is read. Folders are read with all that they hold, links are followed,
hidden files are not. A model of clips (source.clip) labels the pictures whose earlier frames it
finds: by Cityscapes names, by numbers that count the frames, or else in the order of the names.

What is not read is counted. What cannot be read is named and skipped; the exit code is 1 then.
An input is never overwritten, and of other files only those that predict wrote itself.
"""
_EXAMPLES = """
examples:
  segpipe predict photographs --out labels
  segpipe predict street.jpg --out labels --bundle models --opacity 0.4
  segpipe predict photographs --out labels --windows slide --flip --uncertainty
  segpipe predict leftImg8bit/test --out submission --submission
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
    parser.add_argument(
        "--force",
        action="store_true",
        help="overwrite files in OUT that were not written by this command; never those that are read",
    )
    _add_views_and_maps(parser)
    parser.set_defaults(run=_run)


def _add_views_and_maps(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--windows",
        choices=("whole", "slide"),
        default="whole",
        help="show the network each picture whole, resized as in training (the default), or windows of "
        "the training size at the picture's own resolution, whose weighted mean counts",
    )
    parser.add_argument(
        "--scales",
        type=float,
        nargs="+",
        default=[1.0],
        metavar="SCALE",
        help="sizes at which each picture is seen, times that of --windows, 0.1 to 4; the mean of "
        "their probabilities counts (default: 1)",
    )
    parser.add_argument(
        "--flip", action="store_true", help="see each picture mirrored left to right as well"
    )
    parser.add_argument(
        "--probabilities",
        action="store_true",
        help="write OUT/probabilities/NAME.png too: the probability of the class that was chosen, of "
        "a model with one logit that of its second class; 8 bits, 255 for 1",
    )
    parser.add_argument(
        "--uncertainty",
        action="store_true",
        help="write OUT/uncertainty/NAME.png too: the entropy of the probabilities; 8 bits, 0 where "
        "one class is certain, 255 where all are equally likely",
    )
    parser.add_argument(
        "--submission",
        action="store_true",
        help="write for the evaluator of Cityscapes: grey PNGs of its label ids, and nothing else",
    )


def _run(options: argparse.Namespace) -> int:
    from segpipe.raw.build import build_reader

    bundle, out = options.bundle or _default_bundle(), options.out
    spec = read_description(bundle).input
    reader = build_reader(spec.files)
    _refuse_odd_options(options, spec, reader)
    refuse_output_folder(out)
    maps = map_folders(options.probabilities, options.uncertainty, options.submission)
    try:
        found = find(reader, options.images, out)
        names = output_names(found.paths, found.root)
        if options.submission:
            refuse_submission(read_description(bundle).scheme, names.values())
        refuse_overwriting(found.paths, names, out, reader, options.force, maps)
    except OSError as error:
        raise DataError(f"{error.filename}: {error.strerror}") from error
    # torch takes seconds to import; what is wrong with the call is said before.
    from segpipe.inference.files import predict_files
    from segpipe.inference.output import Output
    from segpipe.inference.predictor import Predictor
    from segpipe.inference.views import Views

    output = Output(
        opacity=_OPACITY if options.opacity is None else options.opacity,
        probabilities=options.probabilities,
        uncertainty=options.uncertainty,
        submission=options.submission,
    )
    views = Views(options.windows, tuple(options.scales), options.flip)
    predictor = Predictor.load(bundle, views=views)
    clips = None
    if predictor.frames > 1:
        clips = _clips(found, trained_clip(predictor.frames, predictor.bundle.lineage), reader)
        frames = {frame for earlier in clips.earlier.values() for frame in earlier}
        names = {path: names[path] for path in clips.earlier}
        refuse_overwriting({*found.paths, *frames}, names, out, reader, options.force, maps)
    earlier = clips.earlier if clips else None
    done = predict_files(predictor, names, out, output, options.overlap, earlier)
    say(f"{done.written} of {len(names)} label images are in {out}/")
    _say_left_out(found, done, clips, options, reader.unit)
    return 1 if done.skipped or found.unreadable else 0


def _clips(found: Found, clip: ClipParams, reader: "Reader") -> Clips:
    clips = find_clips(found.paths, clip, reader)
    say(clips.summary(clip))
    return clips


def _say_left_out(
    found: Found, done: "Predicted", clips: Clips | None, options: argparse.Namespace, unit: str
) -> None:
    """Say what was not read and why; what should have been, as an error."""
    if found.own:
        say(f"{found.own} files of an earlier prediction, in {options.out}/, were not read")
    if found.passed_over:
        say(f"{options.images}: {found.left_out()} were not read")
    if clips and clips.without:
        without = [str(path) for path in clips.without]
        say(
            f"{len(without)} {unit}s have no label image, because frames before them are missing:\n"
            f"{listing(without)}"
        )
    if done.left_out:
        say(f"of {len(done.left_out)} {unit}s a part was not read:\n{listing(done.left_out)}")
    if found.unreadable:
        say_error(f"error: folders were skipped:\n{listing(found.unreadable)}")
    if done.skipped:
        say_error(f"error: {len(done.skipped)} {unit}s were skipped:\n{listing(done.skipped)}")


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
    if not all(0.1 <= scale <= 4 for scale in options.scales):
        raise ParameterError(f"--scales is {options.scales}; each must be in 0.1 to 4")
    maps = options.probabilities or options.uncertainty
    if options.submission and (maps or options.opacity is not None):
        raise ParameterError(
            "--submission writes labels alone; leave out --opacity, --probabilities and --uncertainty"
        )
    if reader.streamed and (maps or options.submission):
        raise ParameterError(
            "--probabilities, --uncertainty and --submission are for pictures and tiles, and this "
            "model labels rasters; leave them out"
        )
    if not reader.resizes and (options.windows == "slide" or options.scales != [1.0]):
        raise ParameterError(
            f"--windows and --scales are for pictures, and this model's {reader.unit}s keep their size; "
            "leave them out"
        )
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
