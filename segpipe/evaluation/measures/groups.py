"""Scores of each group of images: a city, a drive, a scene, a tile."""

from segpipe.evaluation.measure import MeasureSummary, rounded
from segpipe.evaluation.measures.by_image import ConfusionByImage
from segpipe.metrics.scores import scores
from segpipe.results.evaluation_tables import GroupRow


class Groups(ConfusionByImage):
    """The confusion matrix of each group, scored like that of the split."""

    def summary(self) -> MeasureSummary:
        """Return groups.csv, the worst group first."""
        members: dict[str, list[int]] = {}
        for place, sample in enumerate(self.samples):
            members.setdefault(sample.group, []).append(place)
        confusion_NKP, rows = self.confusion_NKP, []
        for group, places in members.items():
            found = scores(confusion_NKP[places].sum(0))
            rows.append(
                GroupRow(
                    group=group,
                    images=len(places),
                    miou=rounded(found.miou),
                    pixel_accuracy=rounded(found.pixel_accuracy),
                    mean_accuracy=rounded(found.mean_accuracy),
                    mean_dice=rounded(found.mean_dice),
                    pixels=int(found.pixels_K.sum()),
                )
            )
        rows.sort(key=lambda row: (row.miou is None, row.miou or 0.0, row.group))
        return MeasureSummary(scores={"protocol": {"groups": len(rows)}}, tables={GroupRow: rows})
