"""Images a second of `segpipe predict`'s work on a folder, against the sum of its steps alone.

Photographs of a folder (its JPEGs, again and again), or smooth random pictures with some noise, saved as
JPEG. In rounds of as many different ones the steps are timed alone: decoding, the network on batches of
8 (labels at full size included), encoding and writing; then `predict_files` does all of it. Two ratios:
(decode + network + write seconds) / seconds of predict_files, where 1 means that nothing is lost on a
processor that all steps share; and network / predict_files, the part of the network's own rate, which
matters where it has a GPU. The processor's seconds stand beside the clock's: they hold on a busy machine.

Examples:
  python -m bench.prediction
  python -m bench.prediction --photographs data/camvid/images --bundle models
"""

import argparse
import os
import shutil
import statistics
import tempfile
from itertools import cycle, islice
from pathlib import Path
from time import perf_counter, process_time

import numpy as np
from PIL import Image

from segpipe.bundle_format import SHIPPED
from segpipe.inference.files import predict_files
from segpipe.inference.output import Output, output_files, read_maps
from segpipe.inference.predictor import Predictor
from segpipe.rendering.png import write_bytes
from segpipe.runtime.hardware import device_name

_BATCH = 8


def main() -> None:
    """Measure and print."""
    options = _options()
    predictor = Predictor.load(options.bundle)
    found: dict[str, list[float]] = {"steps": [], "network": [], "processor": []}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        names = _pictures(root / "in", options)
        _steps(predictor, dict(list(names.items())[:_BATCH]), root / "warm")
        for number in range(options.rounds):
            part = dict(list(names.items())[number :: options.rounds])
            start = process_time()
            decode, network, write = _steps(predictor, part, root / f"alone{number}")
            used_alone = process_time() - start
            clock, start = perf_counter(), process_time()
            predict_files([predictor], part, root / f"together{number}", Output(0.55))
            together, used = perf_counter() - clock, process_time() - start
            alone = decode + network + write
            found["steps"].append(alone / together)
            found["network"].append(network / together)
            found["processor"].append(used_alone / used)
            each = ", ".join(
                f"{step} {1000 * seconds / len(part):.1f}"
                for step, seconds in (("decode", decode), ("network", network), ("write", write))
            )
            print(
                f"ms an image: {each}, sum {1000 * alone / len(part):.1f}; predict_files "
                f"{1000 * together / len(part):.1f} ({len(part) / together:.1f} images/s); "
                f"ratio {alone / together:.2f}",
                flush=True,
            )
    for name, ratios in found.items():
        median, low, high = statistics.median(ratios), min(ratios), max(ratios)
        print(f"{name} / predict_files: {median:.2f} ({low:.2f} to {high:.2f})")
    print(f"on {device_name(predictor.device)}, {os.cpu_count()} cores, {len(names)} pictures")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=500, help="in all rounds together (500)")
    parser.add_argument("--height", type=int, default=360)
    parser.add_argument("--width", type=int, default=480)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--photographs", type=Path, help="a folder, instead of drawn pictures")
    parser.add_argument("--bundle", type=Path, default=SHIPPED)
    return parser.parse_args()


def _pictures(folder: Path, options: argparse.Namespace) -> dict[Path, str]:
    if options.photographs is None:
        return _draw(folder, options)
    folder.mkdir()
    names = {}
    there = cycle(sorted(options.photographs.rglob("*.jpg")))
    for number, photograph in enumerate(islice(there, options.images)):
        path = folder / f"{number:04d}.jpg"
        shutil.copyfile(photograph, path)
        names[path] = path.stem
    return names


def _draw(folder: Path, options: argparse.Namespace) -> dict[Path, str]:
    folder.mkdir()
    random, names = np.random.default_rng(0), {}
    for number in range(options.images):
        coarse = Image.fromarray(random.integers(0, 256, (12, 24, 3), np.uint8))
        smooth = coarse.resize((options.width, options.height), Image.Resampling.BICUBIC)
        noise = random.integers(0, 9, (options.height, options.width, 3))
        path = folder / f"{number:04d}.jpg"
        shown = (np.asarray(smooth) + noise).clip(0, 255).astype(np.uint8)
        Image.fromarray(shown).save(path, quality=90)
        names[path] = path.stem
    return names


def _steps(predictor: Predictor, names: dict[Path, str], out: Path) -> tuple[float, float, float]:
    """Return the seconds of decoding, of the network and of writing, each alone."""
    decode = network = write = 0.0
    paths, output = list(names), Output(0.55)
    for first in range(0, len(paths), _BATCH):
        batch = paths[first : first + _BATCH]
        start = perf_counter()
        images = [predictor.reader.read_image(path)[0] for path in batch]
        decode += perf_counter() - start
        start = perf_counter()
        all_strips = predictor.score_strips([image_HW3[None] for image_HW3 in images])
        maps = [read_maps(predictor, strips, output) for strips in all_strips]
        network += perf_counter() - start
        start = perf_counter()
        for path, image_HW3, found in zip(batch, images, maps, strict=True):
            contents = output_files(predictor, image_HW3, found, names[path], output)
            for place, content in contents.items():
                write_bytes(out / place, content)
            predictor.reader.left_out(path)
        write += perf_counter() - start
    return decode, network, write


if __name__ == "__main__":
    main()
