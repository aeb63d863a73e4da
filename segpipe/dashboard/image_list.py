"""The images that can be chosen: splits of the data, folders, and files that are uploaded.

A choice is a name of a list that is made here, never a path: what is not listed cannot be opened.
"""

import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path, PurePosixPath

from segpipe.dataset.layout import INDEX, read_samples
from segpipe.inference.clips import clips_for
from segpipe.inference.find import find
from segpipe.inference.predictor import Predictor
from segpipe.params.load import load_params
from segpipe.params.prepare import SplitParams
from segpipe.raw.esd.files import TRUTH
from segpipe.raw.pictures.opener import refuse_too_large
from segpipe.raw.reader import Reader
from segpipe.raw.sample import SPLITS, Sample, Window
from segpipe.runtime.errors import DataError, SegpipeError
from segpipe.runtime.provenance import PARAMETERS
from segpipe.sources.folder.samples import list_samples
from segpipe.sources.layout import PARTS

RAW, PREPARED = Path("data/raw"), Path("data/prepared")
UPLOAD = "Upload"
_OF_SPLIT = "Split "
# Nothing is written by the dashboard; `find` asks where.
_NOWHERE = Path("no predictions")


@dataclass(frozen=True)
class ImageChoice:
    """An image below the folder `root`, with its truth where the sample has a mask."""

    root: Path
    sample: Sample

    @property
    def state(self) -> str:
        """What changes when the files do, or another image is meant."""
        files = [self.sample.image, *self.sample.frames, self.sample.mask or ""]
        times = [_changed(self.root / file) for file in files]
        return f"{self.root} {self.sample} {times}"


def image_places(folders: Sequence[Path]) -> list[str]:
    """Return where images can be chosen from: the splits, the folders that are there, and UPLOAD."""
    splits = [
        f"{_OF_SPLIT}{split}" for split in ("val", "train", "test") if _index(split).is_file()
    ]
    return [*splits, *(str(folder) for folder in _present(folders)), UPLOAD]


def split_place(split: str) -> str:
    """Return the place of a split among those of `image_places`."""
    return f"{_OF_SPLIT}{split}"


def images_at(place: str, folders: Sequence[Path], reader: Reader) -> dict[str, ImageChoice]:
    """Return the images of a place of `image_places` by the name that is shown.

    Raises DataError where there are none, or `place` is not one of them.
    """
    split = place.removeprefix(_OF_SPLIT)
    if place.startswith(_OF_SPLIT) and split in SPLITS:
        found = [ImageChoice(RAW, sample) for sample in read_samples(_index(split))]
        if reader.folders:  # a tile is shown whole
            tiles = {choice.sample.image: choice for choice in found}
            return {PurePosixPath(image).name: choice for image, choice in tiles.items()}
        return {choice.sample.name: choice for choice in found}
    folder = next((one for one in _present(folders) if str(one) == place), None)
    if folder is None:
        raise DataError("there is no such place of images; choose one of the list")
    return _in_folder(folder, reader)


def readable(choice: ImageChoice, predictor: Predictor) -> ImageChoice:
    """Return the choice as the model's reader takes it: with a clip's frames, a tile or raster as a whole.

    Raises DataError where frames are missing, the file cannot be opened, or has too many pixels.
    """
    sample, reader = choice.sample, predictor.reader
    _refuse_outside(choice)
    path = choice.root / sample.image
    if predictor.frames == 1:
        sample = replace(sample, frames=())
    elif not sample.frames:
        earlier = clips_for(predictor, [path]).earlier[path]
        sample = replace(sample, frames=tuple(str(frame.absolute()) for frame in earlier))
    if reader.folders:
        [sample] = reader.drawn([sample], choice.root, 1)
    elif sample.window is None and (grid := reader.grid(path)) is not None:
        refuse_too_large(path, grid.height, grid.width)
        sample = replace(sample, window=Window(0, 0, grid.height, grid.width))
    return replace(choice, sample=sample)


@contextmanager
def uploaded(contents: Sequence[bytes], suffix: str) -> Iterator[ImageChoice]:
    """Give files that were uploaded, the frames of a clip in order, as an image in a temporary folder.

    Errors name the upload and not the folder.
    """
    with tempfile.TemporaryDirectory(prefix="segpipe-upload-") as folder:
        names = [f"upload{place}{suffix}" for place, _ in enumerate(contents, 1)]
        for name, content in zip(names, contents, strict=True):
            (Path(folder) / name).write_bytes(content)
        try:
            yield ImageChoice(Path(folder), Sample("upload", "", names[-1], None, (*names[:-1],)))
        except SegpipeError as error:
            raise type(error)(str(error).replace(f"{folder}/", "")) from error


def digest(contents: Sequence[bytes]) -> str:
    """Return what tells uploaded files from others."""
    return " ".join(hashlib.sha256(content).hexdigest() for content in contents)


def _in_folder(folder: Path, reader: Reader) -> dict[str, ImageChoice]:
    """Return images with their masks where the folder has both, else all that it holds; tiles have theirs."""
    if not reader.on_earth and all((folder / part).is_dir() for part in PARTS):
        source, own_split = _own_data(_changed(PARAMETERS))
        split = own_split if folder == source else SplitParams()
        listed = [one for part in list_samples(folder, split).samples.values() for one in part]
        if listed:
            return {sample.image: ImageChoice(folder, sample) for sample in listed}
    found = find(reader, folder, _NOWHERE)
    names = [path.relative_to(found.root).as_posix() for path in found.paths]
    tiles = {name: f"{name}/{TRUTH}" for name in names if (found.root / name / TRUTH).is_file()}
    return {
        name: ImageChoice(found.root, Sample(name, "", name, tiles.get(name))) for name in names
    }


def _present(folders: Sequence[Path]) -> list[Path]:
    """Return the folders that are there, and the one that params.yaml names as the user's own data."""
    source, _ = _own_data(_changed(PARAMETERS))
    own = [] if source is None else [source]
    return [folder for folder in dict.fromkeys([*folders, *own]) if folder.is_dir()]


@lru_cache(maxsize=1)
def _own_data(changed: int) -> tuple[Path | None, SplitParams]:
    """Return the folder of the user's own data, where there is one, and how it is split.

    changed: when params.yaml was; reading it takes a tenth of a second. A broken one is passed over.
    """
    try:
        params = load_params(PARAMETERS)
    except SegpipeError:
        return None, SplitParams()
    own = params.source.name in ("folder", "rasters", "esd")
    return Path(params.source.path) if own else None, params.prepare.split


def _refuse_outside(choice: ImageChoice) -> None:
    """Raise DataError where a list of samples, which is a file, names something outside its folder."""
    sample = choice.sample
    for name in (sample.image, *sample.frames, sample.mask or ""):
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts:
            raise DataError(f"{name}: is outside of {choice.root} and is not opened")


def _index(split: str) -> Path:
    return PREPARED / split / INDEX


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
