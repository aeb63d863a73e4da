"""Rules about the training that is planned: a batch or a memory that cannot be had."""

from collections.abc import Mapping, Sequence
from typing import Any

from segpipe.preflight.splits import count_splits
from segpipe.preparation.sample_stats import SampleStats
from segpipe.runtime.findings import Finding


def large_batch(
    samples: Sequence[SampleStats], batch_size: int | None, copies: int
) -> list[Finding]:
    """A batch larger than the training split can never be filled."""
    rows = count_splits(samples)["train"] * (1 + copies)
    if batch_size is None or not 0 < rows < batch_size:
        return []
    text = f"train.batch_size is {batch_size}, but the training split has {rows} samples"
    repair = f"set train.batch_size in params.yaml to {rows} or less, or add samples"
    return [Finding("large_batch", "warning", text, repair)]


def unfit_saturation(channels: int, saturation: tuple[float, float]) -> list[Finding]:
    """Training refuses to change the saturation of images without red, green and blue.

    channels: of the images. saturation: the range of train.augment.
    """
    if channels == 3 or saturation == (1.0, 1.0):
        return []
    text = (
        f"train.augment.saturation is {list(saturation)}, and images of {channels} "
        f"channel{'s' * (channels > 1)} have no red, green and blue"
    )
    repair = "set `saturation: [1.0, 1.0]` under train.augment in params.yaml"
    return [Finding("saturation", "error", text, repair)]


def too_large(forecast: Mapping[str, Any] | None) -> list[Finding]:
    """Return a warning where the forecast needs more memory than there is.

    forecast: with at least total_mb and available_mb (numbers, or None where it is not known), and
    device, batch_size, height, width for the words; None where there is no forecast.
    """
    if not forecast:
        return []
    total, available = forecast.get("total_mb"), forecast.get("available_mb")
    if total is None or available is None or total <= available:
        return []
    text = (
        f"training will need about {total:,.0f} MB of memory, but {forecast.get('device', 'the device')} "
        f"has {available:,.0f} MB free"
    )
    repair = (
        "raise train.accumulation or lower train.batch_size, the crop (train.augment.crop_height, "
        "crop_width) or the model's width in params.yaml"
    )
    return [Finding("memory", "warning", text, repair)]
