"""Masks of train ids where label ids were due, and the reverse.

All functions are pure: they judge from the values of a whole data set and their pixels alone.
"""

from collections.abc import Mapping

from segpipe.labels.load import built_in_scheme
from segpipe.labels.scheme import VOID, LabelScheme

# Cityscapes by train ids, the numbers of its labelTrainIds files, and by label ids.
TRAIN_IDS, LABEL_IDS = "cityscapes19_trainids", "cityscapes19"
# What -1 becomes in files of 8 and of 16 bits; also the usual numbers of void.
MINUS_ONE = frozenset({255, 65535})
# Of a street scene about a tenth is void in label ids (the bonnet, the margin); of train ids that are
# read as label ids more than half (road and building become void).
_MUCH_VOID = 0.3


def looks_like_train_ids(scheme: LabelScheme, values: Mapping[int, int]) -> bool:
    """Tell whether masks of a data set hold train ids, although the scheme wants label ids.

    values: all raw values with their pixels. Train ids are mostly values that the scheme knows, with
    another meaning, so the whole must speak: a third of the train ids occurs, nothing stands above
    them but 255 or 65535, though most classes have label ids up there, and much of the area would be
    void or unknown.
    """
    meant = meaning_of_train_ids(scheme)
    wanted = {label.id for label in scheme.raw if label.name in meant.values()}
    counted = {label.id for label in scheme.raw if label.train_id != VOID}
    present = {value: pixels for value, pixels in values.items() if value not in MINUS_ONE}
    beyond = wanted - meant.keys()
    few = len(present) < max(2, len(meant) / 3)
    if few or not present.keys() <= meant.keys() or 2 * len(beyond) < len(wanted):
        return False
    lost = sum(pixels for value, pixels in present.items() if value not in counted)
    return lost >= _MUCH_VOID * sum(present.values())


def looks_like_label_ids(scheme: LabelScheme, values: Mapping[int, int]) -> bool:
    """Tell whether masks hold Cityscapes label ids, although the scheme wants train ids.

    Label ids go up to 33, where the train ids end with 18: at least two of those beyond occur, and
    nothing that is neither a label id nor 255 or 65535.
    """
    by_train_id = {label.id: label.name for label in built_in_scheme(TRAIN_IDS).raw}
    names = {label.id: label.name for label in scheme.raw if label.train_id != VOID}
    if len(names) < 2 or any(by_train_id.get(value) != name for value, name in names.items()):
        return False
    label_ids = {label.id for label in built_in_scheme(LABEL_IDS).raw}
    present = set(values) - MINUS_ONE
    return present <= label_ids and len(present - by_train_id.keys()) >= 2


def meaning_of_train_ids(scheme: LabelScheme) -> dict[int, str]:
    """Return the raw label of the scheme that each train id stands for.

    For label ids of Cityscapes the official train ids, for others the order of the classes.
    """
    official = {label.name: label.id for label in built_in_scheme(LABEL_IDS).raw}
    ours = {label.name: label.id for label in scheme.raw}
    trained = [label for label in built_in_scheme(TRAIN_IDS).raw if label.train_id != VOID]
    if all(ours.get(label.name) == official[label.name] for label in trained):
        return {label.id: label.name for label in trained}
    by_id = {label.id: label.name for label in scheme.raw}
    return {k: by_id[value] for k, value in enumerate(scheme.raw_ids_K.tolist())}
