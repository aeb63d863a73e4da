"""The kinds of raw files by name: the one place where the kind is asked for (law 15)."""

from segpipe.raw.esd.reader import TileReader
from segpipe.raw.input_spec import FileSpec
from segpipe.raw.pictures.reader import PictureReader
from segpipe.raw.rasters.reader import RasterReader
from segpipe.raw.reader import Reader


def build_reader(files: FileSpec) -> Reader:
    """Return the reader of the files that a specification describes."""
    match files.kind:
        case "picture":
            return PictureReader(files)
        case "raster":
            return RasterReader(files)
        case "esd":
            return TileReader(files)
