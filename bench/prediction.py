"""Images a second of `segpipe predict`'s work on a folder, against the sum of its steps alone.

Smooth random pictures with some noise are saved as JPEG. Each round decodes them, runs the network
on batches of 8 (labels at full size included), and encodes and writes, step by step, each timed
alone; then `predict_files` does all of it. The ratio is (decode + network + write seconds) / seconds
of predict_files: 1 means that nothing is lost on a processor that all steps share.

Example: python -m bench.prediction --images 64 --height 512 --width 1024
"""

import argparse
import statistics
import tempfile
from pathlib import Path
from time import perf_counter

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
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        names = _draw(root / "in", options)
        _steps(predictor, dict(list(names.items())[:_BATCH]), root / "warm")
        ratios = []
        for number in range(options.rounds):
            decode, network, write = _steps(predictor, names, root / f"alone{number}")
            start = perf_counter()
            predict_files([predictor], names, root / f"together{number}", Output(0.55))
            together = perf_counter() - start
            alone = decode + network + write
            ratios.append(alone / together)
            each = ", ".join(
                f"{step} {1000 * seconds / len(names):.1f}"
                for step, seconds in (("decode", decode), ("network", network), ("write", write))
            )
            print(
                f"ms an image: {each}, sum {1000 * alone / len(names):.1f}; predict_files "
                f"{1000 * together / len(names):.1f} ({len(names) / together:.1f} images/s); "
                f"ratio {ratios[-1]:.2f}",
                flush=True,
            )
    print(f"ratio: median {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
    print(f"on {device_name(predictor.device)}, {options.height}x{options.width} pixels")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--height", type=int, default=512)
    parser.add_argument("--width", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--bundle", type=Path, default=SHIPPED)
    return parser.parse_args()


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
