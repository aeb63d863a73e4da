"""What DVC costs at 25,000 samples: prepared shards against one PNG each for image and mask.

Both layouts hold the same samples and are put, in turns and for each cache link type, into a DVC
repository that is made for it and thrown away. Timed is the command line of this environment, its
start included. Printed are, of the rounds, the median, lowest and highest time by the clock, and the
median time of the processor, which other work on the machine changes little.

commit        `dvc commit`, as after a stage: hash the output, move it to the cache, link it back
status        `dvc status` right after: DVC remembers the hashes by time of change
status, cold  the same once DVC's memory of hashes and the files' pages in the disk cache are gone
checkout      `dvc checkout` of the output after it was deleted
  ", cold     the same once the pages of the cache's files are gone
one changed   `dvc commit` after one sample was written anew
one added     `dvc commit` after the samples and one more were prepared anew
disk          output and DVC's cache together, each inode once: after commit, and after checkout
+ changed, + added  what the changed, and then the added, sample adds to DVC's cache

Images are small (96x192 unless told), so that the shards fit on any disk; the number of samples is
what makes the difference. Without `posix_fadvise` (macOS, Windows) pages stay in the disk cache.

Example: python -m bench.dvc_scale --samples 25000 --height 96 --width 192 --rounds 3
"""

import argparse
import multiprocessing
import os
import shutil
import statistics
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from bench.dvc_repository import Repository, Timing, disk_use, drop_pages, files
from segpipe.dataset.shards import IMAGES, shard_path
from segpipe.labels.load import load_scheme
from segpipe.params.prepare import PrepareParams
from segpipe.preparation.prepare import prepare_data
from segpipe.preparation.sample_job import PrepareContext
from segpipe.raw.input_spec import PICTURES
from segpipe.raw.sample import Sample
from segpipe.runtime.atomic import atomic_file
from segpipe.runtime.randomness import generator

_LAYOUTS = ("shards", "PNG files")
_TIMED = (
    *("commit", "status", "status, cold", "checkout", "checkout, cold"),
    *("one changed", "one added"),
)
_COMMIT = ("commit", "--quiet", "--force", "prepare")
_SIZED = ("disk, commit", "disk, checkout", "+ changed", "+ added")


class Found(NamedTuple):
    """What one round found: times by command, bytes on the disk by moment."""

    times: dict[str, Timing]
    sizes: dict[str, int]


# By link type and layout, a round each.
Results = dict[tuple[str, str], list[Found]]


def main() -> None:
    """Measure and print."""
    options = _options()
    results: Results = {}
    with tempfile.TemporaryDirectory(prefix="dvc_scale_", dir=options.folder) as name:
        folder = Path(name)
        _make_data(folder, options)
        links = options.links or _link_types(folder / "probe")
        for turn in range(options.rounds):
            for link in links:
                for layout in _LAYOUTS:
                    found = _measure(folder, layout, link)
                    results.setdefault((link, layout), []).append(found)
                    seconds = ", ".join(f"{name} {found.times[name].wall:.1f} s" for name in _TIMED)
                    print(f"round {turn + 1}, {link}, {layout}: {seconds}", file=sys.stderr)
        _print_table(results, folder, options)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--samples", type=int, default=25000)
    parser.add_argument("--height", type=int, default=96)
    parser.add_argument("--width", type=int, default=192)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--links", nargs="+", help="values of cache.type; by default all that the disk can do"
    )
    parser.add_argument("--folder", type=Path, help="where to work, if not in the temporary folder")
    options = parser.parse_args()
    if options.samples < 2 or options.rounds < 1:
        parser.error("needs at least 2 samples, one to train on and one to validate, and 1 round")
    return options


