"""Instance-weighted IoU (iIoU) of Cityscapes: what is right of each object counts alike, large or small.

As `evalPixelLevelSemanticLabeling` of cityscapesscripts computes it: each true pixel of an object has
the weight (average size of objects of its label) / (size of the object); false alarms, which belong to
no object, count as pixels (https://www.cityscapes-dataset.com/benchmarks, "Pixel-level semantic
labeling task").

Shapes: H, W of an image; K classes, P = K + 1 answers, the classes and none of them; R sets of classes,
each with a score of its own; A objects of an image.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segpipe.labels.scheme import VOID, LabelScheme
from segpipe.metrics.scores import Floats, ratio

# The average pixels of an object in the training images, by label id and name: `avgClassSize` there.
AVERAGE_PIXELS: Mapping[tuple[int, str], float] = {
    (24, "person"): 3462.4756337644,
    (25, "rider"): 3930.4788056518,
    (26, "car"): 12794.0202738185,
    (27, "truck"): 27855.1264367816,
    (28, "bus"): 35732.1511111111,
    (29, "caravan"): 36771.8241758242,
    (30, "trailer"): 16926.9763313609,
    (31, "train"): 67583.7075812274,
    (32, "motorcycle"): 6298.7200839748,
    (33, "bicycle"): 4672.3249222261,
}
# An object's pixels hold 1000 times its label id and a number from 0; those of a group, and of labels
# without objects, the label id alone.
_LABEL_STEP = 1000


@dataclass(frozen=True)
class InstanceSets:
    """The sets of classes that have a score.

    names: of the classes, then of the categories, R. classes: how many of them are classes.
    sets_RK: which classes belong to a set. train_ids, averages: by label id, of what has objects.
    """

    names: tuple[str, ...]
    classes: int
    sets_RK: NDArray[np.bool_]
    train_ids: Mapping[int, int]
    averages: Mapping[int, float]


def instance_sets(scheme: LabelScheme, categories_K: Sequence[str | None]) -> InstanceSets | None:
    """Return the classes and categories all of whose labels have objects; None where there are none.

    Labels have objects where id and name are those of Cityscapes.
    """
    counted = [label for label in scheme.raw if label.train_id != VOID]
    with_objects = [label for label in counted if (label.id, label.name) in AVERAGE_PIXELS]
    without = {label.train_id for label in counted if label not in with_objects}
    found = {name: {k} for k, name in enumerate(scheme.classes) if k not in without}
    sets: list[tuple[str, set[int]]] = list(found.items())
    for category in dict.fromkeys(name for name in categories_K if name is not None):
        members = {k for k, name in enumerate(categories_K) if name == category}
        if not members & without:
            sets.append((category, members))
    if not sets:
        return None
    return InstanceSets(
        names=tuple(name for name, _ in sets),
        classes=len(found),
        sets_RK=np.array([[k in one for k in range(scheme.num_classes)] for _, one in sets]),
        train_ids={label.id: label.train_id for label in with_objects},
        averages={label.id: AVERAGE_PIXELS[label.id, label.name] for label in with_objects},
    )


def instance_counts(
    prediction_HW: NDArray[np.uint8],
    instances_HW: NDArray[np.int32],
    confusion_KP: NDArray[np.int64],
    sets: InstanceSets,
) -> Floats:
    """Return what an image adds to each score, (R, 3): weighted hits, weighted misses, false alarms.

    prediction_HW: train ids; VOID for no answer. instances_HW: as `_gtFine_instanceIds.png` holds it.
    confusion_KP: of the same image.
    """
    objects_A, pixels_AP = _pixels_by_object(prediction_HW, instances_HW, len(confusion_KP))
    labels_A = objects_A // _LABEL_STEP
    known_A = np.isin(labels_A, list(sets.train_ids))
    labels, pixels_AP = labels_A[known_A].tolist(), pixels_AP[known_A]
    size_A = pixels_AP.sum(1)
    weight_A = np.array([sets.averages[label] for label in labels]) / size_A
    train_id_A = np.array([sets.train_ids[label] for label in labels], np.int64)
    own_RA = sets.sets_RK[:, train_id_A]
    hits_RA = np.where(own_RA, sets.sets_RK.astype(np.int64) @ pixels_AP[:, :-1].T, 0)
    misses_RA = np.where(own_RA, size_A, 0) - hits_RA
    square_KK = confusion_KP[:, :-1]
    alarms_R = [square_KK[~one_K][:, one_K].sum() for one_K in sets.sets_RK]
    return np.stack([hits_RA @ weight_A, misses_RA @ weight_A, np.array(alarms_R, float)], 1)


def instance_iou(counts_R3: Floats) -> Floats:
    """Return the instance-weighted IoU of sums of `instance_counts`, (..., R); NaN for 0 / 0."""
    return ratio(counts_R3[..., 0], counts_R3.sum(-1))


def _pixels_by_object(
    prediction_HW: NDArray[np.uint8], instances_HW: NDArray[np.int32], classes: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the values of the objects, (A,), and their pixels by answer, (A, P)."""
    # Cityscapes' own `>`: a value of 1000 would be of label 1, which has no objects.
    inside_HW = instances_HW > _LABEL_STEP
    answer_N = np.minimum(prediction_HW[inside_HW], classes).astype(np.int64)
    pairs_N = instances_HW[inside_HW].astype(np.int64) * (classes + 1) + answer_N
    pairs, pixels = np.unique(pairs_N, return_counts=True)
    objects_A, place = np.unique(pairs // (classes + 1), return_inverse=True)
    pixels_AP = np.zeros((len(objects_A), classes + 1), np.int64)
    pixels_AP[place, pairs % (classes + 1)] = pixels
    return objects_A, pixels_AP
