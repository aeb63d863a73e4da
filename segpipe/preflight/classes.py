"""Rules about classes: absent ones, void, masks that show one thing alone."""

from collections.abc import Mapping, Sequence

from segpipe.labels.label_text import PROPOSED_NAME
from segpipe.labels.scheme import VOID, LabelScheme
from segpipe.preflight.wording import pictures_of, place, share
from segpipe.preparation.sample_stats import SampleStats
from segpipe.raw.sample import SPLITS
from segpipe.runtime.findings import Finding, about

_MOST_VOID = 0.5  # share of a split's pixels
_FLAT_SHARE = 0.9  # share of the masks that show one class alone


def absent_classes(samples: Sequence[SampleStats], scheme: LabelScheme) -> list[Finding]:
    """A class that training never sees cannot be learnt; one that validation lacks has no score."""
    seen = {split: _seen(masks) for split, masks in _judged(samples).items() if _seen(masks)}
    if "train" not in seen:
        return []
    everywhere = set.union(*seen.values())
    found = []
    nowhere = [name for k, name in enumerate(scheme.classes) if k not in everywhere]
    if nowhere:
        text = f"{len(nowhere)} of {scheme.num_classes} classes are in no mask at all"
        repair = (
            "check the values of the masks against the label scheme; if these classes do not occur, "
            "take them out of the scheme"
        )
        found.append(Finding("absent_everywhere", "warning", text, repair, tuple(nowhere)))
    untaught = sorted(everywhere - seen["train"])
    if untaught:
        text = (
            f"{len(untaught)} classes are never seen in training, but are in another split: the model "
            "cannot learn them, and each gets the score 0 there"
        )
        repair = "move samples that show them to the training split, or make the classes void"
        found.append(Finding("untaught_class", "warning", text, repair, _named(untaught, scheme)))
    for split in ("val", "test"):
        missing = sorted(seen["train"] - seen.get(split, everywhere))
        if missing:
            text = f"{len(missing)} classes are in no mask of {split}, so they get no score there"
            repair = f"move samples that show them to {split}, or share them out by ratio"
            items = _named(missing, scheme)
            found.append(Finding("class_absent", "warning", text, repair, items))
    return found


def unnamed_classes(scheme: LabelScheme) -> list[Finding]:
    """A class file that nobody has filled in works, but its scores say little."""
    return about(
        [
            name
            for name in scheme.classes
            if name.startswith(PROPOSED_NAME) and name.removeprefix(PROPOSED_NAME).isdecimal()
        ],
        "unnamed_class",
        "{n} classes have the names that were proposed for them",
        "write what they show into the class file, and `void` for what counts nowhere",
        severity="warning",
    )


def void_share(samples: Sequence[SampleStats]) -> list[Finding]:
    """Void counts nowhere: a mask of void alone teaches nothing, a split of void is useless."""
    found = []
    empty: list[SampleStats] = []
    for split, masks in _judged(samples).items():
        void = sum(stats.train_pixels.get(VOID, 0) for stats in masks)
        pixels = sum(sum(stats.train_pixels.values()) for stats in masks)
        if void == pixels:
            found.append(_only_void(split, masks))
            continue
        empty += [stats for stats in masks if set(stats.train_pixels) == {VOID}]
        if void > _MOST_VOID * pixels:
            text = f"{share(void, pixels)} of the pixels of {split} are void and count nowhere"
            repair = (
                "check whether labels.map or the label scheme makes void what should be a class"
            )
            worst = sorted(masks, key=lambda stats: -_void_of(stats))[:10]
            items = tuple(
                f"{stats.sample.mask}: {100 * _void_of(stats):.0f} % void" for stats in worst
            )
            found.append(Finding("much_void", "warning", text, repair, items, pictures_of(worst)))
    if empty:
        text = f"{len(empty)} masks are void all over: their images teach and score nothing"
        repair = "label them, or move image and mask away"
        items = tuple(str(stats.sample.mask) for stats in empty)
        found.append(Finding("void_mask", "warning", text, repair, items, pictures_of(empty)))
    return found


def one_class(samples: Sequence[SampleStats], scheme: LabelScheme) -> list[Finding]:
    """Where all masks show the same class, or nearly each mask one alone, something went wrong."""
    masks = [stats for members in _judged(samples).values() for stats in members]
    valid = [(stats, _seen([stats])) for stats in masks if _seen([stats])]
    if scheme.num_classes < 2 or not valid:
        return []
    all_seen = set.union(*(seen for _, seen in valid))
    if len(all_seen) == 1:
        name = scheme.classes[next(iter(all_seen))]
        text = f"all {len(valid)} masks show the class {name} and nothing else"
        repair = (
            "check that these are the right masks, and their values against the label scheme: there is "
            "nothing to tell apart"
        )
        first = [stats for stats, _ in valid]
        return [Finding("one_class", "error", text, repair, (name,), pictures_of(first[:2]))]
    # A window of a raster is small: that it shows one class alone is no wonder.
    whole = [(stats, seen) for stats, seen in valid if stats.sample.window is None]
    flat = [
        (stats, seen) for stats, seen in whole if len(seen) == 1 and VOID not in stats.train_pixels
    ]
    if not whole or len(flat) <= _FLAT_SHARE * len(whole):
        return []
    text = f"{len(flat)} of {len(whole)} masks show one class each and nothing else"
    repair = "check that the masks are labelled; images sorted by class are no segmentation"
    items = tuple(f"{stats.sample.mask}: {scheme.classes[min(seen)]}" for stats, seen in flat)
    offenders = [stats for stats, _ in flat]
    return [Finding("flat_masks", "warning", text, repair, items, pictures_of(offenders))]


def _judged(samples: Sequence[SampleStats]) -> Mapping[str, list[SampleStats]]:
    """Return the sound masks by split, without splits most of whose masks have an error already."""
    judged = {}
    for split in SPLITS:
        masks = [stats for stats in samples if stats.split == split and stats.sample.mask]
        sound = [stats for stats in masks if stats.train_pixels and not stats.unknown]
        if sound and 2 * len(sound) >= len(masks):
            judged[split] = sound
    return judged


def _seen(samples: Sequence[SampleStats]) -> set[int]:
    return {
        k for stats in samples for k, pixels in stats.train_pixels.items() if pixels and k != VOID
    }


def _named(train_ids: Sequence[int], scheme: LabelScheme) -> tuple[str, ...]:
    return tuple(scheme.classes[k] for k in train_ids)


def _void_of(stats: SampleStats) -> float:
    return stats.train_pixels.get(VOID, 0) / max(sum(stats.train_pixels.values()), 1)


def _only_void(split: str, masks: Sequence[SampleStats]) -> Finding:
    """Truth of a test split may be withheld by masks of void; the others cannot do without."""
    text = f"every pixel of the masks of {split} is void: nothing there counts"
    repair = "check the values of the masks against the label scheme and labels.map"
    if split == "test":
        repair = "remove the masks of test/ if the truth is withheld; " + repair
    items = tuple(place(stats) for stats in masks)
    shown = pictures_of(masks[:2])
    if split == "test":
        return Finding("only_void", "warning", text, repair, items, shown)
    return Finding("only_void", "error", text, repair, items, shown)
