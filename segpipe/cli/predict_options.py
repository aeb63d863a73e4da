"""Options of `segpipe predict` beside what is read and where it is written: views, maps, devices.

And what is refused, because it does not suit what the model reads.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from segpipe.inference.film import camera_device, require_av
from segpipe.runtime.errors import ParameterError

if TYPE_CHECKING:
    from segpipe.inference.inputs import Inputs
    from segpipe.raw.input_spec import FileSpec, InputSpec
    from segpipe.raw.reader import Reader


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of views, maps and devices."""
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
        nargs="*",
        metavar="CLASS",
        help="write OUT/probabilities/NAME.png too (of a raster NAME.tif): the probability of the class "
        "that was chosen, of a model with one logit that of its second class. Of the classes that are "
        "named, or of `all`, write a map each instead: OUT/probabilities/011_person/NAME.png, with its "
        "train id",
    )
    parser.add_argument(
        "--uncertainty",
        action="store_true",
        help="write OUT/uncertainty/NAME.png (or .tif) too: the entropy of the probabilities, 0 where one "
        "class is certain, the largest number where all are equally likely",
    )
    parser.add_argument(
        "--bits",
        type=int,
        choices=(8, 16),
        help="of a pixel of these maps, in which 255 or 65535 stands for 1 (default: 8)",
    )
    parser.add_argument(
        "--device",
        metavar="DEVICE[,DEVICE...]",
        help="where the network runs, such as cpu, cuda:1, or cuda:0,cuda:1 to share the files out "
        "(default: the current GPU, else the CPU)",
    )
    parser.add_argument(
        "--submission",
        action="store_true",
        help="write for the evaluator of Cityscapes: grey PNGs of its label ids, and nothing else",
    )
    parser.add_argument(
        "--truth",
        type=Path,
        metavar="MASKS",
        help="a folder of true label images: write OUT/comparisons/NAME.png and OUT/scores/ too (above)",
    )


def add_film_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of films and cameras."""
    parser.add_argument(
        "--frames",
        action="store_true",
        help="write the label image of each frame of a film too: OUT/frames/NAME/000000.png",
    )
    parser.add_argument(
        "--seconds",
        type=float,
        help="of films and cameras, to label (default: to the end, or Ctrl-C)",
    )


def refuse_odd_film_options(
    options: argparse.Namespace, inputs: "Inputs", files: "FileSpec"
) -> None:
    """Raise ParameterError for options and models that do not suit films, or for films without PyAV."""
    if not (inputs.films or inputs.cameras):
        if options.frames or options.seconds is not None:
            raise ParameterError("--frames and --seconds are for films and cameras; leave them out")
        return
    if options.seconds is not None and options.seconds <= 0:
        raise ParameterError(f"--seconds is {options.seconds}; it must be above 0")
    if files.dtype is not np.uint8:
        raise ParameterError(
            "films and cameras give pictures of 8 bits in red, green and blue, and this model takes "
            f"{', '.join(files.channels)} of another kind; give it its own files"
        )
    if options.probabilities is not None or options.uncertainty or options.submission:
        raise ParameterError(
            "--probabilities, --uncertainty and --submission are for single images; leave them out, or "
            "predict the films by themselves"
        )
    require_av()
    for number in inputs.cameras:
        camera_device(number)


def class_ids(asked: Sequence[str] | None, classes: Sequence[str]) -> tuple[int, ...]:
    """Return the train ids of the classes whose probability is written as a map of its own.

    asked: what --probabilities names; None without it. Raises ParameterError for what is no class.
    """
    if not asked:
        return ()
    if list(asked) == ["all"]:
        return tuple(range(len(classes)))
    if unknown := [name for name in asked if name not in classes]:
        raise ParameterError(
            f"--probabilities names {', '.join(unknown)}, and the model's classes are "
            f"{', '.join(classes)}; name some of these, or all"
        )
    return tuple(sorted({classes.index(name) for name in asked}))


def refuse_odd_options(options: argparse.Namespace, spec: "InputSpec", reader: "Reader") -> None:
    """Raise ParameterError for an option that does not suit what the model reads."""
    if options.opacity is not None and not 0 <= options.opacity <= 1:
        raise ParameterError(f"--opacity is {options.opacity}; it must be in 0 to 1")
    if options.opacity is not None and reader.streamed:
        raise ParameterError("--opacity is for overlays, and this model's rasters get none")
    if not all(0.1 <= scale <= 4 for scale in options.scales):
        raise ParameterError(f"--scales is {options.scales}; each must be in 0.1 to 4")
    maps = options.probabilities is not None or options.uncertainty
    if options.bits is not None and not maps:
        raise ParameterError("--bits is for --probabilities and --uncertainty; leave it out")
    if options.submission and (maps or options.opacity is not None):
        raise ParameterError(
            "--submission writes labels alone; leave out --opacity, --probabilities and --uncertainty"
        )
    if reader.streamed and options.submission:
        raise ParameterError(
            "--submission is for pictures of Cityscapes, and this model labels rasters; leave it out"
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


def refuse_odd_truth(options: argparse.Namespace, inputs: "Inputs", reader: "Reader") -> None:
    """Raise ParameterError where there is nothing that --truth can be compared with."""
    if reader.on_earth or reader.folders:
        raise ParameterError(
            f"--truth is for pictures, and this model labels {reader.unit}s; evaluate them as a split of "
            "the data (`dvc repro evaluate`)"
        )
    if options.submission:
        raise ParameterError("--submission writes labels alone; leave out --truth")
    if inputs.films or inputs.cameras:
        raise ParameterError("--truth is for pictures; predict films and cameras by themselves")


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
