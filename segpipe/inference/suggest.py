"""The images of a folder that are worth an annotation, with pre-labels of a model."""

import contextlib
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from segpipe.bundle_format import file_sha256
from segpipe.importing.prelabels import IMAGES, PreLabel, write_prelabels
from segpipe.inference.clips import clips_for
from segpipe.inference.find import Found, find
from segpipe.inference.output import Maps, Output
from segpipe.inference.pipeline import decoded_ahead, finished_ahead, threads
from segpipe.inference.predictor import Predictor
from segpipe.inference.ranking import Ranked, descriptor, rank
from segpipe.inference.targets import UNCERTAINTY, flat_names, output_names
from segpipe.preflight.duplicates import FAR, nearest_within, telling
from segpipe.preparation.sample_job import difference_hash, grey
from segpipe.raw.input_spec import at_image_size, picture_of
from segpipe.raw.reader import Reader
from segpipe.runtime.atomic import atomic_dir, disk_errors_explained, write_csv
from segpipe.runtime.console import progress, say
from segpipe.runtime.errors import DataError, ParameterError
from segpipe.runtime.workers import begun_ahead, closing

TABLE = "suggestions.csv"
_BITS: Literal[16] = 16  # in which an uncertainty comes from the predictor
_LONGEST = 200  # bytes of a file's name
_AHEAD = 8  # images that are hashed ahead
T = TypeVar("T")


@dataclass
class Suggested:
    """images: the chosen ones, the best first. examined: how many there were to choose from. known: how
    many were left out, for they are among the excluded ones. skipped: a line for each image that could
    not be read. found: what the folder holds.
    """

    found: Found
    images: list[Path] = field(default_factory=list)
    examined: int = 0
    known: int = 0
    skipped: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Seen:
    """uncertainty: mean over the pixels, 0..1. descriptor_D, hash: of the picture."""

    uncertainty: float
    descriptor_D: NDArray[np.float32]
    hash: int


def suggest(
    predictor: Predictor, folder: Path, out: Path, number: int, exclude: Sequence[Path] = ()
) -> Suggested:
    """Write the `number` images of `folder` that are most worth an annotation, with pre-labels, to `out`.

    out: a new folder, with suggestions.csv, the images and what `write_prelabels` writes; it appears
    whole. exclude: folders of images that are annotated already; those with the same content, or nearly
    the same picture by their difference hashes, are left out.

    Raises DataError when there is nothing to choose from, ParameterError where the model does not read
    pictures or `out` is not empty.
    """
    reader = predictor.reader
    if reader.on_earth or reader.folders:
        raise ParameterError(
            f"segpipe suggest is for pictures, and this model reads {reader.unit}s; name another model"
        )
    if out.is_symlink() or (out.exists() and not (out.is_dir() and not any(out.iterdir()))):
        raise ParameterError(
            f"{out}: is there and not an empty folder, and nothing is overwritten; name another with --out"
        )
    found = find(reader, folder, out)
    done = Suggested(found)
    contents, hashes = _known(reader, exclude, out)
    paths = [path for path in found.paths if not (contents and file_sha256(path) in contents)]
    done.known = len(found.paths) - len(paths)
    earlier: Mapping[Path, Sequence[Path]] = {}
    if predictor.frames > 1 and paths:
        earlier = clips_for(predictor, paths).earlier
        paths = [*earlier]
    seen = dict(_examined(predictor, paths, earlier, done.skipped))
    near = _near(seen, hashes)
    seen = {path: one for path, one in seen.items() if path not in near}
    done.known += len(near)
    done.examined = len(seen)
    if not seen:
        raise DataError(f"{folder}: holds no image that could be read and is not excluded")
    order = [*seen]
    ranked = rank(
        np.array([one.uncertainty for one in seen.values()]),
        np.stack([one.descriptor_D for one in seen.values()]),
        number,
    )
    done.images = [order[one.place] for one in ranked]
    _write(predictor, found.root, out, done, seen, ranked, earlier)
    return done


