"""segpipe predict: label images of pictures, rasters and tiles, overlays of films."""

import argparse
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from segpipe.bundle_format import DESCRIPTION, SHIPPED, read_description
from segpipe.cli.predict_options import (
    add_film_options,
    add_options,
    class_ids,
    refuse_odd_film_options,
    refuse_odd_options,
    refuse_odd_truth,
)
from segpipe.cli.predict_summary import Done, say_summary
from segpipe.inference.clips import clips_for, trained_clip
from segpipe.inference.exported_file import is_exported, open_exported
from segpipe.inference.film import FilmReader, open_camera
from segpipe.inference.inputs import Inputs, gather
from segpipe.inference.overwriting import (
    refuse_lost_films,
    refuse_output_folder,
    refuse_overwriting,
)
from segpipe.inference.targets import (
    OPACITY,
    class_folders,
    film_files,
    map_folders,
    output_names,
    refuse_submission,
)
from segpipe.runtime.console import say
from segpipe.runtime.errors import DataError

if TYPE_CHECKING:
    from segpipe.inference.predictor import Predictor
    from segpipe.raw.reader import Reader

_DESCRIPTION = """
Write the label image of every picture, raster or ESD tile, as the model was trained on, and
the overlays of films:

  pictures  OUT/NAME.png (the data set's label ids, size of the image; viewers show the classes'
            colours), OUT/overlays/NAME.png
  rasters   OUT/NAME.tif, a GeoTIFF that lines up with the raster; void where it has no data
  tiles     OUT/NAME.tif (on the truth's grid), OUT/NAME.png and OUT/overlays/NAME.png
  films     OUT/overlays/NAME.mp4, of the film's size and times, without sound

INPUT is a file, a folder, a pattern in quotes, the http or https URL of a picture, a film (.mp4,
.m4v, .mov, .avi, .mkv, .webm) or webcam:0, until Ctrl-C or --seconds. Films need PyAV: pip install
'segpipe[video]'. NAME is the file's name without suffix (with it, where a.jpg lies beside a.png),
below the same folders as in the folder that is read; of several folders, with their own names.
Folders are read with all that they hold but films, links are followed, hidden files are not. A
model of clips (source.clip) labels the pictures whose earlier frames it finds: by Cityscapes names,
by numbers that count the frames, or else in the order of the names.

With --truth MASKS, a folder of true label images that pair with the pictures by name, also
OUT/comparisons/NAME.png: picture, truth, prediction and errors with the IoU of the image, and
OUT/scores/ with evaluation.json and its tables; the mean score is said with its protocol.

What is not read is counted. What cannot be read is named and skipped; the exit code is 1 then.
An input is never overwritten, and of other files only those that predict wrote itself.
"""
_EXAMPLES = """
examples:
  segpipe predict photographs --out labels
  segpipe predict street.jpg --out labels --bundle models --opacity 0.4
  segpipe predict photographs --out labels --windows slide --flip --uncertainty
  segpipe predict photographs --out labels --probabilities all --bits 16 --device cuda:0,cuda:1
  segpipe predict 'drives/**/*.jpg' https://example.org/street.jpg --out labels
  segpipe predict drive.mp4 --out labels --frames
  segpipe predict webcam:0 --out labels --seconds 60
  segpipe predict leftImg8bit/test --out submission --submission
  segpipe predict leftImg8bit/val --out compared --bundle models --truth gtFine/val
  segpipe predict orthophotos --out labels --overlap 128
  segpipe predict data/esd/Tile7 --out labels
"""
_TRAINED = Path("models")


