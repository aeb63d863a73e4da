"""A few of many: which ones stand for all."""


def evenly_spread(total: int, number: int) -> list[int]:
    """Return `number` of the places 0 to total - 1, evenly spread from 0 on; all where they are fewer."""
    number = min(number, total)
    return [place * total // number for place in range(number)]