def _make_data(folder: Path, options: argparse.Namespace) -> None:
    """Write the samples as PNG files, prepare them into shards, and both with one sample more."""
    raw, more = folder / "PNG files", folder / "PNG files, one more"
    for place in (raw / "images", raw / "masks", more / "images", more / "masks"):
        place.mkdir(parents=True)
    make = partial(_make_sample, raw, options.height, options.width)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), context) as pool:
        samples = list(pool.map(make, range(options.samples + 1), chunksize=64))
    held = max(1, options.samples // 10)
    scheme = load_scheme("cityscapes19", {}, raw)
    prepare = PrepareParams(height=options.height, width=options.width)
    for name, members in (("shards", samples[:-1]), ("shards, one more", samples)):
        (folder / name).mkdir()
        splits = {"train": members[held:], "val": members[:held], "test": []}
        prepare_data(splits, PrepareContext(raw, scheme, PICTURES, prepare), folder / name)
    for file in (samples[-1].image, f"masks/{options.samples}.png"):
        shutil.move(raw / file, more / file)


def _make_sample(raw: Path, height: int, width: int, number: int) -> Sample:
    """Write an image that compresses like a photograph, smooth shapes with noise, and its labels."""
    random = generator(0, "dvc_scale", number)
    coarse = random.integers(0, 256, (8, 16, 3), np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize((width, height)), np.int16)
    noisy = (smooth + random.integers(-6, 7, smooth.shape, np.int8)).clip(0, 255)
    labels = Image.fromarray(coarse[..., 0] % 34)
    sample = Sample(str(number), str(number), f"images/{number}.png", f"masks/{number}.png")
    Image.fromarray(noisy.astype(np.uint8)).save(raw / sample.image, compress_level=1)
    labels.resize((width, height), Image.Resampling.NEAREST).save(raw / f"masks/{number}.png")
    return sample


def _link_types(probe: Path) -> list[str]:
    """Return copy and the link types that DVC finds to work on this file system."""
    repository = Repository(probe)
    repository.make()
    repository.output.mkdir()
    (repository.output / "file").write_text("content")
    repository.dvc(*_COMMIT)  # without a cache DVC tries no links
    lines = repository.dvc("doctor").splitlines()
    found = next(line for line in lines if line.startswith("Cache types:"))
    return ["copy", *(name for name in ("reflink", "hardlink", "symlink") if name in found)]


def _measure(folder: Path, layout: str, link: str) -> Found:
    """Return seconds and bytes by name, of a repository that is made and removed again."""
    repository = Repository(folder / "repository")
    repository.make()
    repository.dvc("config", "cache.type", link)
    shutil.copytree(folder / layout, repository.output)
    try:
        return _timed(repository, folder / f"{layout}, one more")
    finally:
        shutil.rmtree(repository.root)


def _timed(repository: Repository, more: Path) -> Found:
    """Run the commands in the order in which a person meets them."""
    clean, times, sizes = {"expected": "up to date"}, {}, {}
    times["commit"] = repository.timed(*_COMMIT)
    sizes["disk, commit"] = disk_use(repository.output, repository.cache)
    times["status"] = repository.timed("status", **clean)
    repository.forget()
    drop_pages(repository.output)
    times["status, cold"] = repository.timed("status", **clean)
    shutil.rmtree(repository.output)
    times["checkout"] = repository.timed("checkout", "--quiet")
    shutil.rmtree(repository.output)
    drop_pages(repository.cache)
    times["checkout, cold"] = repository.timed("checkout", "--quiet")
    sizes["disk, checkout"] = disk_use(repository.output, repository.cache)
    for change in ("changed", "added"):
        before = disk_use(repository.cache)
        if change == "changed":
            _change_one(repository.output)
        else:
            _add_one(repository.output, more)
        times[f"one {change}"] = repository.timed(*_COMMIT)
        sizes[f"+ {change}"] = disk_use(repository.cache) - before
    return Found(times, sizes)


def _change_one(output: Path) -> None:
    """Write one sample anew, beside its file, as segpipe writes: a file in place may be a link."""
    array, picture = shard_path(output / "train", IMAGES, 0), output / "images/0.png"
    if array.exists():
        with atomic_file(array) as copy:
            shutil.copyfile(array, copy)
            images = np.load(copy, mmap_mode="r+")
            images[0] = 255 - images[0]
            images.flush()
    else:
        with atomic_file(picture) as copy, Image.open(picture) as image:
            image.point(lambda value: 255 - value).save(copy, "PNG", compress_level=1)


def _add_one(output: Path, more: Path) -> None:
    """Put what was prepared with one sample more in the place of the output, or the files beside it."""
    if (output / "train").exists():
        shutil.rmtree(output)
    shutil.copytree(more, output, dirs_exist_ok=True)


def _print_table(
    results: Results,
    folder: Path,
    options: argparse.Namespace,
) -> None:
    counts = [
        f"{layout}: {len(list(files(folder / layout)))} files, {disk_use(folder / layout) / 1e9:.2f} GB"
        for layout in _LAYOUTS
    ]
    print(
        f"{options.samples} samples of {options.height}x{options.width}, {options.rounds} rounds, "
        f"{os.cpu_count()} cores; {'; '.join(counts)}\n"
    )
    print("| cache.type | layout |" + "".join(f" {name} |" for name in (*_TIMED, *_SIZED)))
    print("| --- | --- |" + " ---: |" * len(_TIMED + _SIZED))
    for (link, layout), rounds in results.items():
        seconds = [_spread([found.times[name] for found in rounds]) for name in _TIMED]
        sizes = [_gigabytes([found.sizes[name] for found in rounds]) for name in _SIZED]
        print(f"| {link} | {layout} |" + "".join(f" {cell} |" for cell in (*seconds, *sizes)))


def _spread(times: list[Timing]) -> str:
    walls, cpu = [time.wall for time in times], statistics.median(time.cpu for time in times)
    return f"{statistics.median(walls):.1f} s ({min(walls):.1f} to {max(walls):.1f}), {cpu:.1f} s"


def _gigabytes(sizes: list[int]) -> str:
    return f"{statistics.median(sizes) / 1e9:.3f} GB"


if __name__ == "__main__":
    main()
