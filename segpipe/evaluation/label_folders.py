"""Pairs of label images in two folders: predictions of any program, and the truth."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from segpipe.evaluation.label_names import partners, sample_groups, stem, unique
from segpipe.inference.targets import MAPS
from segpipe.raw.sample import Sample
from segpipe.runtime.errors import DataError
from segpipe.runtime.findings import Finding, about, refuse, say_warnings
from segpipe.sources.folder_walk import files_below
from segpipe.sources.picture_files import SUFFIXES, read_files

_LABEL_SUFFIXES = (".png", ".bmp", ".tif", ".tiff")
# Several files of one image, in the published folders and after cityscapesscripts' preparation.
_KINDS = re.compile(
    r"(.*_gt(?:Fine|Coarse))_(labelIds|labelTrainIds|color|instanceIds|instanceTrainIds)"
)


def paired_samples(
    predictions: Path, truth: Path, train_ids: tuple[bool, bool], group: str | None
) -> list[Sample]:
    """Return a sample for each truth file, sorted: `image` is its prediction, `mask` the truth.

    Both are paths below their folders; `instances` is the file of Cityscapes that lies beside the truth and
    tells objects apart, where it is there. Partners have the same path without suffix; else the same one
    without the usual endings (`_gtFine_labelIds`, `_pred`, `_leftImg8bit`); else the same name so.
    train_ids: whether the predictions and the truth are meant to hold train ids, which decides between
    `_labelTrainIds` and `_labelIds` where both are there. group: as `sample_groups` takes it.

    Raises DataError that lists the truth without prediction, and for folders that cannot be read.
    Predictions without truth are listed in a warning.
    """
    predicted = _without_maps(_label_images(predictions, train_ids[0]))
    true = _label_images(truth, train_ids[1])
    pairs = partners(list(true), list(predicted))
    taken = set(pairs.values())
    extra = [name for name in predicted if name not in taken]
    findings = _unpaired(
        [true[name] for name in true if name not in pairs],
        [predicted[name] for name in extra],
        predictions,
        truth,
    )
    say_warnings(findings)
    refuse(findings)
    return _samples(truth, pairs, predicted, true, group)


def paired_truth(
    names: Sequence[str], truth: Path, *, train_ids: bool, all_have_truth: bool
) -> list[Sample]:
    """Return a sample for each truth file, sorted, as `paired_samples`, of predictions to be written yet.

    names: of the predictions, which will be NAME.png in their folder. They pair as in `paired_samples`.
    train_ids: as there, of the truth. all_have_truth: whether a name without truth is an error; else they are
    listed in a warning. Raises DataError for these, for truth that none of `names` pairs with, and for
    folders that cannot be read.
    """
    true = _label_images(truth, train_ids)
    pairs = partners(list(true), names)
    taken = set(pairs.values())
    ending = "they pair by path, with or without a usual ending such as _leftImg8bit or _labelIds"
    findings = [
        *about(
            [true[name] for name in true if name not in pairs],
            "unpaired",
            f"{{n}} label images of {truth} have no image among those that are predicted",
            f"name all images of the split, or a folder of the truth of these alone; {ending}",
        ),
        *about(
            [name for name in names if name not in taken],
            "unpaired",
            f"{{n}} images have no truth below {truth}",
            f"leave them out, or add their masks; {ending}"
            if all_have_truth
            else f"they are predicted and not scored; {ending}",
            "error" if all_have_truth else "warning",
        ),
    ]
    say_warnings(findings)
    refuse(findings)
    files = {name: f"{name}.png" for name in names}
    return _samples(truth, pairs, files, true, None)


def _samples(
    truth: Path,
    pairs: Mapping[str, str],
    predicted: Mapping[str, str],
    true: Mapping[str, str],
    group: str | None,
) -> list[Sample]:
    """Return the samples of pairs (truth, prediction) of names, sorted; files by name, group as above.

    truth: the folder, in which files of instances may lie.
    """
    # A name without its ending says more; where two would be the same, both keep it.
    names = {name: short for short, name in unique(stem, list(pairs)).items()}
    names = {name: names.get(name, name) for name in sorted(pairs)}
    groups = sample_groups(list(names.values()), group)
    return [
        Sample(
            short,
            groups[short],
            image=predicted[pairs[name]],
            mask=true[name],
            instances=_instances_beside(truth, name),
        )
        for name, short in names.items()
    ]


def _instances_beside(truth: Path, name: str) -> str | None:
    match = _KINDS.fullmatch(name)
    path = f"{match[1]}_instanceIds.png" if match else ""
    return path if path and (truth / path).is_file() else None


def paired_photographs(folder: Path, samples: Sequence[Sample]) -> dict[str, Path]:
    """Return the photograph below `folder` of each sample, by the sample's name; pairs as above.

    Raises DataError where no sample has one. Samples without one are listed in a warning.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: there is no such folder; a folder of photographs is needed")
    findings: list[Finding] = []
    files = read_files(files_below(folder, ["."], findings), SUFFIXES)
    photographs = {path.relative_to(folder).with_suffix("").as_posix(): path for path in files}
    names = [sample.name for sample in samples]
    pairs = partners(names, list(photographs))
    findings += about(
        [name for name in names if name not in pairs],
        "unpaired",
        f"{{n}} label images have no photograph below {folder}",
        "their masks are shown without; photographs pair by path, with or without a usual ending such "
        "as _leftImg8bit",
        "warning" if pairs else "error",
    )
    say_warnings(findings)
    refuse(findings)
    return {name: photographs[partner] for name, partner in pairs.items()}


