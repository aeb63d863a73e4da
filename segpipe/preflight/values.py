"""Rules about the values of masks: outside the label scheme, of another scheme, ids or colours."""

from collections import Counter
from collections.abc import Sequence

from segpipe.labels.colour_suggestion import suggest_colours
from segpipe.labels.scheme import LabelScheme
from segpipe.labels.suggestion import Suggestion, suggest_mapping
from segpipe.preflight.files import is_lossy
from segpipe.preflight.wording import pictures_of, value_name
from segpipe.preparation.sample_stats import SampleStats
from segpipe.raw.pictures.files import GREY, TRIPLED
from segpipe.runtime.findings import Finding

# So many strange values of one mask are named one by one.
_NAMED = 10
# Of so many colours, the most frequent ones, the meaning is guessed.
_GUESSED = 1000


def unknown_values(samples: Sequence[SampleStats], scheme: LabelScheme) -> list[Finding]:
    """A value without meaning is an error: neither void nor a class may be guessed."""
    strange = [stats for stats in samples if stats.unknown and not is_lossy(stats)]
    numbered = [stats for stats in strange if not stats.painted]
    painted = [stats for stats in strange if stats.painted]
    found = []
    if numbered:
        found.append(
            _unknown(
                "unknown_value", numbered, _ways_for_numbers(numbered, _meant(samples, scheme))
            )
        )
    if painted:
        found.append(_unknown("unknown_colour", painted, _ways_for_colours(painted, scheme)))
    return found


def grey_masks(samples: Sequence[SampleStats]) -> list[Finding]:
    """Ids in three equal channels are told from grey colours by a whole data set alone.

    Where other masks are painted, a mask that shows greys alone may be painted as well.
    """
    tripled = [stats for stats in samples if stats.mask_mode.endswith(TRIPLED)]
    painted = [f for f in samples if f.painted and not f.mask_mode.endswith(GREY)]
    if not tripled or not painted:
        return []
    text = (
        f"{len(tripled)} masks are grey in three equal channels, which are read as ids, and "
        f"{len(painted)} are painted in colours"
    )
    repair = (
        "if the greys are ids, save these masks as one channel (Pillow: "
        "`mask.getchannel(0).save(...)`); if they are colours, add them to the class file"
    )
    fewer = min(tripled, painted, key=len)
    items = tuple(f"{stats.sample.mask} ({stats.mask_mode})" for stats in fewer)
    return [Finding("grey_masks", "error", text, repair, items, pictures_of(fewer))]


def _unknown(kind: str, samples: Sequence[SampleStats], repair: str) -> Finding:
    items = tuple(item for stats in samples for item in _items(stats))
    times = sum(len(stats.unknown) for stats in samples)
    text = f"{times} times a mask holds a value outside the label scheme ({len(samples)} masks)"
    return Finding(kind, "error", text, repair, items, pictures_of(samples))


def _items(stats: SampleStats) -> list[str]:
    """Return a line for each value, the most frequent first, and a count of the many others."""
    ranked = sorted(stats.unknown.items(), key=lambda pair: (-pair[1], pair[0]))
    lines = [
        f"{stats.sample.mask}: {value_name(value, stats.painted)} in {pixels:,} pixels"
        for value, pixels in sorted(ranked[:_NAMED])
    ]
    if len(ranked) > _NAMED:
        pixels = sum(count for _, count in ranked[_NAMED:])
        more = len(ranked) - _NAMED
        lines.append(f"{stats.sample.mask}: {more} further values in {pixels:,} pixels")
    return lines


def _ways_for_numbers(samples: Sequence[SampleStats], meant: Suggestion | None) -> str:
    values = sorted({value for stats in samples for value in stats.unknown})
    shown = ", ".join(f"{value}: void" for value in values[:_NAMED])
    rest = ", ..." if len(values) > _NAMED else ""
    otherwise = (
        f"params.yaml: the line `map: {{{shown}{rest}}}` under labels leaves them out; with the "
        "name of a class in place of void they count as that class"
    )
    return otherwise if meant is None else f"{meant}. Otherwise, {otherwise}"


def _ways_for_colours(samples: Sequence[SampleStats], scheme: LabelScheme) -> str:
    colours: Counter[int] = Counter()
    for stats in samples:
        colours.update(stats.unknown)
    meant = suggest_colours(scheme, dict(colours.most_common(_GUESSED)))
    otherwise = (
        "add the colours to the CSV or YAML file of the labels (a row named void counts nowhere)"
    )
    return otherwise if meant is None else f"{meant}. Otherwise, {otherwise}"


def swapped_ids(samples: Sequence[SampleStats], scheme: LabelScheme) -> list[Finding]:
    """Values that all have a meaning, but probably another: train ids where label ids were due.

    Where some have none, `unknown_values` says the same.
    """
    numbered = [stats for stats in samples if stats.raw_pixels]
    if any(stats.unknown for stats in numbered):
        return []
    meant = _meant(numbered, scheme)
    if meant is None:
        return []
    shown = pictures_of(numbered[:2])
    return [Finding("swapped_ids", "warning", meant.cause, meant.repair, (), shown)]


def _meant(samples: Sequence[SampleStats], scheme: LabelScheme) -> Suggestion | None:
    """Return what the raw values of all numbered masks together look like."""
    pixels: Counter[int] = Counter()
    for stats in samples:
        if not is_lossy(stats):
            pixels.update(stats.raw_pixels)
    return suggest_mapping(scheme, pixels)
