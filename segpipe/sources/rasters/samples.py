"""The user's own folder of large georeferenced rasters, cut into windows.

Layout: as of `segpipe.sources.folder.samples`, with GeoTIFFs in images/ and masks/. A mask has one band
of whole numbers, on the image's grid or a whole number of times coarser.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from segpipe.params.prepare import RasterParams, SplitParams
from segpipe.raw.rasters.grid import Grid, read_grid, truth_ratio
from segpipe.raw.rasters.read import chosen_bands, refuse_odd_labels
from segpipe.raw.rasters.windows import window_faults, windows
from segpipe.raw.sample import SPLITS, Sample
from segpipe.runtime.errors import DataError
from segpipe.runtime.findings import Finding, about
from segpipe.sources.listing import Listing
from segpipe.sources.pairing import find_named
from segpipe.sources.raster_files import SIDECARS, SUFFIXES
from segpipe.sources.splits import groups_by_pattern, split_names


@dataclass(frozen=True)
class _Raster:
    """A raster and its truth: paths below raw, grid, image pixels of a truth pixel (0 without)."""

    image: str
    mask: str | None
    grid: Grid
    ratio: int


def list_samples(
    raw: Path, split: SplitParams, height: int, width: int, rasters: RasterParams
) -> Listing:
    """Return the windows of height x width image pixels below `raw`, by split, and what is wrong.

    A window is called NAME/y512_x0 for its upper left pixel. The group is the raster, or what
    prepare.split.group catches in its name. Training windows share `rasters.overlap` pixels.
    Windows of val and test share none but for the last of a row or column, which are shifted
    inwards: `segpipe.raw.rasters.windows.ownership_mask` tells which of their pixels are scored
    there, so that each pixel of a raster is scored once.

    Errors among the findings: those of the folder source (`unpaired`, `name_twice`,
    `outside_splits`, `lists`, `no_group`, `torn_group`), rasters that cannot be read
    (`unreadable`), truth that does not lie on its image or holds no labels (`truth`), other
    numbers of bands (`bands`), sizes that no window fits (`windows`), and those of `files_below`.
    Warnings: `unlisted`, `ignored_files`, and rasters of several kinds of number (`dtypes`).

    Raises DataError as `find_layout` does, and when there is no GeoTIFF in images or masks.
    """
    findings: list[Finding] = []
    found = find_named(raw, SUFFIXES, findings, by_folder=split.by == "folder", beside=SIDECARS)
    whole = _inspected(raw, found.images, found.masks, findings)
    ratio = _common_ratio(whole, findings)
    _compare_bands(raw, whole, rasters, findings)
    _compare_windows(whole, ratio, height, width, rasters.overlap, findings)
    groups = groups_by_pattern(sorted(whole), split.group, findings)
    chosen = split_names(split, groups, found.images, raw, "rasters", findings)
    samples: dict[str, list[Sample]] = {}
    for part in SPLITS:
        prefix = f"{part}/" if split.by == "folder" else ""
        overlap = rasters.overlap if part == "train" else 0
        samples[part] = [
            sample
            for name in chosen[part]
            for sample in _cut(
                name.removeprefix(prefix),
                groups[name],
                whole[name],
                ratio,
                (height, width),
                overlap,
            )
        ]
    return Listing(samples, findings, ratio, found.folders)


def _cut(
    name: str, group: str, raster: _Raster, ratio: int, size: tuple[int, int], overlap: int
) -> list[Sample]:
    grid = raster.grid
    return [
        Sample(
            name=f"{name}/y{window.top}_x{window.left}",
            group=group,
            image=raster.image,
            mask=raster.mask,
            window=window,
        )
        for window in windows(grid.height, grid.width, *size, overlap, ratio)
    ]


def _inspected(
    raw: Path, images: Mapping[str, str], masks: Mapping[str, str], findings: list[Finding]
) -> dict[str, _Raster]:
    """Return the rasters by name whose headers are in order; the rest becomes findings."""
    # Truth may be withheld in test/ alone, and there for all rasters or none.
    withheld = not any(name.startswith("test/") for name in masks)
    found: dict[str, _Raster] = {}
    unreadable, unfit = [], []
    for name, image in images.items():
        mask = masks.get(name)
        if mask is None and not (withheld and name.startswith("test/")):
            continue
        try:
            grid = read_grid(raw / image)
            truth = None if mask is None else read_grid(raw / mask)
        except DataError as error:
            unreadable.append(str(error))
            continue
        try:
            ratio = 0 if mask is None or truth is None else _ratio(grid, truth, image, mask)
        except DataError as error:
            unfit.append(str(error))
            continue
        found[name] = _Raster(image, mask, grid, ratio)
    findings += about(unreadable, "unreadable", "{n} rasters cannot be read", "get them again")
    repair = "write them anew on the grid of their images, as whole numbers"
    findings += about(unfit, "truth", "{n} masks do not fit their images", repair)
    return found


def _ratio(grid: Grid, truth: Grid, image: str, mask: str) -> int:
    refuse_odd_labels(mask, truth.bands, truth.dtype)
    return truth_ratio(grid, truth, image, mask)


def _common_ratio(whole: dict[str, _Raster], findings: list[Finding]) -> int:
    """Return the ratio of most rasters; drop those of another one from `whole`, with a finding."""
    ratios = [raster.ratio for raster in whole.values() if raster.ratio]
    usual = max(sorted(set(ratios)), key=ratios.count, default=1)
    odd = [name for name, raster in whole.items() if raster.ratio not in (0, usual)]
    items = [
        f"{whole[name].mask}: {whole[name].ratio} image pixels to a truth pixel instead of {usual}"
        for name in odd
    ]
    repair = "bring all masks to one resolution relative to their images (gdalwarp -r near)"
    findings += about(items, "truth", "{n} masks have another resolution than the others", repair)
    for name in odd:
        del whole[name]
    return usual


def _compare_bands(
    raw: Path, whole: dict[str, _Raster], rasters: RasterParams, findings: list[Finding]
) -> None:
    """Drop rasters that lack chosen bands, or have another number where all are chosen."""
    items, odd = [], []
    counts = [raster.grid.bands for raster in whole.values()]
    usual = max(sorted(set(counts)), key=counts.count, default=0)
    for name, raster in whole.items():
        if rasters.bands is None and raster.grid.bands != usual:
            odd.append(name)
            items.append(f"{raster.image}: {raster.grid.bands} bands instead of {usual}")
            continue
        try:
            chosen_bands(raw / raster.image, raster.grid.bands, rasters.bands)
        except DataError as error:
            odd.append(name)
            items.append(str(error))
    repair = "choose bands that all have in prepare.rasters.bands"
    findings += about(items, "bands", "{n} rasters lack bands, or have others", repair)
    for name in odd:
        del whole[name]
    kinds = sorted({raster.grid.dtype for raster in whole.values()})
    if len(kinds) > 1:
        text = f"the rasters hold several kinds of number ({', '.join(kinds)})"
        repair = "one scaling is measured over all of them: check that their units are the same"
        of_each = tuple(f"{raster.image}: {raster.grid.dtype}" for raster in whole.values())
        findings.append(Finding("dtypes", "warning", text, repair, of_each))


def _compare_windows(
    whole: dict[str, _Raster],
    ratio: int,
    height: int,
    width: int,
    overlap: int,
    findings: list[Finding],
) -> None:
    """Drop rasters that no window fits."""
    items, odd = [], []
    for name, raster in whole.items():
        grid = raster.grid
        faults = window_faults(grid.height, grid.width, height, width, overlap, ratio)
        if faults:
            odd.append(name)
            items += [f"{raster.image}: {fault}" for fault in faults]
    repair = "change these parameters, or leave these rasters out"
    findings += about(items, "windows", "{n} times windows do not fit", repair)
    for name in odd:
        del whole[name]