def _label_images(folder: Path, train_ids: bool) -> dict[str, str]:
    """Return the label files below a folder by their path without suffix, sorted."""
    if not folder.is_dir():
        raise DataError(f"{folder}: there is no such folder; a folder of label images is needed")
    findings: list[Finding] = []
    files = read_files(files_below(folder, ["."], findings), _LABEL_SUFFIXES)
    paths = sorted(path.relative_to(folder).as_posix() for path in files)
    if not paths:
        raise DataError(f"{folder}: holds no label image ({', '.join(_LABEL_SUFFIXES)})")
    names = [path.rpartition(".")[0] for path in paths]
    twice = {name for name, count in Counter(names).items() if count > 1}
    findings += about(
        [path for path, name in zip(paths, names, strict=True) if name in twice],
        "duplicate",
        f"{folder}: {{n}} label images differ only in the suffix of their names",
        "remove those that are not meant",
    )
    refuse(findings)
    return _labels_alone(dict(zip(names, paths, strict=True)), train_ids)


def _without_maps(paths: Mapping[str, str]) -> dict[str, str]:
    """Leave out what `segpipe predict` writes beside its label images, in folders of the same names."""
    parts = {name: name.partition("/") for name in paths}
    labels = {stem(name) for name in paths if parts[name][0] not in MAPS}
    return {
        name: path
        for name, path in paths.items()
        if parts[name][0] not in MAPS
        # Below probabilities/ there may be a folder for each class.
        or labels.isdisjoint({stem(rest := parts[name][2]), stem(rest.partition("/")[2])})
    }


def _labels_alone(paths: Mapping[str, str], train_ids: bool) -> dict[str, str]:
    """Leave out, of several files of one Cityscapes image, all but the one with the labels."""
    order = ["labelTrainIds", "labelIds"] if train_ids else ["labelIds", "labelTrainIds"]
    order.append("color")
    kinds: dict[str, set[str]] = {}
    found = {name: _KINDS.fullmatch(name) for name in paths}
    for match in found.values():
        if match:
            kinds.setdefault(match[1], set()).add(match[2])
    best = {base: next((k for k in order if k in held), "") for base, held in kinds.items()}
    return {
        name: path
        for name, path in paths.items()
        if not (kind := found[name]) or best[kind[1]] == kind[2]
    }


def _unpaired(bare: list[str], extra: list[str], predictions: Path, truth: Path) -> list[Finding]:
    endings = "they pair by path, with or without a usual ending such as _pred or _gtFine_labelIds"
    return [
        *about(
            bare,
            "unpaired",
            f"{{n}} label images of {truth} have no prediction below {predictions}",
            f"predict them, or name the folder of the split that was predicted; {endings}",
        ),
        *about(
            extra,
            "unpaired",
            f"{{n}} predictions below {predictions} have no truth below {truth}",
            f"they are not scored; {endings}",
            "warning",
        ),
    ]
