"""Nothing of anybody else's is overwritten by predictions: what is refused before any work."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from segpipe.inference.film import film_comment
from segpipe.inference.targets import OVERLAYS, SOFTWARE, film_files, target_files
from segpipe.raw.rasters.gdal import opened
from segpipe.raw.reader import Reader
from segpipe.runtime.errors import DataError, ParameterError, listing

_PNG_MARK = b"tEXtSoftware\0" + SOFTWARE.encode()
_PNG_HEAD = 256  # bytes; the mark follows the header


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


def refuse_lost_films(
    names: Iterable[str], inputs: Iterable[Path], out: Path, labels: bool, force: bool
) -> None:
    """Refuse to write films of these names over an input, or over files that predict has not written.

    labels: whether label images are written too; their folder is replaced as a whole. The rest as in
    `refuse_overwriting`.
    """
    targets: list[Path] = []
    for film, folder in film_files(names, out).values():
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
