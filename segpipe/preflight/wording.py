"""How findings name samples, sizes and values."""

from collections.abc import Sequence

from segpipe.preparation.sample_stats import SampleStats
from segpipe.raw.sample import Side

# So many pictures a finding asks for; the report has room for about a dozen in all.
_PICTURES = 4


def place(stats: SampleStats) -> str:
    """Return split and name of a sample, which together are unique."""
    return f"{stats.split}/{stats.sample.name}"


def pictures_of(samples: Sequence[SampleStats]) -> tuple[str, ...]:
    """Return the first offenders, of which the report shall show pictures."""
    return tuple(place(stats) for stats in samples[:_PICTURES])


def size(side: Side) -> str:
    """Return height x width."""
    return f"{side[0]}x{side[1]}"


def share(part: float, whole: float) -> str:
    """Return a share as per cent, with more digits where it is small."""
    percent = 100 * part / whole if whole else 0.0
    return "0 %" if percent == 0 else f"{percent:.1f} %" if percent >= 1 else f"{percent:.2g} %"


def value_name(value: int, painted: bool) -> str:
    """Return a raw value as a person writes it: a number, or red,green,blue."""
    return f"colour {value >> 16},{value >> 8 & 255},{value & 255}" if painted else f"value {value}"
