"""What `segpipe predict` says at its end: what was written, what was not read, and where it is."""

import argparse
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from segpipe.inference.clips import Clips
from segpipe.inference.inputs import Inputs
from segpipe.inference.targets import COMPARISONS, FRAMES, OVERLAYS, SCORES
from segpipe.raw.reader import Reader
from segpipe.results.evaluation import Evaluation
from segpipe.runtime.console import say, say_error
from segpipe.runtime.errors import listing

if TYPE_CHECKING:
    from segpipe.inference.files import Predicted


@dataclass
class Done:
    """images, all_films: how many were to be predicted. predicted: what became of the images. clips: of
    a model that takes clips. evaluation: against --truth. films, frames: how many films are written, and
    frames labelled. damaged: a line for each film that could not be read, or not all of it.
    """

    images: int
    all_films: int
    predicted: "Predicted"
    clips: Clips | None = None
    evaluation: Evaluation | None = None
    films: int = 0
    frames: int = 0
    damaged: list[str] = field(default_factory=list)


def say_summary(options: argparse.Namespace, inputs: Inputs, done: Done, reader: Reader) -> int:
    """Say what was written and what was not, and at last where it is; return the exit code."""
    if done.images:
        say(f"{done.predicted.written} of {done.images} label images are in {options.out}/")
    if done.all_films:
        say(f"{done.films} of {done.all_films} films have their overlays, of {done.frames} frames")
    _say_left_out(options, inputs, done, reader.unit)
    faults = {
        "folders or URLs were skipped": inputs.unreadable,
        f"{len(done.predicted.skipped)} {reader.unit}s were skipped": done.predicted.skipped,
        "films could not be read, or not all of them": done.damaged,
    }
    for text, lines in faults.items():
        if lines:
            say_error(f"error: {text}:\n{listing(lines)}")
    say(_places(options, done, reader))
    if options.truth is not None:
        _say_scores(options, done)
    return 1 if any(faults.values()) else 0


def _say_left_out(options: argparse.Namespace, inputs: Inputs, done: Done, unit: str) -> None:
    """Say what was not read though nothing is wrong with it."""
    if own := sum(found.own for found in inputs.found):
        say(f"{own} files of an earlier prediction, in {options.out}/, were not read")
    for found in inputs.found:
        if found.passed_over:
            say(f"{found.root}: {found.left_out()} were not read")
    if done.clips and done.clips.without:
        without = [str(path) for path in done.clips.without]
        say(
            f"{len(without)} {unit}s have no label image, because frames before them are missing:\n"
            f"{listing(without)}"
        )
    if left_out := done.predicted.left_out:
        say(f"of {len(left_out)} {unit}s a part was not read:\n{listing(left_out)}")


def _say_scores(options: argparse.Namespace, done: Done) -> None:
    """Say the mean score with its protocol, and where the comparisons are."""
    if done.evaluation is None:
        say_error("error: nothing is scored, since images were skipped; repair or leave them out")
        return
    say(score_line(done.evaluation))
    say(f"measured on {done.evaluation.protocol.summary}")
    say(f"comparisons: {options.out / COMPARISONS}/, scores of each image: {options.out / SCORES}/")


def score_line(found: Evaluation) -> str:
    """Return the mIoU with its interval, or why there is none."""
    bounds, reason = found.miou_interval, found.protocol.no_interval
    spread = f" (no interval: {reason})" if reason else ""
    if bounds is not None:
        spread = f" (95 % interval {100 * bounds.low:.2f} to {100 * bounds.high:.2f} %)"
    miou = "-" if found.miou is None else f"{100 * found.miou:.2f} %"
    return f"mIoU {miou}{spread} on {found.protocol.images} images"


def _places(options: argparse.Namespace, done: Done, reader: Reader) -> str:
    """Return where overlays and labels are."""
    places = []
    if done.films or (done.predicted.written and not (reader.streamed or options.submission)):
        places.append(f"overlays: {options.out / OVERLAYS}/")
    if done.predicted.written:
        places.append(f"labels: {options.out}/")
    if done.films and options.frames:
        places.append(f"labels of frames: {options.out / FRAMES}/")
    return ", ".join(places) or f"nothing was written to {options.out}/"
