"""report.html of `segpipe score`: the scores with pictures of some pairs, and how to score again.

Shapes: H and W of the masks of a pair.
"""

import hashlib
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from PIL import Image

from segpipe.bundle_format import file_sha256
from segpipe.evaluation.label_pair import PairContext
from segpipe.evaluation.report import EvaluationReport
from segpipe.labels.scheme import LabelScheme
from segpipe.raw.pictures.files import read_image, read_mask
from segpipe.raw.sample import Sample
from segpipe.rendering.choice import worst_median_best
from segpipe.rendering.comparison import Comparison, compared, joined_entries
from segpipe.rendering.layout import Picture, scaled
from segpipe.rendering.report.examples import Example
from segpipe.rendering.report.report import write_report
from segpipe.rendering.report.reproduction import Reproduction
from segpipe.results.evaluation_tables import ImageRow
from segpipe.results.records import REPORT
from segpipe.runtime.console import say
from segpipe.runtime.errors import DataError
from segpipe.runtime.version import package_version

_SAME_SHAPE = 0.02  # by which the proportions of a photograph and of its masks may differ


def write_score_report(
    folder: Path,
    report: EvaluationReport,
    samples: Sequence[Sample],
    context: PairContext,
    photographs: Mapping[str, Path],
    reproduction: Reproduction,
) -> None:
    """Write report.html beside the files of `report`, which lie in `folder`.

    samples: the scored pairs. photographs: files by the name of their sample; without one the masks
    are shown alone.
    """
    ranked = [row for row in report.tables[ImageRow] if isinstance(row, ImageRow)]
    scores = {row.name: row.miou for row in ranked if row.miou is not None}
    by_name = {sample.name: sample for sample in samples}
    examples, shown = [], []
    for kind, chosen in worst_median_best([by_name[name] for name in scores]).items():
        for sample in chosen:
            found = _compared(sample, context, photographs.get(sample.name))
            examples.append(Example(kind, sample.name, found.panels))
            shown.append(found)
    write_report(
        folder / REPORT.name,
        folder,
        examples=examples,
        legend=joined_entries(shown, context.scheme),
        reproduction=reproduction,
    )


def score_reproduction(
    samples: Sequence[Sample],
    context: PairContext,
    scheme: str | LabelScheme,
    options: Mapping[str, object],
) -> Reproduction:
    """Return the command that scores again, and the digests of what it read.

    options: the further options of the command by their names there; None or empty ones are left out.
    """
    words = ["segpipe", "score", str(context.predictions), str(context.truth)]
    words += ["--scheme", scheme if isinstance(scheme, str) else scheme.name]
    for name, value in options.items():
        if value:
            values = value if isinstance(value, list | tuple) else (value,)
            words += [f"--{name}", *map(str, values)]
    return Reproduction(
        command=shlex.join(words),
        facts={
            "version of segpipe": package_version() or "not installed as a package",
            "label scheme": context.scheme.name,
            "digest of the label scheme": _digest([repr(context.scheme)]),
            "digest of the predictions": _files_digest(
                context.predictions, (sample.image for sample in samples)
            ),
            "digest of the truth": _files_digest(
                context.truth,
                (name for sample in samples for name in (sample.mask, sample.instances) if name),
            ),
        },
    )


def _compared(sample: Sample, context: PairContext, photograph: Path | None) -> Comparison:
    """Return a pair as panels; masks are brought to the size of their photograph by nearest."""
    prediction_HW = read_mask(context.predictions / sample.image, context.written)[0]
    truth_HW = read_mask(context.truth / str(sample.mask), context.scheme)[0]
    image_HW3 = None if photograph is None else _photograph(photograph, truth_HW.shape)
    if image_HW3 is not None:
        height, width = image_HW3.shape[:2]
        prediction_HW, truth_HW = (
            scaled(mask_HW, height, width, Image.Resampling.NEAREST)
            for mask_HW in (prediction_HW, truth_HW)
        )
    return compared(image_HW3, truth_HW, prediction_HW, context.scheme, sample.name)


def _photograph(path: Path, shape: tuple[int, ...]) -> Picture | None:
    """Return a photograph; None, with a warning, where it cannot be read or is not of these masks."""
    try:
        image_HW3 = read_image(path)
    except DataError as error:
        say(f"warning: {error}; its masks are shown without it")
        return None
    (height, width), (tall, wide) = image_HW3.shape[:2], shape
    if abs(height * wide / (width * tall) - 1) <= _SAME_SHAPE:
        return image_HW3
    say(
        f"warning: {path}: has {height} x {width} pixels, its masks {tall} x {wide}, which is another "
        "shape; they are shown without it"
    )
    return None


def _files_digest(folder: Path, names: Iterable[str]) -> str:
    """Return the SHA-256 of the lines that `sha256sum` prints for the files, sorted by name."""
    return _digest(f"{file_sha256(folder / name)}  {name}\n" for name in sorted(names))


def _digest(lines: Iterable[str]) -> str:
    return hashlib.sha256("".join(lines).encode()).hexdigest()
