"""Latency and mIoU of every model as ONNX, OpenVINO and with 8-bit integers, beside those of its bundle.

Each model of the list has its default options, learns some batches of generated scenes (models of clips
and of tiles have random weights) and is exported to each target in turn. A row of the table is written as
soon as it is measured: milliseconds of one image of the bundle (torch, fp32) and of the file, their ratio,
and by how much the mIoU of the file differs, in points. `segpipe export` would refuse what is marked *.

Example: python -m bench.export --out export.md
"""

import argparse
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter
from typing import Literal

import numpy as np
import torch

from segpipe.dataset.layout import Row, write_index
from segpipe.export.run import ExportJob, make_export
from segpipe.export.verify import most_difference
from segpipe.params.model import ModelParams
from segpipe.params.prepare import SplitParams
from segpipe.raw.input_spec import PICTURES
from segpipe.raw.sample import Sample, Window
from segpipe.runtime.errors import SegpipeError
from segpipe.runtime.hardware import device_name
from segpipe.sources.folder.samples import list_samples
from tests.export.make_bundle import make_bundle
from tests.forge import make_folder
from tests.inference.test_raster_prediction import esd_files
from tests.models.test_all_models import FRAMES, NAMES, RATIO
from tests.raw.rasters.geotiffs import coarser, make_esd_tile, write_tif

_CLIPS = ("resnet_lstm",)
_TRUTH = 4  # pixels of the side of a tile's truth
# Target, whether in 8 bits, and the file.
_TARGETS: tuple[tuple[Literal["onnx", "openvino"], bool, str], ...] = (
    ("onnx", False, "model.onnx"),
    ("onnx", True, "model_int8.onnx"),
    ("openvino", False, "model.xml"),
)
_COLUMNS = ("model", "target", "bundle, ms", "file, ms", "times as fast", "mIoU, %", "difference")


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--height", type=int, default=256)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--images", type=int, default=4, help="validation images that are scored")
    parser.add_argument("--steps", type=int, default=60, help="batches that a model learns")
    parser.add_argument("--out", type=Path, help="file for the table")
    asked = parser.parse_args()
    written: list[str] = []

    def tell(line: str) -> None:
        print(line, flush=True)
        written.append(line)
        if asked.out:
            asked.out.write_text("\n".join(written) + "\n")

    begin = perf_counter()
    tell(f"| {' | '.join(_COLUMNS)} |")
    tell("| --- " * len(_COLUMNS) + "|")
    for name in asked.models:
        with tempfile.TemporaryDirectory() as folder:
            _measure(Path(folder), name, asked, tell)
    threads = torch.get_num_threads()
    tell("")
    tell(f"{device_name(torch.device('cpu'))}, {threads} threads, {perf_counter() - begin:.0f} s")


def _measure(root: Path, name: str, asked: argparse.Namespace, tell: Callable[[str], None]) -> None:
    files, sides = PICTURES, (asked.height, asked.width)
    if name in RATIO:  # of tiles, whose truth is coarser
        files, sides = esd_files(RATIO[name]), (_TRUTH * RATIO[name],) * 2
        samples = _tiles(root / "data/raw", RATIO[name])
    else:
        samples = _pictures(root / "data/raw", asked.images, sides, name in _CLIPS)
    for split in ("train", "val"):
        (root / "data/prepared" / split).mkdir(parents=True)
        rows = [Row(sample, 0) for sample in samples]
        write_index(root / "data/prepared" / split / "index.csv", rows)
    learns = files == PICTURES and name not in _CLIPS
    bundle = make_bundle(
        root / "models",
        ModelParams.model_validate({"name": name}),
        files=files,
        sides=sides,
        frames=FRAMES if name in _CLIPS else 1,
        steps=asked.steps if learns else 0,
        rate=0.002,
    )
    for to, int8, file in _TARGETS:
        out = root / file
        job = ExportJob(bundle, to, int8, out, root / "data/raw", root / "data/prepared")
        words = f"| {name} | {to}{', int8' * int8} |"
        try:
            made = make_export(job)
        except SegpipeError as error:
            tell(f"{words} not exported: {error} | | | | |")
            continue
        times, found = made.record()["latency_ms"], made.comparison
        refused = "*" if abs(found.difference) > most_difference(int8) else ""
        tell(
            f"{words} {times['bundle']:.1f} | {times['file']:.1f} | "
            f"{times['bundle'] / times['file']:.2f} | {100 * found.miou:.1f} | "
            f"{round(100 * found.difference, 2) + 0.0:+.2f}{refused} |"
        )


def _pictures(raw: Path, images: int, sides: tuple[int, int], clips: bool) -> Sequence[Sample]:
    make_folder(raw, train=1, val=images, height=sides[0], width=sides[1])
    samples = list_samples(raw, SplitParams()).samples["val"]
    if not clips:
        return samples
    return [
        Sample(one.name, one.group, one.image, one.mask, (one.image,) * (FRAMES - 1))
        for one in samples
    ]


def _tiles(raw: Path, ratio: int) -> Sequence[Sample]:
    """Write a tile of random values, whose truth has the classes of `make_bundle`."""
    tile, side = make_esd_tile(raw / "Tile1", truth=_TRUTH, ratio=ratio), _TRUTH * ratio
    labels_hw = np.random.default_rng(0).integers(0, 3, (_TRUTH, _TRUTH)).astype(np.uint8)
    write_tif(tile / "groundTruth.tif", labels_hw, transform=coarser(ratio))
    window = Window(0, 0, side, side)
    return [Sample("Tile1", "Tile1", "Tile1", "Tile1/groundTruth.tif", (), window)]


if __name__ == "__main__":
    main()
