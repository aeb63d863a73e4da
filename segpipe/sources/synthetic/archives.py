"""The archives of the synthetic data set: those of Cityscapes, by name and by content.

Unlike the real ones they hold true labels for test as well, since these are our own.
"""

import contextlib
import os
import zipfile
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from segpipe.params.source import ClipParams, SyntheticParams
from segpipe.runtime.atomic import disk_errors_explained, whole_file
from segpipe.runtime.console import progress
from segpipe.runtime.workers import worker_pool
from segpipe.sources.synthetic.compose import compose
from segpipe.sources.synthetic.painter import paint
from segpipe.sources.synthetic.truth import annotate, png
from segpipe.sources.synthetic.view import look
from segpipe.sources.synthetic.world import World, read_world

IMAGES = "leftImg8bit_trainvaltest.zip"
TRUTH = "gtFine_trainvaltest.zip"
SEQUENCES = "leftImg8bit_sequence_trainvaltest.zip"
# The annotated frame is the 20th of each snippet of 30, 17 of them a second.
ANNOTATED = 19
_RATE = 17.0
# Starting a process costs as much as a few scenes.
_WORTH_A_PROCESS = 12
_EPOCH = (1980, 1, 1, 0, 0, 0)
Member = tuple[str, str, bytes]


@dataclass(frozen=True)
class _Job:
    """One scene to draw, complete in itself so that any process can draw it."""

    world: World
    scenes: SyntheticParams
    clip: ClipParams
    split: str
    city: str
    index: int
    snippet: int


def write_archives(
    scenes: SyntheticParams, clip: ClipParams, world: Path, target: Path
) -> list[Path]:
    """Draw all scenes and write the archives into the folder `target`; return their paths.

    world: the description of the streets (data/synthetic.yaml). Where `clip.frames` is above 1 the
    sequence archive is written too, with the frames of the clips: every `clip.stride`-th one that
    leads to the annotated one, and that one itself. The official snippets have all 30.

    The same arguments give the same bytes, whatever the number of processes. Raises ParameterError
    when `world` is missing or faulty, SegpipeError when the disk is full.
    """
    jobs = _jobs(scenes, clip, read_world(world))
    names = [IMAGES, TRUTH, *([SEQUENCES] if clip.frames > 1 else [])]
    with disk_errors_explained(target), contextlib.ExitStack() as stack:
        opened: dict[str, zipfile.ZipFile] = {}
        for name in names:
            partial = stack.enter_context(whole_file(target / name))
            opened[name] = stack.enter_context(zipfile.ZipFile(partial, "w"))
        for members in progress(_drawn(jobs), "draw synthetic streets", "scene", len(jobs)):
            for archive, name, content in members:
                _add(opened[archive], name, content)
    return [target / name for name in names]


def _jobs(scenes: SyntheticParams, clip: ClipParams, world: World) -> list[_Job]:
    """List the scenes in the order in which their files stand in the archives."""
    counts = {"test": scenes.test, "train": scenes.train, "val": scenes.val}
    cities = {"test": world.cities.test, "train": world.cities.train, "val": world.cities.val}
    jobs = []
    for split, count in counts.items():
        names = cities[split]
        for index in range(count):
            city = names[index % len(names)]
            jobs.append(_Job(world, scenes, clip, split, city, index, index // len(names)))
    return sorted(jobs, key=lambda job: (job.split, job.city, job.snippet))


def _drawn(jobs: list[_Job]) -> Iterator[list[Member]]:
    """Yield the files of each job in order, drawn by as many processes as pay off."""
    workers = min(os.cpu_count() or 1, len(jobs) // _WORTH_A_PROCESS)
    if workers < 2:
        yield from map(_draw, jobs)
        return
    with worker_pool(workers) as pool:
        waiting: deque[Future[list[Member]]] = deque()
        try:
            for job in jobs:
                waiting.append(pool.submit(_draw, job))
                # Only a few results are held at once, however many scenes there are.
                if len(waiting) > 3 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _draw(job: _Job) -> list[Member]:
    """Draw one scene and return its files as (archive, name in it, content)."""
    scenes, clip = job.scenes, job.clip
    scene = compose(job.world, scenes.seed, job.split, job.city, job.index)
    folder = f"{job.split}/{job.city}"
    members: list[Member] = []
    for back in reversed(range(0, clip.frames * clip.stride, clip.stride)):
        view = look(scene, -back / _RATE, scenes.height, scenes.width)
        truth = annotate(view)
        picture = png(paint(view, truth))
        stem = f"{job.city}_{job.snippet:06d}_{ANNOTATED - back:06d}"
        if clip.frames > 1:
            name = f"leftImg8bit_sequence/{folder}/{stem}_leftImg8bit.png"
            members.append((SEQUENCES, name, picture))
    members.append((IMAGES, f"leftImg8bit/{folder}/{stem}_leftImg8bit.png", picture))
    for end, content in truth.files().items():
        members.append((TRUTH, f"gtFine/{folder}/{stem}_{end}", content))
    return members


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    member = zipfile.ZipInfo(name, _EPOCH)
    member.external_attr = 0o644 << 16
    # Pictures are compressed already.
    packed = zipfile.ZIP_DEFLATED if name.endswith(".json") else zipfile.ZIP_STORED
    archive.writestr(member, content, packed)
