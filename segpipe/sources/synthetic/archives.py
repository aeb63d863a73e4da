"""The archives of the synthetic data set: those of Cityscapes, by name and by content.

Unlike the real ones they hold true labels for test as well, since these are our own.
"""

import contextlib
import os
import zipfile
from functools import partial
from pathlib import Path
from typing import NamedTuple

from segpipe.params.source import ClipParams, SyntheticParams
from segpipe.runtime.atomic import atomic_file, disk_errors_explained
from segpipe.runtime.console import progress
from segpipe.runtime.workers import ordered_map
from segpipe.sources.cityscapes_layout.layout import SCORED_SPLITS
from segpipe.sources.synthetic.compose import compose
from segpipe.sources.synthetic.painter import paint
from segpipe.sources.synthetic.scene import View
from segpipe.sources.synthetic.truth import annotate, png
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


class _Key(NamedTuple):
    """Which scene is drawn; keys sort in the order in which the files stand in the archives."""

    split: str
    city: str
    snippet: int
    number: int


def write_archives(
    scenes: SyntheticParams, clip: ClipParams, world: Path, target: Path
) -> list[Path]:
    """Draw all scenes and write the archives into the folder `target`; return their paths.

    world: the description of the streets (data/synthetic.yaml). Where `clip.frames` is above 1 the
    sequence archive is written too, with the frames of the clips: every `clip.stride`-th one that
    leads to the annotated one, and that one itself; of val and test one more before them, where the
    snippet has one. The official snippets have all 30.

    The same arguments give the same bytes, whatever the number of processes. Raises ParameterError
    when `world` is missing or faulty, SegpipeError when the disk is full.
    """
    described = read_world(world)
    keys = _keys(scenes, described)
    draw = partial(_draw, world=described, scenes=scenes, clip=clip)
    names = [IMAGES, TRUTH, *([SEQUENCES] if clip.frames > 1 else [])]
    processes = min(os.cpu_count() or 1, len(keys) // _WORTH_A_PROCESS)
    with disk_errors_explained(target), contextlib.ExitStack() as stack:
        opened: dict[str, zipfile.ZipFile] = {}
        for name in names:
            partial_file = stack.enter_context(atomic_file(target / name))
            opened[name] = stack.enter_context(zipfile.ZipFile(partial_file, "w"))
        drawn = ordered_map(draw, keys, processes)
        for members in progress(drawn, "draw synthetic streets", "scene", len(keys)):
            for archive, name, content in members:
                member = zipfile.ZipInfo(name, _EPOCH)
                member.external_attr = 0o644 << 16
                # Pictures are compressed already.
                packed = zipfile.ZIP_DEFLATED if name.endswith(".json") else zipfile.ZIP_STORED
                opened[archive].writestr(member, content, packed)
    return [target / name for name in names]


def _keys(scenes: SyntheticParams, world: World) -> list[_Key]:
    counts = {"test": scenes.test, "train": scenes.train, "val": scenes.val}
    cities = {"test": world.cities.test, "train": world.cities.train, "val": world.cities.val}
    keys = []
    for split, names in cities.items():
        for number in range(counts[split]):
            snippet, city = divmod(number, len(names))
            keys.append(_Key(split, names[city], snippet, number))
    return sorted(keys)


def _draw(
    key: _Key, world: World, scenes: SyntheticParams, clip: ClipParams
) -> list[tuple[str, str, bytes]]:
    """Draw one scene and return its files as (archive, name in it, content)."""
    scene = compose(world, scenes.seed, key.split, key.city, key.number)
    folder = f"{key.split}/{key.city}/{key.city}_{key.snippet:06d}"
    members = []
    frames = clip.frames + (clip.frames > 1 and key.split in SCORED_SPLITS)
    for back in reversed(range(0, min(frames * clip.stride, ANNOTATED + 1), clip.stride)):
        view = View(scene, -back / _RATE, scenes.height, scenes.width)
        truth = annotate(view)
        picture = png(paint(view, truth))
        stem = f"{folder}_{ANNOTATED - back:06d}"
        if clip.frames > 1:
            name = f"leftImg8bit_sequence/{stem}_leftImg8bit.png"
            members.append((SEQUENCES, name, picture))
    members.append((IMAGES, f"leftImg8bit/{stem}_leftImg8bit.png", picture))
    for end, content in truth.files().items():
        members.append((TRUTH, f"gtFine/{stem}_{end}", content))
    return members
