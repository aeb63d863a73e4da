"""segpipe predict: label images for a folder of pictures, rasters or satellite tiles."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segpipe.bundle_format import DESCRIPTION, SHIPPED, read_description
from segpipe.cli.predict_options import add_options, class_ids, refuse_odd_options
from segpipe.inference.clips import Clips, find_clips, trained_clip
from segpipe.inference.exported_file import is_exported, open_exported
from segpipe.inference.find import Found, find
from segpipe.inference.targets import (
    class_folders,
    map_folders,
    output_names,
    refuse_output_folder,
    refuse_overwriting,
    refuse_submission,
)
from segpipe.params.source import ClipParams
from segpipe.runtime.console import say, say_error
from segpipe.runtime.errors import DataError, listing

if TYPE_CHECKING:
    from segpipe.inference.files import Predicted
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
  segpipe predict photographs --out labels --probabilities all --bits 16 --device cuda:0,cuda:1
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
        "--model",
        type=Path,
        help=f"the model: a bundle, or a file of `segpipe export` (default: {_TRAINED}, or before a "
        "training the one of street scenes that comes with segpipe)",
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
    add_options(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from segpipe.raw.build import build_reader

    bundle, out = options.bundle or _default_bundle(), options.out
    about = open_exported(bundle)[1] if is_exported(bundle) else read_description(bundle)
    spec, classes = about.input, about.scheme.classes
    reader = build_reader(spec.files)
    refuse_odd_options(options, spec, reader)
    refuse_output_folder(out)
    by_class = class_ids(options.probabilities, classes)
    maps = map_folders(
        probabilities=options.probabilities == [],
        uncertainty=options.uncertainty,
        submission=options.submission,
        class_maps=class_folders(classes, by_class),
    )
    try:
        found = find(reader, options.images, out)
        names = output_names(found.paths, found.root)
        if options.submission:
            refuse_submission(about.scheme, names.values())
        refuse_overwriting(found.paths, names, out, reader, options.force, maps)
    except OSError as error:
        raise DataError(f"{error.filename}: {error.strerror}") from error
    # torch takes seconds to import; what is wrong with the call is said before.
    from segpipe.inference.files import predict_files
    from segpipe.inference.output import Output
    from segpipe.inference.predictor import Predictor
    from segpipe.inference.views import Views
    from segpipe.runtime.hardware import best_device, named_devices

    output = Output(
        opacity=_OPACITY if options.opacity is None else options.opacity,
        probabilities=options.probabilities == [],
        uncertainty=options.uncertainty,
        submission=options.submission,
        class_ids=by_class,
        bits=options.bits or 8,
    )
    views = Views(options.windows, tuple(options.scales), options.flip)
    devices = named_devices(options.device) if options.device else [best_device()]
    predictors = [Predictor.load(bundle, device, views) for device in devices]
    predictor = predictors[0]
    clips = None
    if predictor.frames > 1:
        clips = _clips(found, trained_clip(predictor.frames, predictor.bundle.lineage), reader)
        frames = {frame for earlier in clips.earlier.values() for frame in earlier}
        names = {path: names[path] for path in clips.earlier}
        refuse_overwriting({*found.paths, *frames}, names, out, reader, options.force, maps)
    earlier = clips.earlier if clips else None
    done = predict_files(predictors, names, out, output, options.overlap, earlier)
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
