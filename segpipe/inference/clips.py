"""The clip of each picture to predict: the frames before it that a training would have taken.

A model of clips is shown the frames at 1, 2, ... strides before the picture, as in its training
(source.clip.stride).
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segpipe.params.source import ClipParams
from segpipe.raw.reader import Reader
from segpipe.runtime.errors import DataError, listing
from segpipe.sources.cityscapes_layout.layout import IMAGES, SEQUENCES
from segpipe.sources.cityscapes_layout.pairing import earlier_stems

if TYPE_CHECKING:
    from segpipe.inference.predictor import Predictor

_CITYSCAPES = re.compile(r"(?P<stem>.+_\d{6}_\d{6})_leftImg8bit")
_NUMBERED = re.compile(r"(?P<before>.*?)(?P<number>\d+)(?P<behind>\D*)")
_BY_CITYSCAPES, _BY_NUMBER = "by Cityscapes names", "by the numbers in their names"
_BY_ORDER = "each folder as a clip, in the order of the names (if it is none, number the frames)"


@dataclass
class Clips:
    """clip: what a clip is. earlier: the frames before each picture that has them, the earliest first.
    how: the number of clips by the rule that found them. without: the pictures that lack a frame
    before them.
    """

    clip: ClipParams
    earlier: dict[Path, tuple[Path, ...]] = field(default_factory=dict)
    how: Counter[str] = field(default_factory=Counter)
    without: list[Path] = field(default_factory=list)

    @property
    def frames(self) -> set[Path]:
        """All frames before a picture."""
        return {frame for frames in self.earlier.values() for frame in frames}

    def summary(self) -> str:
        """Say what was taken, such as "12 clips of 4 frames, by Cityscapes names"."""
        clip = self.clip
        apart = "" if clip.stride == 1 else f", each {clip.stride} after the one before"
        return "; ".join(
            f"{count} clip{'' if count == 1 else 's'} of {clip.frames} frames{apart}, {rule}"
            for rule, count in self.how.items()
        )


def trained_clip(frames: int, lineage: Mapping[str, Any]) -> ClipParams:
    """Return the clip of a model that takes so many frames; the stride is that of its training.

    It is 1 where the bundle's lineage does not record it.
    """
    try:
        return ClipParams(frames=frames, stride=lineage["parameters"]["source"]["clip"]["stride"])
    except (KeyError, TypeError, ValueError):
        return ClipParams.model_construct(frames=frames, stride=1)


def clips_for(predictor: "Predictor", paths: Sequence[Path]) -> Clips:
    """Return the clips of a model that end at the pictures `paths`; raises as `find_clips` does."""
    clip = trained_clip(predictor.frames, predictor.bundle.lineage)
    return find_clips(paths, clip, predictor.reader)


def find_clips(paths: Sequence[Path], clip: ClipParams, reader: Reader) -> Clips:
    """Return the clips that end at the pictures `paths`; frames that are not asked for count too.

    Cityscapes names (CITY_SEQUENCE_FRAME_leftImg8bit) say the frames: they lie beside the picture or,
    where it is below leftImg8bit, at the same place below leftImg8bit_sequence. Of other names the
    last number is that of the frame, with the same text around it. Where no picture of a folder has
    frames before it by its number, the folder is taken as one clip, in the order of the names.

    Raises DataError when no picture has all its frames.
    """
    clips = Clips(clip)
    by_folder: dict[Path, list[Path]] = {}
    for path in paths:
        by_folder.setdefault(path.parent, []).append(path)
    for folder, pictures in by_folder.items():
        others = []
        for path in pictures:
            match = _CITYSCAPES.fullmatch(path.stem)
            if match is None:
                others.append(path)
            else:
                _add(clips, path, _cityscapes(path, match["stem"], clip), _BY_CITYSCAPES)
        numbered = {path: _numbered(path, clip) for path in others}
        if any(numbered.values()):
            for path in others:
                _add(clips, path, numbered[path], _BY_NUMBER)
        elif others:
            ordered = _ordered(folder, clip, reader)
            for path in others:
                _add(clips, path, ordered.get(path), _BY_ORDER)
    if not clips.earlier:
        raise DataError(
            f"this model takes clips of {clip.frames} frames, each {clip.stride} after the one before, and "
            f"none of the {len(paths)} {reader.unit}s has the frames before it; lay them beside it, "
            "named as in Cityscapes, with numbers that count the frames, or as a folder for each clip:\n"
            f"{listing([str(path) for path in paths])}"
        )
    return clips


def _add(clips: Clips, path: Path, earlier: Sequence[Path] | None, rule: str) -> None:
    if earlier:
        clips.earlier[path] = tuple(earlier)
        clips.how[rule] += 1
    else:
        clips.without.append(path)


def _back(clip: ClipParams) -> list[int]:
    """Return how many frames before the last one the others of a clip are, the earliest first."""
    return [step * clip.stride for step in reversed(range(1, clip.frames))]


def _cityscapes(path: Path, stem: str, clip: ClipParams) -> list[Path] | None:
    parent = path.absolute().parent
    parts = [SEQUENCES.folder if part == IMAGES.folder else part for part in parent.parts]
    stems = earlier_stems(stem, clip) or []
    for folder in (path.parent, Path(*parts)):
        frames = [folder / f"{one}_leftImg8bit{path.suffix}" for one in stems]
        if frames and all(frame.is_file() for frame in frames):
            return frames
    return None


def _numbered(path: Path, clip: ClipParams) -> list[Path] | None:
    """Return the frames by number, as wide as the picture's own or without leading zeros."""
    match = _NUMBERED.fullmatch(path.stem)
    if match is None:
        return None
    frames = []
    for back in _back(clip):
        number = int(match["number"]) - back
        written = [f"{number:0{len(match['number'])}d}", f"{number}"] if number >= 0 else []
        names = [f"{match['before']}{one}{match['behind']}{path.suffix}" for one in written]
        there = [path.with_name(name) for name in names if path.with_name(name).is_file()]
        if not there:
            return None
        frames.append(there[0])
    return frames


def _ordered(folder: Path, clip: ClipParams, reader: Reader) -> dict[Path, list[Path]]:
    """Return the frames before each picture of a folder in the order of the names."""
    pictures = sorted(
        item
        for item in folder.iterdir()
        if not item.name.startswith(".") and reader.is_input(item) and item.is_file()
    )
    first = _back(clip)[0]
    return {
        pictures[place]: [pictures[place - back] for back in _back(clip)]
        for place in range(first, len(pictures))
    }
