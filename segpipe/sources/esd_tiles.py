"""ESD tiles on the user's disk: folders Tile1, Tile2, ... of GeoTIFFs, cut into subtiles.

A tile has one GeoTIFF for each band and date, and groundTruth.tif, which is coarser: in the
published data 16 x 16 truth pixels on 800 x 800 image pixels.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from segpipe.params.prepare import SplitParams
from segpipe.raw.esd.files import TRUTH
from segpipe.raw.esd.tile import tile_grid
from segpipe.raw.rasters.grid import Grid, contradictions, read_grid, shape_ratio
from segpipe.raw.rasters.read import refuse_odd_labels
from segpipe.raw.rasters.windows import windows
from segpipe.raw.sample import SPLITS, Sample
from segpipe.runtime.errors import DataError, ParameterError
from segpipe.runtime.findings import Finding, about
from segpipe.sources.folder_walk import files_below
from segpipe.sources.listing import Listing
from segpipe.sources.splits import split_by_lists, split_by_ratio
from segpipe.sources.tile_folders import find_tiles, tile_number


@dataclass(frozen=True)
class _Tile:
    """A tile: path below raw, grid of its images, image pixels of a truth pixel (0 without truth)."""

    path: str
    image: Grid
    ratio: int


def list_samples(raw: Path, split: SplitParams, height: int, width: int) -> Listing:
    """Return the subtiles of height x width image pixels below `raw`, by split, and what is wrong.

    A subtile is called Tile1/r0_c2 for its row and column among the subtiles of its tile. The tile
    is the group: `ratio` shares out whole tiles, `lists` are of tiles' names. Errors among the
    findings: tiles that cannot be read (`unreadable`), whose truth does not fit (`truth`), without
    truth outside the test list (`no_truth`), faults of the lists (`lists`), and those of
    `files_below`. Warnings: a truth that claims to lie elsewhere (`georeference`), tiles in no list
    (`unlisted`).

    Raises ParameterError when the tiles cannot be cut into such subtiles, or split so; DataError
    when there is no tile, two have the same name, or none has truth.
    """
    if split.by == "folder" or split.group is not None:
        raise ParameterError(
            "params.yaml: ESD tiles lie in no split, and each is a group of its own; set "
            "prepare.split.by to ratio or lists, and prepare.split.group to null"
        )
    folders = find_tiles(raw)
    findings: list[Finding] = []
    files_below(raw, ["."], findings)
    tiles = _inspected(raw, folders, findings)
    ratio = _common_ratio(raw, tiles, findings)
    whole = {name: tile for name, tile in tiles.items() if tile.ratio in (0, ratio)}
    _refuse_odd_subtiles(whole, ratio, height, width)
    if split.by == "lists":
        every = [folder.name for folder in folders]
        chosen = split_by_lists(whole, every, raw, "tiles", findings)
    else:
        chosen = split_by_ratio({name: name for name in whole}, split.val, split.test, split.seed)
    _report_bare(chosen, whole, split.by, findings)
    samples = {
        part: [
            sample
            for name in sorted(chosen[part], key=tile_number)
            if whole[name].ratio or part == "test"
            for sample in _subtiles(name, whole[name], ratio, height, width)
        ]
        for part in SPLITS
    }
    return Listing(samples, findings, ratio)


def _inspected(raw: Path, folders: list[Path], findings: list[Finding]) -> dict[str, _Tile]:
    """Return the tiles by name whose headers are in order; the rest becomes findings."""
    tiles: dict[str, _Tile] = {}
    unreadable, unfit, elsewhere = [], [], []
    for folder in folders:
        ratio = 0
        try:
            image = tile_grid(folder)
            truth = read_grid(folder / TRUTH) if (folder / TRUTH).is_file() else None
        except DataError as error:
            unreadable.append(str(error))
            continue
        if truth is not None:
            try:
                refuse_odd_labels(folder / TRUTH, truth.bands, truth.dtype)
                ratio = shape_ratio(image, truth, folder.name, f"{folder.name}/{TRUTH}")
            except DataError as error:
                unfit.append(str(error))
                continue
            elsewhere += [f"{folder.name}: {fault}" for fault in contradictions(image, truth)]
        tiles[folder.name] = _Tile(folder.relative_to(raw).as_posix(), image, ratio)
    findings += about(unreadable, "unreadable", "{n} tiles cannot be read", "get them again")
    findings += about(unfit, "truth", "{n} tiles have a truth that does not fit", "get it again")
    findings += about(
        elsewhere,
        "georeference",
        "the truth of {n} tiles claims to lie elsewhere than the images",
        "it is taken to cover the whole tile; check one in a map viewer",
        severity="warning",
    )
    return tiles


def _common_ratio(raw: Path, tiles: Mapping[str, _Tile], findings: list[Finding]) -> int:
    """Return the ratio of most tiles; those of another one become a finding."""
    ratios = [tile.ratio for tile in tiles.values() if tile.ratio]
    if not ratios:
        reasons = "\n".join(str(finding) for finding in findings)
        raise DataError(f"{raw}: no tile has a {TRUTH} that can be used\n{reasons}".rstrip())
    usual = max(sorted(set(ratios)), key=ratios.count)
    odd = [
        f"{name}: {tile.ratio} image pixels to a truth pixel instead of {usual}"
        for name, tile in tiles.items()
        if tile.ratio not in (0, usual)
    ]
    findings += about(
        odd, "truth", "{n} tiles have a truth of another resolution", "get them again"
    )
    return usual


def subtile_sides(raw: Path) -> list[int]:
    """Return the sides, in image pixels, of the square subtiles that the tiles below `raw` can be cut into.

    Ascending; the first is that of a truth pixel. Raises DataError as `list_samples` does.
    """
    findings: list[Finding] = []
    tiles = _inspected(raw, find_tiles(raw), findings)
    ratio = _common_ratio(raw, tiles, findings)
    whole = [tile for tile in tiles.values() if tile.ratio in (0, ratio)]
    return _fitting(
        {side for tile in whole for side in (tile.image.height, tile.image.width)}, ratio
    )


def _fitting(lengths: set[int], ratio: int) -> list[int]:
    """Return the sides of whole truth pixels that divide all lengths."""
    sides = range(ratio, min(lengths) + 1, ratio)
    return [side for side in sides if not any(length % side for length in lengths)]


def _refuse_odd_subtiles(tiles: Mapping[str, _Tile], ratio: int, height: int, width: int) -> None:
    """Raise ParameterError unless every tile is a whole number of subtiles, each of truth pixels."""
    faults = []
    for side, wanted in (("height", height), ("width", width)):
        lengths = {getattr(tile.image, side) for tile in tiles.values()}
        fitting = _fitting(lengths, ratio)
        if wanted not in fitting:
            faults.append(
                f"params.yaml: prepare.{side} is {wanted}, but a truth pixel is {ratio} image pixels "
                f"long and a tile {' or '.join(map(str, sorted(lengths)))}; a tile can be cut into "
                f"subtiles of {', '.join(map(str, fitting)) or 'no size that fits all tiles'}"
            )
    if faults:
        raise ParameterError("\n".join(faults))


def _report_bare(
    chosen: Mapping[str, list[str]],
    tiles: Mapping[str, _Tile],
    by: str,
    findings: list[Finding],
) -> None:
    """Truth may be missing in the test list alone."""
    bare = [
        f"{name} ({part})"
        for part in SPLITS
        for name in sorted(chosen[part], key=tile_number)
        if not tiles[name].ratio and not (part == "test" and by == "lists")
    ]
    repair = "get the truth, remove them, or name them in test.txt (prepare.split.by: lists)"
    findings += about(bare, "no_truth", f"{{n}} tiles have no {TRUTH}", repair)


def _subtiles(name: str, tile: _Tile, ratio: int, height: int, width: int) -> list[Sample]:
    mask = f"{tile.path}/{TRUTH}" if tile.ratio else None
    cut = windows(tile.image.height, tile.image.width, height, width, step=ratio)
    return [
        Sample(
            name=f"{name}/r{window.top // height}_c{window.left // width}",
            group=name,
            image=tile.path,
            mask=mask,
            window=window,
        )
        for window in cut
    ]
