"""Where predictions are written: names that are one-to-one."""

import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from segpipe.labels.load import built_in_scheme
from segpipe.labels.scheme import LabelScheme
from segpipe.raw.reader import Reader
from segpipe.runtime.errors import ParameterError, listing

OVERLAYS, PROBABILITIES, UNCERTAINTY = "overlays", "probabilities", "uncertainty"
OPACITY = 0.55  # of the colours of overlays, where nobody asks for another
FRAMES = "frames"  # the folder of the label images of films
COMPARISONS = "comparisons"  # the folder of image, truth, prediction and errors side by side
SCORES = "scores"  # the folder of what was measured against the truth
# Folders of what is written beside the labels.
MAPS = (OVERLAYS, PROBABILITIES, UNCERTAINTY, COMPARISONS)
# Stands in each file that predict writes, as PNG's text chunk or TIFF's tag "Software". Copies keep
# it, and programs that edit pictures do not, so that corrected labels count as somebody's own.
SOFTWARE = "segpipe predict"
_CITYSCAPES = re.compile(r"[^_]+_\d{6}_\d{6}")
_LONGEST = 255 - len(".png")  # bytes of a base name, of the 255 that file systems allow
_DIGEST = 16  # hexadecimal digits


def fitting(name: str, longest: int = _LONGEST) -> str:
    """Return a file's base name, cut to `longest` bytes with a digest of the whole where it has more."""
    content = os.fsencode(name)
    if len(content) <= longest:
        return name
    start = content[: longest - _DIGEST - 1].decode("utf-8", "ignore")
    return f"{start}-{_digest(name)}"


def flat_names(names: Iterable[str], longest: int = _LONGEST) -> dict[str, str]:
    """Return a base name for each of `names`, whose slashes become "__"; it is one-to-one.

    Names that would become the same get a digest at their end.
    """
    flat = {name: name.replace("/", "__") for name in names}
    counts = Counter(flat.values())
    return {
        name: fitting(each if counts[each] == 1 else f"{each}-{_digest(name)}", longest)
        for name, each in flat.items()
    }


def _digest(name: str) -> str:
    return hashlib.sha256(os.fsencode(name)).hexdigest()[:_DIGEST]


def output_names(places: Mapping[Path, Path]) -> dict[Path, str]:
    """Return for each input the path of what is written for it, below the output folder, no suffix.

    places: paths below the output folder, by input. The suffix goes, unless two would get the same
    name then: a.jpg and a.png become a.jpg and a.png, to which the suffix of the output is added.
    """
    names = {path: part if path.is_dir() else part.with_suffix("") for path, part in places.items()}
    while True:
        counts = Counter(names.values())
        twice = [path for path in places if counts[names[path]] > 1 and names[path] != places[path]]
        if not twice:
            break
        names |= {path: places[path] for path in twice}
    return {path: str(name.with_name(fitting(name.name))) for path, name in names.items()}


def map_folders(
    *,
    probabilities: bool,
    uncertainty: bool,
    submission: bool,
    comparisons: bool,
    class_maps: Sequence[str] = (),
) -> list[str]:
    """Return the folders of what is written beside the labels; of rasters all but the overlays.

    class_maps: the `class_folders` that are asked for.
    """
    wanted = {
        OVERLAYS: not submission,
        PROBABILITIES: probabilities,
        UNCERTAINTY: uncertainty,
        COMPARISONS: comparisons,
    }
    return [*(folder for folder, is_wanted in wanted.items() if is_wanted), *class_maps]


def class_folders(classes: Sequence[str], train_ids: Iterable[int]) -> list[str]:
    """Return the folder for the probability of each of these classes: probabilities/011_person.

    The train id, which comes first, keeps names apart and sorted that a file system takes for one.
    """
    names = (f"{k:03d}_{classes[k]}".replace("/", "__") for k in train_ids)
    return [f"{PROBABILITIES}/{fitting(name)}" for name in names]


def target_files(
    name: str, out: Path, reader: Reader, maps: Sequence[str] = (OVERLAYS,)
) -> list[Path]:
    """Return the files that are written for an input whose output has this name.

    maps: the folders of what is written beside the labels, as `map_folders` gives them.
    """
    labels = [out / f"{name}.tif"] if reader.on_earth else []
    if reader.streamed:
        return labels + [out / folder / f"{name}.tif" for folder in maps if folder != OVERLAYS]
    return [*labels, out / f"{name}.png", *(out / folder / f"{name}.png" for folder in maps)]


def refuse_submission(scheme: LabelScheme, names: Iterable[str]) -> None:
    """Raise ParameterError where labels of these names, and of this scheme, are none for Cityscapes.

    The evaluator looks in all folders for the one file whose name begins with CITY_SEQUENCE_FRAME.
    """
    cityscapes = {label.id: label.name for label in built_in_scheme("cityscapes34").raw}
    if {label.id: label.name for label in scheme.raw} != cityscapes:
        raise ParameterError(
            f"--submission is for models of Cityscapes' labels, and this one has the scheme {scheme.name}; "
            "leave it out"
        )
    others = [name for name in names if not _CITYSCAPES.match(Path(name).name)]
    if others:
        raise ParameterError(
            "--submission needs names that begin with CITY_SEQUENCE_FRAME, as those of Cityscapes; "
            f"{len(others)} do not:\n{listing(others)}"
        )


def film_files(names: Iterable[str], out: Path) -> dict[str, tuple[Path, Path]]:
    """Return for each film of these names the film of overlays and the folder of its label images.

    No such folder lies in another one, since it is replaced as a whole: `flat_names`.
    """
    return {
        name: (out / OVERLAYS / f"{name}.mp4", out / FRAMES / flat)
        for name, flat in flat_names(names).items()
    }
