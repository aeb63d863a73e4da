"""Whether an exported file gives the scores of its bundle, and how fast both are."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segpipe.evaluation.evaluate import evaluate
from segpipe.inference.predictor import Predictor
from segpipe.raw.sample import Sample
from segpipe.runtime.errors import DataError, ExportError

_ROUNDS, _RUNS, _SECONDS = 3, 10, 10.0  # runs of a round, and seconds of all, at the most
# Threads that have just computed go on spinning and take time from those of another library.
_PAUSE = 0.2


def most_difference(int8: bool) -> float:
    """Return by how much the mIoU, a fraction, may differ from that of the bundle."""
    return 0.01 if int8 else 0.001


@dataclass(frozen=True)
class Comparison:
    """Scores of a bundle and of the file that was made of it, on the same images.

    miou, file_miou: fractions. iou_difference: of the file less the bundle, by class; None where one
    of both has none.
    """

    images: int
    miou: float
    file_miou: float
    iou_difference: dict[str, float | None]

    @property
    def difference(self) -> float:
        """The mIoU of the file less that of the bundle."""
        return self.file_miou - self.miou


def compare(bundle: Predictor, file: Predictor, samples: Sequence[Sample], raw: Path) -> Comparison:
    """Score both on raw samples; DataError when these have no truth, or as `evaluate` does."""
    own, exported = (evaluate(one, samples, raw).summary().scores for one in (bundle, file))
    if own["miou"] is None or exported["miou"] is None:
        raise DataError(
            "the truth of these images is withheld or void, so that bundle and file cannot be compared"
        )
    return Comparison(
        images=len(samples),
        miou=own["miou"],
        file_miou=exported["miou"],
        iou_difference={
            name: _difference(exported["classes"][name]["iou"], scores["iou"])
            for name, scores in own["classes"].items()
        },
    )


def _difference(found: float | None, expected: float | None) -> float | None:
    return None if found is None or expected is None else round(found - expected, 6)


def refuse_other_scores(found: Comparison, int8: bool) -> None:
    """Raise ExportError, with the figures, when the mIoU differs by more than is allowed."""
    most = most_difference(int8)
    if abs(found.difference) <= most:
        return
    classes = {name: value for name, value in found.iou_difference.items() if value is not None}
    worst = sorted(classes, key=lambda name: -abs(classes[name]))[:3]
    shown = ", ".join(f"{name} {100 * classes[name]:+.2f}" for name in worst)
    repair = "export without --int8" if int8 else "predict with the bundle"
    raise ExportError(
        f"nothing was written: on {found.images} validation images the exported file has mIoU "
        f"{100 * found.file_miou:.2f} % and the bundle {100 * found.miou:.2f} %, which differ by more "
        f"than {100 * most:g} (IoU by class, most changed first: {shown}); {repair}"
    )


def latencies(predictors: Sequence[Predictor]) -> tuple[list[float], int]:
    """Return for each the milliseconds in which it labels an image of the training's size, and the runs.

    The median of rounds in turns, so that what else the machine does strikes all alike; two runs at the
    begin of each round are not counted.
    """
    spec, frames = predictors[0].input, predictors[0].frames
    random = np.random.default_rng(0)
    shape = (frames, spec.height, spec.width, len(spec.mean))
    image = random.integers(0, 256, shape).astype(np.uint8)
    if spec.files.dtype is not np.uint8:
        image = (image / 255).astype(np.float16)
    taken: list[list[float]] = [[] for _ in predictors]
    share = _SECONDS / _ROUNDS / len(predictors)
    for _ in range(_ROUNDS):
        for predictor, times in zip(predictors, taken, strict=True):
            time.sleep(_PAUSE)
            times += _timed(predictor, image, share)
    return [round(1000 * median(times), 3) for times in taken], min(map(len, taken))


def _timed(predictor: Predictor, image: NDArray[Any], seconds: float) -> list[float]:
    """Return the seconds of each run, after two that are not counted; one run at the least."""
    times: list[float] = []
    begin = time.perf_counter()
    for run in range(_RUNS + 2):
        start = time.perf_counter()
        predictor.predict(image)
        if run >= 2:
            times.append(time.perf_counter() - start)
            if time.perf_counter() - begin > seconds:
                break
    return times
