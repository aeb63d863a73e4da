"""Images per second of prepare against the decode-and-resize limit of the same library and cores.

The limit is a pool of processes that only decodes and resizes images and masks with Pillow. Both run
in turns on the same files; the medians and the spread of their ratio are printed.

Example: python -m bench.prepare --images 64 --height 1024 --width 2048
"""

import argparse
import multiprocessing
import os
import statistics
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from time import perf_counter

import numpy as np
from PIL import Image

from segpipe.labels.load import load_scheme
from segpipe.params.prepare import PrepareParams
from segpipe.preparation.prepare import prepare_data
from segpipe.preparation.sample_job import PrepareContext
from segpipe.raw.input_spec import PICTURES
from segpipe.raw.sample import Sample

_OUT_HEIGHT, _OUT_WIDTH = 256, 512


def main() -> None:
    """Measure and print."""
    options = _options()
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "raw"
        samples = _make_files(raw, options.images, options.height, options.width)
        limits, ours = [], []
        for turn in range(options.rounds):
            limits.append(options.images / _limit(raw, samples))
            ours.append(options.images / _prepare(raw, samples, Path(folder) / f"turn{turn}"))
    ratios = [mine / limit for mine, limit in zip(ours, limits, strict=True)]
    print(f"{options.images} images of {options.height}x{options.width}, {os.cpu_count()} cores")
    print(f"decode and resize alone  {statistics.median(limits):8.1f} images/s")
    print(f"prepare                  {statistics.median(ours):8.1f} images/s")
    print(f"ratio {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=48)
    parser.add_argument("--height", type=int, default=1024)
    parser.add_argument("--width", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


def _make_files(raw: Path, images: int, height: int, width: int) -> list[Sample]:
    """Write images that compress like photographs: smooth shapes with noise."""
    random = np.random.default_rng(0)
    (raw / "images").mkdir(parents=True)
    (raw / "masks").mkdir()
    samples = []
    for number in range(images):
        coarse = random.integers(0, 256, (height // 64, width // 64, 3)).astype(np.uint8)
        smooth = np.asarray(Image.fromarray(coarse).resize((width, height)), np.int16)
        noisy = (smooth + random.integers(-6, 7, smooth.shape)).clip(0, 255).astype(np.uint8)
        mask = np.asarray(
            Image.fromarray(coarse[..., 0] % 34).resize((width, height), Image.Resampling.NEAREST)
        )
        sample = Sample(str(number), str(number), f"images/{number}.png", f"masks/{number}.png")
        Image.fromarray(noisy).save(raw / sample.image)
        Image.fromarray(mask).save(raw / f"masks/{number}.png")
        samples.append(sample)
    return samples


def _limit(raw: Path, samples: list[Sample]) -> float:
    pairs = [(raw / sample.image, raw / str(sample.mask)) for sample in samples]
    start = perf_counter()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), context) as pool:
        list(pool.map(_decode_and_resize, pairs, chunksize=4))
    return perf_counter() - start


def _decode_and_resize(pair: tuple[Path, Path]) -> None:
    image, mask = pair
    with Image.open(image) as picture:
        picture.convert("RGB").resize((_OUT_WIDTH, _OUT_HEIGHT), Image.Resampling.BILINEAR)
    with Image.open(mask) as picture:
        picture.resize((_OUT_WIDTH, _OUT_HEIGHT), Image.Resampling.NEAREST)


def _prepare(raw: Path, samples: list[Sample], target: Path) -> float:
    target.mkdir()
    scheme = load_scheme("cityscapes19", {}, raw)
    splits = {"train": samples[:-1], "val": samples[-1:], "test": []}
    start = perf_counter()
    prepare = PrepareParams(height=_OUT_HEIGHT, width=_OUT_WIDTH)
    prepare_data(splits, PrepareContext(raw, scheme, PICTURES, prepare), target)
    return perf_counter() - start


if __name__ == "__main__":
    main()
