"""Where predictions are written: names that are one-to-one, and nothing of anybody else's overwritten."""

import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from segpipe.inference.film import film_comment
from segpipe.labels.load import built_in_scheme
from segpipe.labels.scheme import LabelScheme
from segpipe.raw.rasters.gdal import opened
from segpipe.raw.reader import Reader
from segpipe.runtime.errors import DataError, ParameterError, listing

OVERLAYS, PROBABILITIES, UNCERTAINTY = "overlays", "probabilities", "uncertainty"
FRAMES = "frames"  # the folder of the label images of films
MAPS = (OVERLAYS, PROBABILITIES, UNCERTAINTY)  # folders of what is written beside the labels
# Stands in each file that predict writes, as PNG's text chunk or TIFF's tag "Software". Copies keep
# it, and programs that edit pictures do not, so that corrected labels count as somebody's own.
SOFTWARE = "segpipe predict"
_CITYSCAPES = re.compile(r"[^_]+_\d{6}_\d{6}")
_PNG_MARK = b"tEXtSoftware\0" + SOFTWARE.encode()
_PNG_HEAD = 256  # bytes; the mark follows the header
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
    probabilities: bool, uncertainty: bool, submission: bool, class_maps: Sequence[str] = ()
) -> list[str]:
    """Return the folders of what is written beside the labels of pictures and tiles.

    class_maps: the `class_folders` that are asked for.
    """
    wanted = {OVERLAYS: not submission, PROBABILITIES: probabilities, UNCERTAINTY: uncertainty}
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

    maps: the folders of what is written beside the labels of a picture or tile.
    """
    labels = [out / f"{name}.tif"] if reader.on_earth else []
    if reader.streamed:
        return labels
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


def refuse_output_folder(out: Path) -> None:
    """Raise ParameterError when `out` is no folder, or nothing can be written there."""
    nearest = next(folder for folder in (out, *out.absolute().parents) if os.path.lexists(folder))
    if not nearest.is_dir():
        what = "is a file" if nearest.is_file() else "is no folder"
        raise ParameterError(f"--out is {out}, but {nearest} {what}; name a folder")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise ParameterError(f"--out is {out}, but {nearest} cannot be written to; name another")


def refuse_overwriting(
    inputs: Iterable[Path],
    names: Mapping[Path, str],
    out: Path,
    reader: Reader,
    force: bool,
    maps: Sequence[str] = (OVERLAYS,),
) -> None:
    """Refuse to write beside or over an input, or over a file that predict has not written itself.

    inputs: all files that are read, also the earlier frames of clips. names: of the outputs. force:
    whether somebody else's files may be overwritten; inputs may never. maps: as `target_files` takes
    them. Raises ParameterError, and DataError when two inputs would be written to the same file.
    """
    folders = {path if path.is_dir() else path.parent for path in names}
    if out.resolve() in {folder.resolve() for folder in folders}:
        raise ParameterError(f"--out is the folder of the {reader.unit}s, {out}; name another one")
    by_target: dict[Path, Path] = {}
    for path, name in names.items():
        for target in target_files(name, out, reader, maps):
            other = by_target.setdefault(target, path)
            if other != path:
                raise DataError(
                    f"{other} and {path} would both be written to {target}; rename one, or predict "
                    "them into different folders"
                )
    refuse_lost_files(by_target, inputs, out, reader.unit, force)


def film_files(name: str, out: Path) -> tuple[Path, Path]:
    """Return the film of overlays, and the folder of label images, of a film with this name."""
    return out / OVERLAYS / f"{name}.mp4", out / FRAMES / name


def refuse_lost_films(
    names: Iterable[str], inputs: Iterable[Path], out: Path, labels: bool, force: bool
) -> None:
    """Refuse to write films of these names over an input, or over files that predict has not written.

    labels: whether label images are written too; their folder is replaced as a whole. The rest as in
    `refuse_overwriting`.
    """
    targets: list[Path] = []
    for name in names:
        film, folder = film_files(name, out)
        targets += [film, *(path for path in folder.rglob("*") if labels and path.is_file())]
    refuse_lost_files(targets, inputs, out, "input", force)


def refuse_lost_files(
    targets: Iterable[Path], inputs: Iterable[Path], out: Path, unit: str, force: bool
) -> None:
    """Raise ParameterError where a target is an input, or somebody else's file and `force` is not given.

    unit: what the inputs are called.
    """
    there = [target for target in targets if os.path.lexists(target)]
    if not there:
        return
    read = {_identity(path) for path in inputs if path.exists()}
    lost = [str(target) for target in there if target.exists() and _identity(target) in read]
    if lost:
        raise ParameterError(
            f"--out is {out}: {len(lost)} of the {unit}s would be overwritten by their own "
            f"labels; name another folder:\n{listing(lost)}"
        )
    others = [str(target) for target in there if not written_by_predict(target)]
    if others and not force:
        raise ParameterError(
            f"--out is {out}: {len(others)} files there were not written by `segpipe predict` and "
            f"would be overwritten; name another folder, or add --force:\n{listing(others)}"
        )


def _identity(path: Path) -> tuple[int, int]:
    about = path.stat()
    return about.st_dev, about.st_ino


def written_by_predict(path: Path) -> bool:
    """Return whether a file is a PNG, GeoTIFF or film that predict has written.

    One that cannot be read, or not without rasterio or PyAV, counts as somebody else's.
    """
    if not path.is_file():
        return False
    try:
        if path.suffix == ".png":
            with path.open("rb") as file:
                return _PNG_MARK in file.read(_PNG_HEAD)
        if path.suffix == ".mp4":
            return film_comment(path) == SOFTWARE
        if path.suffix == ".tif":
            with opened(path) as dataset:
                return bool(dataset.tags().get("TIFFTAG_SOFTWARE") == SOFTWARE)
    except (OSError, DataError, ParameterError):
        pass
    return False
