"""Read windows all over a large raster, then measure its bands; print by how many MB memory grew."""

import resource
import sys
from pathlib import Path

from segpipe.preparation.file_spec import measure_scaling
from segpipe.raw.input_spec import Scaling
from segpipe.raw.rasters.gdal import opened
from segpipe.raw.rasters.read import read_values, read_window
from segpipe.raw.sample import Window


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def main(path: Path) -> None:
    scaling = Scaling((1, 2, 3, 4), (0.0,) * 4, (1.0,) * 4)
    read_window(path, Window(0, 0, 512, 512), scaling)
    before = peak()
    for top in range(0, 15000, 1500):
        read_window(path, Window(top, 0, 512, 512), scaling)
    # One open file is where GDAL's cache of blocks could grow.
    with opened(path) as dataset:
        for top in range(0, 15000, 500):
            for left in range(0, 15000, 1500):
                read_values(dataset, path, (1, 2, 3, 4), Window(top, left, 512, 512))
    after_windows = peak()
    measure_scaling([path], None, (0.01, 0.99))
    print(after_windows - before, peak() - before)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