def add_command(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add `predict` to the command line."""
    parser = commands.add_parser(
        "predict",
        help="label images, rasters, tiles and films",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help="what to label (above)")
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
        help=f"of the overlay's colours, 0 to 1; for pictures, tiles and films (default: {OPACITY})",
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
    add_film_options(parser)
    add_options(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from segpipe.raw.build import build_reader

    bundle, out = options.bundle or default_bundle(), options.out
    about = open_exported(bundle)[1] if is_exported(bundle) else read_description(bundle)
    reader = build_reader(about.input.files)
    refuse_odd_options(options, about.input, reader)
    refuse_output_folder(out)
    by_class = class_ids(options.probabilities, about.scheme.classes)
    maps = map_folders(
        probabilities=options.probabilities == [],
        uncertainty=options.uncertainty,
        submission=options.submission,
        comparisons=options.truth is not None,
        class_maps=class_folders(about.scheme.classes, by_class),
    )
    with TemporaryDirectory(prefix="segpipe-") as downloads:
        try:
            inputs = gather(options.inputs, reader, out, Path(downloads))
            names, films = output_names(inputs.places), output_names(inputs.films)
            refuse_odd_film_options(options, inputs, about.input.files)
            if options.truth is not None:
                refuse_odd_truth(options, inputs, reader)
            if options.submission:
                refuse_submission(about.scheme, names.values())
            refuse_overwriting(inputs.places, names, out, reader, options.force, maps)
            every = [*inputs.places, *inputs.films]
            refuse_lost_films(films.values(), every, out, options.frames, options.force)
        except OSError as error:
            raise DataError(f"{error.filename}: {error.strerror}") from error
        return _predict(options, bundle, reader, inputs, names, films, by_class, maps)


def _predict(
    options: argparse.Namespace,
    bundle: Path,
    reader: "Reader",
    inputs: Inputs,
    names: dict[Path, str],
    films: dict[Path, str],
    by_class: tuple[int, ...],
    maps: Sequence[str],
) -> int:
    """Write all that is asked for; return the exit code."""
    # torch takes seconds to import; what is wrong with the call is said before.
    from segpipe.evaluation.predicted_truth import TruthPairs, compare_with_truth
    from segpipe.inference.files import Predicted, predict_files
    from segpipe.inference.output import Output
    from segpipe.inference.predictor import Predictor
    from segpipe.inference.views import Views
    from segpipe.runtime.hardware import best_device, named_devices

    out = options.out
    output = Output(
        opacity=OPACITY if options.opacity is None else options.opacity,
        probabilities=options.probabilities == [],
        uncertainty=options.uncertainty,
        submission=options.submission,
        class_ids=by_class,
        bits=options.bits or 8,
    )
    views = Views(options.windows, tuple(options.scales), options.flip)
    devices = named_devices(options.device) if options.device else [best_device()]
    predictors = [Predictor.load(bundle, device, views) for device in devices]
    done = Done(len(names), len(films) + len(inputs.cameras), Predicted())
    if names and predictors[0].frames > 1:
        done.clips = clips_for(predictors[0], [*inputs.places])
        say(done.clips.summary())
        names = {path: names[path] for path in done.clips.earlier}
        read = {*inputs.places, *done.clips.frames}
        refuse_overwriting(read, names, out, reader, options.force, maps)
        done.images = len(names)
    if names:
        earlier = done.clips.earlier if done.clips else None
        pairs = None
        if options.truth is not None:
            pairs = TruthPairs.of(predictors[0], names, out, options.truth)
        done.predicted = predict_files(predictors, names, out, output, options.overlap, earlier)
        if pairs is not None and not done.predicted.skipped:
            done.evaluation = compare_with_truth(pairs, output.opacity)
    _predict_films(options, predictors, inputs, films, output.opacity, done)
    return say_summary(options, inputs, done, reader)


def _predict_films(
    options: argparse.Namespace,
    predictors: Sequence["Predictor"],
    inputs: Inputs,
    films: dict[Path, str],
    opacity: float,
    done: Done,
) -> None:
    """Write the overlays of films and cameras; what is wrong with one does not end the others."""
    from segpipe.inference.predict_film import FilmTarget, predict_film

    stride = trained_clip(predictors[0].frames, predictors[0].bundle.lineage).stride
    now = time.strftime("%Y%m%d-%H%M%S")
    jobs: list[tuple[Callable[[], FilmReader], str]] = [
        *((partial(FilmReader, str(path), str(path)), name) for path, name in films.items()),
        *((partial(open_camera, n), f"webcam{n}-{now}") for n in inputs.cameras),
    ]
    files = film_files([name for _, name in jobs], options.out)
    for place, (opened, name) in enumerate(jobs):
        overlays, labels = files[name]
        target = FilmTarget(overlays, labels if options.frames else None)
        try:
            film = opened()
            live = place >= len(films)
            done.frames += predict_film(
                predictors, film, target, opacity, stride, options.seconds, live
            )
        except DataError as error:
            done.damaged.append(str(error))
            continue
        done.films += 1
        if film.fault:
            done.damaged.append(f"{film.name}: {film.fault}; what could be read is in {overlays}")


def default_bundle() -> Path:
    """Return the folder of the model that is there: that of the training, else the one that comes along."""
    if (_TRAINED / DESCRIPTION).exists():
        return _TRAINED
    say(
        f"{_TRAINED}/ holds no model yet; the one that comes with segpipe is used, which has seen "
        "generated street scenes alone"
    )
    return SHIPPED
