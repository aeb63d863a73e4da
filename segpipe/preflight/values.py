"""Rules about the values of masks: outside the label scheme, of another scheme, saved as colours."""

from collections import Counter
from collections.abc import Sequence

from segpipe.labels.colour_suggestion import suggest_colours
from segpipe.labels.scheme import LabelScheme
from segpipe.labels.suggestion import Suggestion, suggest_mapping
from segpipe.preflight.files import is_lossy
from segpipe.preflight.wording import pictures_of, value_name
from segpipe.preparation.sample_stats import SampleFacts
from segpipe.runtime.findings import Finding

# So many strange values of one mask are named one by one.
_NAMED = 10
# Of so many colours, the most frequent ones, the meaning is guessed.
_GUESSED = 1000


def unknown_values(facts: Sequence[SampleFacts], scheme: LabelScheme) -> list[Finding]:
    """A value without meaning is an error: neither void nor a class may be guessed."""
    strange = [
        fact
        for fact in facts
        if fact.unknown and not is_lossy(fact) and not _numbers_as_colours(fact)
    ]
    numbered = [fact for fact in strange if not fact.painted]
    painted = [fact for fact in strange if fact.painted]
    found = []
    if numbered:
        found.append(
            _unknown("unknown_value", numbered, _ways_for_numbers(numbered, _meant(facts, scheme)))
        )
    if painted:
        found.append(_unknown("unknown_colour", painted, _ways_for_colours(painted, scheme)))
    return found


def numbers_as_colours(facts: Sequence[SampleFacts], scheme: LabelScheme) -> list[Finding]:
    """RGB masks all of whose strange colours are greys hold numbers three times over."""
    tripled = [fact for fact in facts if not is_lossy(fact) and _numbers_as_colours(fact)]
    if not tripled:
        return []
    values = sorted({value & 255 for fact in tripled for value in fact.unknown})
    known = {label.id for label in scheme.raw}
    numbers = ", ".join(map(str, values[:_NAMED])) + (", ..." if len(values) > _NAMED else "")
    text = (
        f"{len(tripled)} masks are RGB where numbers were due: their colours outside the label scheme "
        f"are greys, {numbers} in all three channels"
    )
    repair = "save one channel alone, as a grey PNG (Pillow: `mask.getchannel(0).save(...)`)"
    if not known.issuperset(values):
        repair += "; some of these numbers are not in the label scheme either"
    items = tuple(f"{fact.sample.mask} ({fact.mask_mode})" for fact in tripled)
    return [Finding("rgb_numbers", "error", text, repair, items, pictures_of(tripled))]


def _numbers_as_colours(fact: SampleFacts) -> bool:
    greys = (value for value in fact.unknown)
    return bool(fact.painted and fact.unknown) and all(
        value >> 16 == value >> 8 & 255 == value & 255 for value in greys
    )


def _unknown(kind: str, facts: Sequence[SampleFacts], repair: str) -> Finding:
    items = tuple(item for fact in facts for item in _items(fact))
    times = sum(len(fact.unknown) for fact in facts)
    text = f"{times} times a mask holds a value outside the label scheme ({len(facts)} masks)"
    return Finding(kind, "error", text, repair, items, pictures_of(facts))


def _items(fact: SampleFacts) -> list[str]:
    """Return a line for each value, the most frequent first, and a count of the many others."""
    ranked = sorted(fact.unknown.items(), key=lambda pair: (-pair[1], pair[0]))
    lines = [
        f"{fact.sample.mask}: {value_name(value, fact.painted)} in {pixels:,} pixels"
        for value, pixels in sorted(ranked[:_NAMED])
    ]
    if len(ranked) > _NAMED:
        pixels = sum(count for _, count in ranked[_NAMED:])
        more = len(ranked) - _NAMED
        lines.append(f"{fact.sample.mask}: {more} further values in {pixels:,} pixels")
    return lines


def _ways_for_numbers(facts: Sequence[SampleFacts], meant: Suggestion | None) -> str:
    values = sorted({value for fact in facts for value in fact.unknown})
    shown = ", ".join(f"{value}: void" for value in values[:_NAMED])
    rest = ", ..." if len(values) > _NAMED else ""
    otherwise = (
        f"params.yaml: the line `map: {{{shown}{rest}}}` under labels leaves them out; with the "
        "name of a class in place of void they count as that class"
    )
    return otherwise if meant is None else f"{meant}. Otherwise, {otherwise}"


def _ways_for_colours(facts: Sequence[SampleFacts], scheme: LabelScheme) -> str:
    colours: Counter[int] = Counter()
    for fact in facts:
        colours.update(fact.unknown)
    meant = suggest_colours(scheme, dict(colours.most_common(_GUESSED)))
    otherwise = (
        "add the colours to the CSV or YAML file of the labels (a row named void counts nowhere)"
    )
    return otherwise if meant is None else f"{meant}. Otherwise, {otherwise}"


def swapped_ids(facts: Sequence[SampleFacts], scheme: LabelScheme) -> list[Finding]:
    """Values that all have a meaning, but probably another: train ids where label ids were due.

    Where some have none, `unknown_values` says the same.
    """
    numbered = [fact for fact in facts if fact.raw_pixels]
    if any(fact.unknown for fact in numbered):
        return []
    meant = _meant(numbered, scheme)
    if meant is None:
        return []
    shown = pictures_of(numbered[:2])
    return [Finding("swapped_ids", "warning", meant.cause, meant.repair, (), shown)]


def _meant(facts: Sequence[SampleFacts], scheme: LabelScheme) -> Suggestion | None:
    """Return what the raw values of all numbered masks together look like."""
    pixels: Counter[int] = Counter()
    for fact in facts:
        if not is_lossy(fact):
            pixels.update(fact.raw_pixels)
    return suggest_mapping(scheme, pixels)
