"""The kinds of raw files by name: the one place where the kind is asked for (law 15)."""

from pathlib import Path

from segpipe.labels.scheme import LabelScheme
from segpipe.raw.esd.reader import TileReader
from segpipe.raw.input_spec import FileSpec
from segpipe.raw.pictures.reader import PictureReader
from segpipe.raw.rasters.reader import RasterReader
from segpipe.raw.reader import RawSample, Reader
from segpipe.raw.sample import Sample


def build_reader(files: FileSpec) -> Reader:
    """Return the reader of the files that a specification describes."""
    match files.kind:
        case "picture":
            return PictureReader(files)
        case "raster":
            return RasterReader(files)
        case "esd":
            return TileReader(files)


def read_raw(sample: Sample, raw: Path, scheme: LabelScheme, files: FileSpec) -> RawSample:
    """Read a sample below the folder `raw` as `Reader.read` does."""
    return build_reader(files).read(sample, raw, scheme)
