"""Maps of the probability of single classes: grey PNG files, all written together, strip by strip.

All classes of a large picture are more than memory holds, so no map is there as a whole.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor
from pathlib import Path

from torch import Tensor

from segpipe.inference.output import Output, quantised
from segpipe.inference.predictor import Predictor
from segpipe.inference.targets import SOFTWARE, class_folders
from segpipe.raw.input_spec import at_image_size
from segpipe.rendering.png import GreyPng
from segpipe.runtime.atomic import atomic_files, disk_errors_explained

AddStrip = Callable[[Tensor], None]


class ClassMapSink:
    """Writes the maps of the classes that `output` names, below the folder `out`.

    names: of what is written, by input. pool: compresses the maps of a strip, a class a job.
    """

    def __init__(
        self,
        out: Path,
        names: Mapping[Path, str],
        output: Output,
        predictor: Predictor,
        pool: Executor,
    ) -> None:
        folders = class_folders(predictor.scheme.classes, output.class_ids)
        self._folders = [out / folder for folder in folders]
        self._names, self._output, self._pool = names, output, pool
        self._files = predictor.input.files

    @contextlib.contextmanager
    def of(self, path: Path, size: tuple[int, int]) -> Iterator[AddStrip | None]:
        """Yield what takes the probabilities of an input's strips, (K, R, w), from top to bottom.

        None where no class is asked for. size: height and width of the image, in pixels. The files
        appear when the block ends well. Raises SegpipeError when the disk is full.
        """
        if not self._folders:
            yield None
            return
        ids, bits = self._output.class_ids, self._output.bits
        targets = [folder / f"{self._names[path]}.png" for folder in self._folders]
        with disk_errors_explained(targets[0]), atomic_files(targets) as partials:
            pngs = [GreyPng(partial, *size, bits, SOFTWARE) for partial in partials]

            def add(chance_KRw: Tensor) -> None:
                def add_class(place: int) -> None:
                    map_Rw = quantised(chance_KRw[ids[place]], bits)
                    pngs[place].add(at_image_size(map_Rw, self._files))

                for _ in self._pool.map(add_class, range(len(ids))):
                    pass

            yield add
            for png in pngs:
                png.finish()
