"""EvaluationCounts: the list of measures, and what they have counted."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from torch import Tensor

from segpipe.evaluation.measure import (
    LabelMeasure,
    LogitMeasure,
    MeasureSummary,
    ScoredImage,
)
from segpipe.evaluation.measures.boundaries import Boundaries
from segpipe.evaluation.measures.categories import Categories, class_categories
from segpipe.evaluation.measures.class_probabilities import ClassProbabilities
from segpipe.evaluation.measures.confusion import Confusion
from segpipe.evaluation.measures.foreground import Foreground
from segpipe.evaluation.measures.groups import Groups
from segpipe.evaluation.measures.image_means import ImageMeans
from segpipe.evaluation.measures.instances import Instances
from segpipe.evaluation.measures.probabilities import Probabilities
from segpipe.evaluation.measures.temporal import Temporal
from segpipe.evaluation.measures.truth_pixels import TruthPixels
from segpipe.labels.scheme import LabelScheme
from segpipe.metrics.instances import instance_sets
from segpipe.metrics.precision_recall import FOREGROUND
from segpipe.results.records import Record


@dataclass
class EvaluationCounts:
    """What an evaluation has counted; memory grows with the images by some K numbers of each.

    withheld: the names of the samples whose truth is withheld, which no measure has seen.
    """

    label_measures: Sequence[LabelMeasure]
    logit_measures: Sequence[LogitMeasure]
    withheld: list[str] = field(default_factory=list)

    @classmethod
    def of(
        cls,
        classes: Sequence[str],
        one_logit: bool,
        boundaries: Sequence[float] = (),
        probabilities: bool = False,
        scheme: LabelScheme | None = None,
        temperature: float = 1.0,
        fitted_on: Collection[str] = (),
        temporal: bool = False,
        fitted_views: bool = True,
    ) -> Self:
        """Return empty counts of all measures that are asked for; a new measure is listed here.

        one_logit: whether the network has one logit a pixel, which scores the second class.
        boundaries: widths in percent of the image's diagonal, as `Boundaries` takes them.
        probabilities: whether to count them, which takes longer than to count labels.
        scheme: where its labels have categories, or objects as in Cityscapes, they are scored as well.
        temperature, fitted_on, fitted_views: of the probabilities, as `ClassProbabilities` takes them.
        temporal: whether images come with the labels of the frame before them.
        """
        labels: list[LabelMeasure] = [
            Confusion(classes),
            ImageMeans(classes),
            Groups(classes),
            TruthPixels(),
        ]
        logits: list[LogitMeasure] = []
        if scheme is not None:
            categories = class_categories(scheme)
            if any(categories):
                labels += [Categories(categories)]
            if sets := instance_sets(scheme, categories):
                labels += [Instances(sets)]
        if temporal:
            labels += [Temporal(classes)]
        if boundaries:
            labels += [Boundaries(classes, boundaries)]
        if probabilities:
            logits += [ClassProbabilities(classes, temperature, fitted_on, fitted_views)]
        if one_logit:
            labels += [Foreground(classes)]
            logits += [Probabilities(classes[FOREGROUND])]
        return cls(labels, logits)

    @property
    def needs_instances(self) -> bool:
        """Whether a measure asks which object each pixel shows."""
        return any(isinstance(measure, Instances) for measure in self.label_measures)

    def update(self, image: ScoredImage) -> None:
        """Count the labels of an image."""
        for by_labels in self.label_measures:
            by_labels.update(image)

    def update_logits(self, strip: ScoredImage, logits_KRw: Tensor) -> None:
        """Count the logits of some rows of an image; they add up over its strips."""
        for by_logits in self.logit_measures:
            by_logits.update(strip, logits_KRw)

    def merge(self, other: Self) -> None:
        """Add what another one, of the same measures, has counted on samples that come after."""
        for labels, other_labels in zip(self.label_measures, other.label_measures, strict=True):
            labels.merge(other_labels)
        for logits, other_logits in zip(self.logit_measures, other.logit_measures, strict=True):
            logits.merge(other_logits)
        self.withheld += other.withheld

    def summary(self) -> MeasureSummary:
        """Return what all measures say."""
        scores: dict[str, Any] = {}
        columns: dict[str, Mapping[str, Any]] = {}
        of_groups: dict[str, Mapping[str, Any]] = {}
        of_counts: dict[str, Mapping[str, Any]] = {}
        tables: dict[type[Record], Sequence[Record]] = {}
        for measure in (*self.label_measures, *self.logit_measures):
            found = measure.summary()
            scores = _united(scores, found.scores)
            columns |= found.image_columns
            of_groups |= found.group_columns
            of_counts |= found.count_columns
            tables |= found.tables
        return MeasureSummary(scores, columns, of_groups, of_counts, tables)


def _united(scores: Mapping[str, Any], others: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys of both, also of the mappings within; ValueError where both have a value."""
    united = dict(scores)
    for key, value in others.items():
        if key not in united:
            united[key] = value
        elif isinstance(value, Mapping):
            united[key] = _united(united[key], value)
        else:
            raise ValueError(f"two measures have the score {key}")
    return united
