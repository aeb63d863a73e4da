"""Pictures of offenders: image beside mask, with the pixels that offend marked.

Shapes: H height, W width, 3 colour channels, all uint8.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segpipe.labels.scheme import VOID, LabelScheme, pack_colours
from segpipe.preflight.wording import place, size
from segpipe.preparation.sample_stats import SampleStats, Survey
from segpipe.raw.pictures.deep import picture_header, read_shown
from segpipe.raw.pictures.files import open_image, open_mask
from segpipe.raw.sample import Sample, Side
from segpipe.rendering.layout import contact_sheet
from segpipe.rendering.png import write_png
from segpipe.runtime.console import say
from segpipe.runtime.findings import Finding

_MOST = 12  # pictures in a report
_SIDE = 480  # pixels of an image or mask in a picture
_PAIRED = frozenset({"near_duplicate"})  # kinds whose names come two by two
_MARK = (255, 0, 90)
_VOID_SHADES = ((58, 58, 64), (92, 92, 100))
_Tile = tuple[NDArray[np.uint8], str]


def draw_offenders(
    folder: Path,
    findings: Sequence[Finding],
    survey: Survey,
    scheme: LabelScheme,
    raw: Path,
) -> list[list[str]]:
    """Write at most a dozen PNG files to `folder`; return their names for each finding.

    Every finding gets its first picture before any gets its second. A picture that cannot be drawn
    (the file is damaged, or a raster) is left out: the report is worth more than its pictures.
    """
    by_place = {place(stats): stats for stats in survey.samples}
    wanted = [_wanted(finding, by_place) for finding in findings]
    drawn: list[list[str]] = [[] for _ in findings]
    left = _MOST
    for turn in range(max((len(each) for each in wanted), default=0)):
        for number, each in enumerate(wanted):
            if turn >= len(each) or not left:
                continue
            name = f"{number + 1:02d}-{findings[number].kind}-{turn + 1}.png"
            if _drawn(folder / name, each[turn], scheme, raw):
                drawn[number].append(name)
                left -= 1
    return drawn


def _wanted(finding: Finding, by_place: Mapping[str, SampleStats]) -> list[list[SampleStats]]:
    """Return which samples come onto each picture of a finding."""
    named = [by_place[name] for name in finding.pictures if name in by_place]
    samples = [stats for stats in named if stats.sample.window is None]
    if finding.kind in _PAIRED:
        return [samples[at : at + 2] for at in range(0, len(samples) - 1, 2)]
    return [[stats] for stats in samples]


def _drawn(path: Path, samples: Sequence[SampleStats], scheme: LabelScheme, raw: Path) -> bool:
    try:
        if len(samples) == 1:
            tiles = _image_and_mask(samples[0], scheme, raw)
        else:
            tiles = [(_image(stats.sample, raw), place(stats)) for stats in samples]
        write_png(path, contact_sheet(tiles, columns=2))
    # Decoders raise anything on damaged files, and a report without a picture is better than none.
    except Exception as error:
        say(f"no picture of {place(samples[0])} in the report: {type(error).__name__}: {error}")
        return False
    return True


def _image_and_mask(stats: SampleStats, scheme: LabelScheme, raw: Path) -> list[_Tile]:
    tiles = [(_image(stats.sample, raw), _caption(place(stats), stats.image_side))]
    if stats.sample.mask is not None:
        words = "mask, unknown in pink" if stats.unknown else "mask"
        mask_HW3 = _mask(raw / stats.sample.mask, stats, scheme)
        tiles.append((mask_HW3, _caption(words, stats.mask_side)))
    return tiles


def _caption(words: str, side: Side | None) -> str:
    return words if side is None else f"{words}, {size(side)}"


def _image(sample: Sample, raw: Path) -> NDArray[np.uint8]:
    path = raw / sample.image
    deep = picture_header(path).deep
    picture = Image.fromarray(read_shown(path)) if deep else open_image(path).picture
    picture.thumbnail((_SIDE, _SIDE))
    return np.asarray(picture)


def _mask(path: Path, stats: SampleStats, scheme: LabelScheme) -> NDArray[np.uint8]:
    """Paint a mask in the scheme's colours, void as a dark chequer, unknown values in pink."""
    mask = open_mask(path, scheme)
    values = np.asarray(mask.picture)
    shrink = max(1, -(-max(values.shape[:2]) // _SIDE))
    small = Image.fromarray(values[::shrink, ::shrink])
    train_HW = mask.encoded(scheme, small)
    shown_HW3 = scheme.paint(train_HW)
    rows, columns = np.indices(train_HW.shape) // 6
    shades_HW3 = np.array(_VOID_SHADES, np.uint8)[(rows + columns) % 2]
    shown_HW3 = np.where((train_HW == VOID)[..., None], shades_HW3, shown_HW3)
    if stats.unknown:
        marked_HW = _unknown_areas(values, stats, shrink)
        shown_HW3[_thickened(marked_HW, 1 + max(train_HW.shape) // 160)] = _MARK
    return shown_HW3


def _unknown_areas(values: NDArray[Any], stats: SampleStats, shrink: int) -> NDArray[np.bool_]:
    """Return which areas of shrink x shrink pixels hold an unknown value, if only in one pixel.

    Strip by strip, so that the memory stays small on large masks.
    """
    unknown = np.array(sorted(stats.unknown), np.int64)
    starts = range(0, values.shape[1], shrink)
    areas = []
    for top in range(0, values.shape[0], shrink):
        strip = values[top : top + shrink]
        codes = pack_colours(strip) if stats.painted else strip.astype(np.int64)
        areas.append(np.logical_or.reduceat(np.isin(codes, unknown).any(axis=0), starts))
    return np.array(areas)


def _thickened(marked_HW: NDArray[np.bool_], times: int) -> NDArray[np.bool_]:
    """Grow a few single pixels until they can be seen; large areas stay as they are."""
    if not 0 < marked_HW.mean() < 0.01:
        return marked_HW
    grown_HW = marked_HW.copy()
    for _ in range(times):
        again_HW = grown_HW.copy()
        again_HW[1:] |= grown_HW[:-1]
        again_HW[:-1] |= grown_HW[1:]
        again_HW[:, 1:] |= grown_HW[:, :-1]
        again_HW[:, :-1] |= grown_HW[:, 1:]
        grown_HW = again_HW
    return grown_HW
