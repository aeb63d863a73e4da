"""Scores of each group of images: a city, a drive, a scene, a tile."""

from collections import Counter

from segpipe.evaluation.measure import MeasureSummary, rounded, sums_by_group
from segpipe.evaluation.measures.by_image import CountsByImage
from segpipe.metrics.scores import scores_of_counts
from segpipe.results.evaluation_tables import GroupRow


class Groups(CountsByImage):
    """The counts of each group, scored like those of the split."""

    def summary(self) -> MeasureSummary:
        """Return groups.csv, the worst group first."""
        images, rows = Counter(sample.group for sample in self.samples), []
        for group, counts_K3 in sums_by_group(self.samples, self.counts_NK3).items():
            found = scores_of_counts(counts_K3)
            rows.append(
                GroupRow(
                    group=group,
                    images=images[group],
                    miou=rounded(found.miou),
                    pixel_accuracy=rounded(found.pixel_accuracy),
                    mean_accuracy=rounded(found.mean_accuracy),
                    mean_dice=rounded(found.mean_dice),
                    pixels=int(found.pixels_K.sum()),
                    class_iou=[rounded(iou) for iou in found.iou_K],
                )
            )
        rows.sort(key=lambda row: (row.miou is None, row.miou or 0.0, row.group))
        return MeasureSummary(scores={"protocol": {"groups": len(rows)}}, tables={GroupRow: rows})
