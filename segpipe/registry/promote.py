"""Whether a candidate is better than the champion: the paired comparison of `segpipe compare`."""

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from segpipe.evaluation.paired import paired_differences
from segpipe.params.schema import TrackingParams
from segpipe.results.comparability import comparability
from segpipe.results.experiments import RunResults, read_run
from segpipe.runtime.errors import TrackingError
from segpipe.tracking.registry import (
    CANDIDATE,
    CHAMPION,
    Version,
    fetch_results,
    set_alias,
    version_at,
)


@dataclass(frozen=True)
class Promotion:
    """What became of a candidate. lines: why, for a person."""

    done: bool
    lines: list[str]


def promote(name: str, settings: TrackingParams, *, force: bool) -> Promotion:
    """Make the candidate of the registered model `name` its champion where it is shown to be better.

    That is where the 95 % interval of the difference of both mIoUs on the same images lies above 0, or
    where there is no champion. force: promote it all the same.
    Raises TrackingError when there is no candidate or the store cannot be used.
    """
    candidate, champion = (version_at(settings, name, alias) for alias in (CANDIDATE, CHAMPION))
    if candidate is None:
        raise TrackingError(
            f"{name}: no version has the alias {CANDIDATE}; `segpipe register --name {name}` makes one, "
            "and `segpipe ui` shows the registered models"
        )
    if candidate == champion:
        return Promotion(True, [f"{candidate} is the {CHAMPION} already"])
    better, lines = True, ["there was no champion"]
    if champion is not None:
        better, lines = _compared(candidate, champion, settings)
    if not better and not force:
        left = f"{candidate} stays {CANDIDATE}; {champion} stays {CHAMPION}"
        return Promotion(False, [*lines, left])
    why = lines[-1] if better else f"forced, though: {lines[-1]}"
    set_alias(settings, candidate, CHAMPION, why)
    return Promotion(True, [*lines, f"{candidate} is the {CHAMPION} now"])


def _compared(
    candidate: Version, champion: Version, settings: TrackingParams
) -> tuple[bool, list[str]]:
    """Return whether the candidate is shown to be better, and the lines of the comparison."""
    names = f"version {champion.number}", f"version {candidate.number}"
    with tempfile.TemporaryDirectory(prefix="segpipe-promote-") as folder:
        runs = [_results(one, settings, Path(folder)) for one in (champion, candidate)]
    found = paired_differences(runs[0], runs[1], [], "iou")
    scores = [run.evaluation.miou for run in runs]
    difference = None if None in scores else (scores[1] or 0.0) - (scores[0] or 0.0)
    miou = found.of_row.get(("score", "mIoU"))
    better = miou is not None and miou.known and miou.low > 0
    return better, [*comparability(runs, names), found.verdict(difference, names)]


def _results(version: Version, settings: TrackingParams, folder: Path) -> RunResults:
    place = folder / version.number
    place.mkdir()
    found = read_run(str(fetch_results(settings, version, place)))
    return replace(found, name=f"version {version.number}")