def _known(
    reader: Reader, folders: Sequence[Path], out: Path
) -> tuple[frozenset[str], NDArray[np.uint64]]:
    """Return the digests of the contents of all images in `folders`, and the hashes that say something."""
    paths = [path for folder in folders for path in find(reader, folder, out).paths]
    digests, hashes, unreadable = set(), [], 0

    def of(path: Path) -> tuple[str, int]:
        picture_HW3 = picture_of(reader.read_image(path)[0], reader.files)
        return file_sha256(path), difference_hash(grey(picture_HW3))

    with closing(ThreadPoolExecutor(threads(1), "hash")) as pool:
        begun = begun_ahead(pool, of, paths, _AHEAD)
        for _, made in progress(begun, "read what is excluded", "image", len(paths), delay=2.0):
            if isinstance(made.exception(), DataError):
                unreadable += 1
                continue
            digest, hashed = made.result()
            digests.add(digest)
            hashes.append(hashed)
    if unreadable:
        say(f"{unreadable} of the {len(paths)} files to exclude cannot be read as images")
    return frozenset(digests), np.array([one for one in hashes if telling(one)], np.uint64)


def _near(seen: Mapping[Path, _Seen], hashes: NDArray[np.uint64]) -> set[Path]:
    """Return the images that look like one with these hashes."""
    paths = [path for path, one in seen.items() if telling(one.hash)]
    own = np.array([seen[path].hash for path in paths], np.uint64)
    return {paths[m] for m, _, _ in nearest_within(hashes, own, FAR)}


def _examined(
    predictor: Predictor,
    paths: Sequence[Path],
    earlier: Mapping[Path, Sequence[Path]],
    skipped: list[str],
) -> Iterator[tuple[Path, _Seen]]:
    """Yield what is seen of each image that can be read; the others are added to `skipped`."""

    def finish(_: Path, image_HWC: NDArray[Any], maps: Maps) -> _Seen:
        picture_HW3 = picture_of(image_HWC, predictor.input.files)
        uncertainty = float(maps.others_hw[UNCERTAINTY].mean()) / (2**_BITS - 1)
        classes = predictor.scheme.num_classes
        return _Seen(
            uncertainty,
            descriptor(picture_HW3, maps.labels_hw, classes),
            difference_hash(grey(picture_HW3)),
        )

    output = Output(opacity=0, uncertainty=True, bits=_BITS)
    for path, made in _predicted(predictor, paths, earlier, output, finish, "examine"):
        try:
            yield path, made()
        except (DataError, OSError) as error:
            skipped.append(str(error))


def _predicted(
    predictor: Predictor,
    paths: Sequence[Path],
    earlier: Mapping[Path, Sequence[Path]],
    output: Output,
    finish: Callable[[Path, NDArray[Any], Maps], T],
    verb: str,
) -> Iterator[tuple[Path, Callable[[], T]]]:
    with closing(ThreadPoolExecutor(threads(1), "suggest")) as pool:
        decoded = decoded_ahead(pool, [predictor], paths, earlier)
        results = finished_ahead(pool, [predictor], decoded, output, finish)
        with contextlib.closing(results):
            yield from progress(results, verb, "image", len(paths))


def _write(
    predictor: Predictor,
    root: Path,
    out: Path,
    done: Suggested,
    seen: Mapping[Path, _Seen],
    ranked: Sequence[Ranked],
    earlier: Mapping[Path, Sequence[Path]],
) -> None:
    """Write the folder of results."""
    names = output_names({path: path.relative_to(root) for path in done.images})
    flat = flat_names(names.values(), _LONGEST)
    files = {path: f"{flat[name]}{path.suffix.lower()}" for path, name in names.items()}

    def labels(_: Path, __: NDArray[Any], maps: Maps) -> NDArray[np.uint8]:
        return at_image_size(maps.labels_hw, predictor.input.files)

    with disk_errors_explained(out), atomic_dir(out) as partial:
        (partial / IMAGES).mkdir()
        for path, file in files.items():
            shutil.copyfile(path, partial / IMAGES / file)
        made = _predicted(predictor, done.images, earlier, Output(opacity=0), labels, "pre-label")
        prelabels = (
            PreLabel(files[path], found(), round(1 - seen[path].uncertainty, 6))
            for path, found in made
        )
        write_prelabels(partial, prelabels, predictor.scheme)
        rows = [
            {
                "rank": place,
                "image": str(path),
                "uncertainty": f"{seen[path].uncertainty:.6f}",
                "distance": f"{one.distance:.6f}",
                "file": f"{IMAGES}/{files[path]}",
            }
            for place, (path, one) in enumerate(zip(done.images, ranked, strict=True), start=1)
        ]
        write_csv(partial / TABLE, rows)
