"""The sources by name: how their raw data is fetched (law 2)."""

from pathlib import Path

from segpipe.params.source import SourceParams
from segpipe.sources.cityscapes import fetch as cityscapes
from segpipe.sources.esd import fetch as esd
from segpipe.sources.folder import fetch as folder
from segpipe.sources.rasters import fetch as rasters
from segpipe.sources.synthetic import fetch as synthetic
from segpipe.sources.synthetic_esd.generate import write_tiles


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
