"""The sources by name: how their raw data is fetched, their samples listed, and both checked (law 2).

The modules of a source are imported here alone. Of its own files fetch depends on what `fetch` calls,
and prepare on what `list_samples` calls (dvc.yaml).
"""

from dataclasses import dataclass
from pathlib import Path

from segpipe.params.prepare import PrepareParams
from segpipe.params.source import SourceParams
from segpipe.sources.cityscapes import fetch as cityscapes
from segpipe.sources.cityscapes import samples as cityscapes_samples
from segpipe.sources.esd import fetch as esd
from segpipe.sources.esd import samples as esd_samples
from segpipe.sources.folder import fetch as folder
from segpipe.sources.folder import samples as folder_samples
from segpipe.sources.listing import Listing
from segpipe.sources.rasters import fetch as rasters
from segpipe.sources.rasters import samples as rasters_samples
from segpipe.sources.synthetic import fetch as synthetic
from segpipe.sources.synthetic import samples as synthetic_samples
from segpipe.sources.synthetic.world import read_world
from segpipe.sources.synthetic_esd import samples as synthetic_esd_samples
from segpipe.sources.synthetic_esd.generate import write_tiles
from segpipe.sources.synthetic_esd.land import read_land


def fetch(source: SourceParams, target: Path, downloads: Path) -> None:
    """Bring the raw data into the folder `target`, as its owner publishes it.

    downloads: where archives that had to be downloaded are kept.
    """
    path = Path(source.path)
    match source.name:
        case "synthetic":
            synthetic.fetch(source, target)
        case "cityscapes":
            cityscapes.fetch(source, target, downloads)
        case "folder":
            folder.fetch(path, target)
        case "rasters":
            rasters.fetch(path, target)
        case "esd":
            esd.fetch(path, target)
        case "synthetic_esd":
            write_tiles(source.synthetic_esd, path, target)


def list_samples(source: SourceParams, prepare: PrepareParams, raw: Path) -> Listing:
    """Return the samples below `raw`, and what is wrong with the files' names.

    Raises DataError when nothing at all can be listed.
    """
    split, height, width = prepare.split, prepare.height, prepare.width
    match source.name:
        case "synthetic":
            return synthetic_samples.list_samples(raw, source)
        case "cityscapes":
            return cityscapes_samples.list_samples(raw, source)
        case "folder":
            return folder_samples.list_samples(raw, split)
        case "rasters":
            return rasters_samples.list_samples(raw, split, height, width, prepare.rasters)
        case "esd":
            return esd_samples.list_samples(raw, split, height, width)
        case "synthetic_esd":
            return synthetic_esd_samples.list_samples(raw, split, height, width)


@dataclass(frozen=True)
class CheckedSource:
    """What was found where source.path points, before anything is fetched.

    listing: None where the samples are not there before fetch, which makes or downloads them.
    readable: whether they are there as files below source.path, and not in archives.
    """

    listing: Listing | None
    readable: bool


def check_source(source: SourceParams, prepare: PrepareParams, downloads: Path) -> CheckedSource:
    """Look at the source as it is; raises the errors that fetch and prepare would raise.

    downloads: where fetch keeps downloaded archives.
    """
    path = Path(source.path)
    match source.name:
        case "synthetic":
            read_world(path)
            return CheckedSource(None, readable=False)
        case "synthetic_esd":
            read_land(path)
            return CheckedSource(None, readable=False)
        case "cityscapes":
            listing = cityscapes.check_without_unpacking(source, downloads)
            readable = listing is not None and cityscapes.is_unpacked(source)
            return CheckedSource(listing, readable)
        case _:
            return CheckedSource(list_samples(source, prepare, path), readable=True)
