"""Cityscapes as it is published: archives or unpacked folders on the user's disk, or downloaded.

Beside the finely annotated scenes: coarse ones of train_extra by a ratio (`coarse_per_fine`), and
clips of frames that end at the annotated one (`clip`).
"""

from dataclasses import replace
from pathlib import Path

from segpipe.params.source import SourceParams
from segpipe.runtime.console import say
from segpipe.runtime.errors import DataError, SegpipeError, listing
from segpipe.runtime.findings import Finding, say_warnings
from segpipe.sources.cityscapes.credentials import find_credentials
from segpipe.sources.cityscapes.download import download
from segpipe.sources.cityscapes.holdings import (
    Holding,
    describe,
    find,
    lies_unpacked,
)
from segpipe.sources.cityscapes_layout.layout import (
    SCORED_SPLITS,
    TRUTH,
    Part,
    frame_before_clip,
)
from segpipe.sources.cityscapes_layout.samples import pair_names, parts_needed
from segpipe.sources.copying import beside_data, copy_files, refuse_too_little_space
from segpipe.sources.listing import Listing


def fetch(source: SourceParams, target: Path, downloads: Path) -> None:
    """Bring the parts of Cityscapes that the parameters need into the folder `target`.

    Each is taken from source.path as a folder, else from the official archive there, else from the
    archive in `downloads`, else it is downloaded to there, for which a login must be at hand. Of
    gtFine all files come, so that other tools load `target` too; of the other parts what the
    samples need: images, coarse truth of the chosen scenes, frames of the clips, and of val and test
    the frame before each clip as well, where there is one. Label files (CSV, YAML) in source.path come
    along.

    Raises DataError, before anything is copied, when parts are missing without a login, when the
    names do not fit together (as `list_samples` finds it) or when the disk is too small; and when
    an archive is damaged.
    """
    holdings = _holdings(source, downloads)
    found = _pair(holdings, source)
    say_warnings(_walked(holdings))
    _refuse_errors(found, source)
    samples = [sample for members in found.samples.values() for sample in members]
    needed = {path for one in samples for path in (one.image, one.mask, *one.frames) if path}
    needed |= _before_clips(found)
    chosen = [(holding, _wanted(holding, needed)) for holding in holdings]
    total = sum(holding.size(names) for holding, names in chosen)
    refuse_too_little_space(total, target, f"{source.path}: what params.yaml chooses of Cityscapes")
    for holding, names in chosen:
        holding.bring(names, target)
    copy_files(Path(source.path), beside_data(Path(source.path)), target)


def check_without_unpacking(source: SourceParams, downloads: Path) -> Listing | None:
    """Return what `list_samples` would after a fetch, where archives are only looked into.

    None where parts are nowhere and fetch would download them; one line says so.
    Raises DataError when a part is missing and there is no login, or an archive is damaged.
    """
    parts = parts_needed(source)
    holdings, missing = _search(source, parts, downloads)
    found = _pair(holdings, source)
    if not missing:
        return found
    _require_login(missing, source)
    say(
        f"{len(missing)} parts of Cityscapes are not downloaded yet; there is a login, with which "
        f"`dvc repro fetch` downloads them:\n{listing([part.archive for part in missing])}"
    )
    return None


def is_unpacked(source: SourceParams) -> bool:
    """Return whether all parts that are needed lie in source.path as folders."""
    return all(lies_unpacked(part, Path(source.path)) for part in parts_needed(source))


def _holdings(source: SourceParams, downloads: Path) -> list[Holding]:
    """Return where all needed parts lie, after downloading those that are nowhere."""
    parts = parts_needed(source)
    holdings, missing = _search(source, parts, downloads)
    if missing:
        _require_login(missing, source)
        say(f"{len(missing)} parts of Cityscapes are not in {source.path}; they are downloaded")
        download([part.archive for part in missing], downloads)
        holdings, missing = _search(source, parts, downloads)
    return holdings


def _search(
    source: SourceParams, parts: list[Part], downloads: Path
) -> tuple[list[Holding], list[Part]]:
    found = {part: find(part, Path(source.path), downloads) for part in parts}
    holdings = [holding for holding in found.values() if holding]
    return holdings, [part for part, holding in found.items() if not holding]


def _require_login(missing: list[Part], source: SourceParams) -> None:
    """Raise DataError that lists all missing parts and both ways out, unless there is a login."""
    try:
        find_credentials()
    except SegpipeError as error:
        lines = listing([describe(part, Path(source.path)) for part in missing])
        nested = sorted(Path(source.path).glob(f"*/{missing[0].folder}"))
        lines += (
            f"\nThere is {nested[0]}; if that is it, name {nested[0].parent}." if nested else ""
        )
        raise DataError(
            f"params.yaml: source.path is {source.path}, but these parts of Cityscapes are not "
            f"there:\n{lines}\nPut them there, as downloaded or unpacked. Or have fetch download "
            f"them: {error}"
        ) from error


def _pair(holdings: list[Holding], source: SourceParams) -> Listing:
    names = [name for holding in holdings for name in holding.names]
    found = pair_names(source, names, truth_withheld=True)
    return replace(found, findings=_walked(holdings) + found.findings)


def _walked(holdings: list[Holding]) -> list[Finding]:
    """Return what of the folders cannot be used; two parts may lie in one folder."""
    return list(dict.fromkeys(finding for holding in holdings for finding in holding.findings))


def _wanted(holding: Holding, needed: set[str]) -> list[str]:
    if holding.part == TRUTH:
        return holding.names
    return [name for name in holding.names if name in needed]


def _before_clips(found: Listing) -> set[str]:
    """Return the frames that a model of clips needs to predict the frame before an image as well.

    Only what is scored needs them (evaluate.temporal).
    """
    scored = [sample for split in SCORED_SPLITS for sample in found.samples[split]]
    before = {frame_before_clip(sample) for sample in scored if sample.frames}
    return {path for path in before if path is not None}


def _refuse_errors(found: Listing, source: SourceParams) -> None:
    errors = [str(finding) for finding in found.findings if finding.severity == "error"]
    if errors:
        raise DataError("\n".join([f"{source.path}: nothing was copied.", *errors]))
