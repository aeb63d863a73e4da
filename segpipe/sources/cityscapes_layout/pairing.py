"""From the names of files to samples: image, truth, the frames before, and coarse scenes beside."""

import math
import re
from collections.abc import Iterable
from dataclasses import replace

from segpipe.params.source import CityscapesParams, ClipParams
from segpipe.raw.sample import SPLITS, Sample
from segpipe.runtime.findings import Finding, about
from segpipe.runtime.randomness import ranked
from segpipe.sources.cityscapes_layout.index import Index, index_names
from segpipe.sources.cityscapes_layout.layout import (
    COARSE_TRUTH,
    EXTRA_IMAGES,
    IMAGES,
    INSTANCES_END,
    SEQUENCES,
    TRUTH,
    Part,
    Place,
)
from segpipe.sources.listing import Listing

# This image of train_extra is all black in the published archive, and its coarse truth is one value.
_DAMAGED = frozenset({"troisdorf_000000_000073"})
_STEM = re.compile(r"(?P<drive>.+_\d{6})_(?P<frame>\d{6})")


def pair(
    names: Iterable[str],
    clip: ClipParams,
    coarse: CityscapesParams,
    truth_withheld: bool,
) -> Listing:
    """Join paths below the data set to samples; see `source.list_samples` for the rules."""
    index = index_names(names)
    findings = index.findings
    samples, unpaired = _fine(index, truth_withheld)
    findings += about(
        unpaired,
        "unpaired",
        "{n} files of Cityscapes lack their partner",
        f"get {IMAGES.archive} and {TRUTH.archive} whole",
    )
    if coarse.coarse_per_fine > 0:
        chosen, doubts = _coarse(index, coarse, len(samples["train"]))
        samples["train"] = sorted(samples["train"] + chosen, key=lambda sample: sample.name)
        findings += doubts
    if clip.frames > 1:
        missing: list[str] = []
        for split, members in samples.items():
            samples[split] = _clips(members, split, index, clip, missing)
        findings += about(
            missing,
            "missing_frames",
            "{n} frames of the clips are missing",
            f"get {SEQUENCES.archive} whole, or set source.clip.frames or source.clip.stride lower",
        )
    findings += _torn_cities(samples)
    return Listing(samples, findings)


def _fine(index: Index, truth_withheld: bool) -> tuple[dict[str, list[Sample]], list[str]]:
    samples: dict[str, list[Sample]] = {split: [] for split in SPLITS}
    faults = []
    lonely = dict(index.truth)
    for stem, image in sorted(index.images.items()):
        split = str(image.split)
        mask = lonely.pop(stem, None)
        if truth_withheld and split == "test":
            samples[split].append(Sample(stem, image.city, image.name, None))
        elif mask is None:
            faults.append(f"{image.name} has no {_name(TRUTH, image, stem)}")
        elif mask.split != split:
            faults.append(f"{image.name} lies in {split}, its truth in {mask.split}: {mask.name}")
        else:
            beside = mask.name.removesuffix(TRUTH.end) + INSTANCES_END
            samples[split].append(
                Sample(
                    name=stem,
                    group=image.city,
                    image=image.name,
                    mask=mask.name,
                    instances=beside if beside in index.instances else None,
                )
            )
    for mask in lonely.values():
        # What the publisher lays into gtFine/test is no truth, so nothing needs an image.
        if not (truth_withheld and mask.split == "test"):
            faults.append(f"{mask.name} has no {_name(IMAGES, mask, str(mask.stem))}")
    return samples, faults


def _coarse(
    index: Index, coarse: CityscapesParams, fine: int
) -> tuple[list[Sample], list[Finding]]:
    images, masks = index.extra_images, index.coarse_truth
    whole = (images.keys() & masks.keys()) - _DAMAGED
    number = math.floor(coarse.coarse_per_fine * fine + 0.5)  # rounded to the nearest
    chosen = [
        Sample(stem, images[stem].city, images[stem].name, masks[stem].name)
        for stem in sorted(ranked(whole, coarse.seed)[:number])
    ]
    single = sorted((images.keys() ^ masks.keys()) - _DAMAGED)
    findings = about(
        [(images.get(stem) or masks[stem]).name for stem in single],
        "unpaired",
        "{n} scenes of train_extra lack image or coarse truth and are not used",
        f"get {EXTRA_IMAGES.archive} and {COARSE_TRUTH.archive} whole if they are wanted",
        severity="warning",
    )
    if number > len(whole):
        findings.append(
            Finding(
                "few_coarse",
                "warning",
                f"params.yaml: source.cityscapes.coarse_per_fine {coarse.coarse_per_fine:g} asks "
                f"for {number} coarse scenes beside {fine} fine ones, but there are {len(whole)}, "
                "and all of them are used",
                f"get {EXTRA_IMAGES.archive} and {COARSE_TRUTH.archive} whole, or set it to "
                f"{math.floor(100 * len(whole) / fine) / 100:g}",
            )
        )
    return chosen, findings


def _clips(
    members: list[Sample], split: str, index: Index, clip: ClipParams, missing: list[str]
) -> list[Sample]:
    """Give each sample its earlier frames; those without leave, and `missing` learns why."""
    kept = []
    for sample in members:
        stems = earlier_stems(sample.name, clip)
        if stems is None:
            before = (clip.frames - 1) * clip.stride
            missing.append(f"{sample.image}: its name leaves no room for {before} frames before it")
            continue
        found = [index.sequences.get(stem) for stem in stems]
        frames = tuple(frame.name for frame in found if frame and frame.split == split)
        if len(frames) == len(stems):
            kept.append(replace(sample, frames=frames))
        else:
            image = index.images[sample.name]
            missing += [
                _name(SEQUENCES, image, stem)
                for stem, frame in zip(stems, found, strict=True)
                if frame is None or frame.split != split
            ]
    return kept


def _name(part: Part, sibling: Place, stem: str) -> str:
    """Where the file of `part` that goes with `sibling` lies in the official layout."""
    return f"{part.folder}/{sibling.split}/{sibling.city}/{stem}{part.end}"


def _torn_cities(samples: dict[str, list[Sample]]) -> list[Finding]:
    """A city in two splits lets the model be tested on streets that it was taught."""
    splits: dict[str, list[str]] = {}
    for split, members in samples.items():
        for city in sorted({sample.group for sample in members}):
            splits.setdefault(city, []).append(split)
    return about(
        sorted(f"{city}: {', '.join(found)}" for city, found in splits.items() if len(found) > 1),
        "torn_group",
        "{n} cities are in more than one split",
        "keep each city in one split alone",
    )


def earlier_stems(stem: str, clip: ClipParams) -> list[str] | None:
    """Return <city>_<seq6>_<frame6> of the clip's frames before the annotated `stem`, earliest first.

    leftImg8bit_sequence holds 30 frames a snippet, 17 a second, of which the 20th is annotated. Frames
    are numbered within a drive, so the annotated one is 000019 only where each snippet is a drive.
    None when `stem` has no frame number or the drive begins too late for the clip.
    """
    if clip.frames == 1:
        return []
    found = _STEM.fullmatch(stem)
    if found is None:
        return None
    frame = int(found["frame"])
    back = [step * clip.stride for step in reversed(range(1, clip.frames))]
    if back[0] > frame:
        return None
    return [f"{found['drive']}_{frame - frames:06d}" for frames in back]
