"""Which images are shown: the first of a ranking, spread over groups and over the stretches of one."""

from collections.abc import Sequence

from segpipe.raw.sample import Sample

_EACH = 3


def spread_choice(ranked: Sequence[Sample], number: int) -> list[Sample]:
    """Return `number` of the samples, from different groups as far as there are groups, in their order.

    The groups take turns, in the order of their first sample. Those of one group lie apart in the
    order of its names, since neighbouring frames of a drive show the same: of `wanted` from `size`
    samples any two are at least `size // (2 * wanted)` places apart.
    """
    groups: dict[str, list[Sample]] = {}
    for sample in ranked:
        groups.setdefault(sample.group, []).append(sample)
    wanted = dict.fromkeys(groups, 0)
    left = min(number, len(ranked))
    while left > 0:
        for group, members in groups.items():
            if left > 0 and wanted[group] < len(members):
                wanted[group] += 1
                left -= 1
    chosen = {
        sample.name
        for group, members in groups.items()
        for sample in _apart(members, wanted[group])
    }
    return [sample for sample in ranked if sample.name in chosen]


def _apart(members: Sequence[Sample], wanted: int) -> list[Sample]:
    """Return the first `wanted` of a group that are not near each other in the order of names.

    Each sample that is taken bars fewer than size / wanted of them, so there are always enough.
    """
    names = sorted(sample.name for sample in members)
    place = {name: number for number, name in enumerate(names)}
    distance = max(1, len(members) // (2 * max(wanted, 1)))
    taken: list[Sample] = []
    for sample in members:
        near = (abs(place[sample.name] - place[other.name]) < distance for other in taken)
        if len(taken) < wanted and not any(near):
            taken.append(sample)
    return taken


def worst_median_best(ranked: Sequence[Sample]) -> dict[str, list[Sample]]:
    """Return up to three samples each of the beginning, the middle and the end of a ranking.

    ranked: the worst first. They are spread as `spread_choice` does, and none comes twice.
    """
    each = max(1, min(_EACH, len(ranked) // 3))
    worst = spread_choice(ranked, each)
    best = spread_choice([one for one in reversed(ranked) if one not in worst], each)
    left = [place for place, one in enumerate(ranked) if one not in worst and one not in best]
    left.sort(key=lambda place: abs(2 * place - len(ranked) + 1))
    middle = spread_choice([ranked[place] for place in left[: 4 * each]], each)
    return {"worst": worst, "median": middle, "best": best}
