"""The rule about memory: a training that will not fit is better known before it starts."""

from collections.abc import Mapping
from typing import Any

from segpipe.runtime.findings import Finding


def too_large(forecast: Mapping[str, Any] | None) -> list[Finding]:
    """Return a warning where the forecast needs more memory than there is.

    forecast: with at least total_mb and available_mb (numbers, or None where it is not known), and
    device, batch_size, height, width for the words; None where there is no forecast.
    """
    if not forecast or not exceeds(forecast):
        return []
    total, available = forecast["total_mb"], forecast["available_mb"]
    text = (
        f"training will need about {total:,.0f} MB of memory, but {forecast.get('device', 'the device')} "
        f"has {available:,.0f} MB free"
    )
    repair = (
        "raise train.accumulation or lower train.batch_size, the crop (train.augment.crop_height, "
        "crop_width) or the model's width in params.yaml"
    )
    return [Finding("memory", "warning", text, repair)]


def exceeds(forecast: Mapping[str, Any]) -> bool:
    """Whether more memory is needed than is available, as far as both are known."""
    total, available = forecast.get("total_mb"), forecast.get("available_mb")
    return total is not None and available is not None and total > available
