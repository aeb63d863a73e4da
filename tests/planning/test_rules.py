"""The rules of a plan, each by the data that calls for it; what they choose is valid together."""

from dataclasses import replace
from typing import Any

import pytest

from segpipe.params.load import validate
from segpipe.params.overlay import overlaid
from segpipe.params.settings import set_in
from segpipe.planning import rules
from segpipe.planning.choice import Choice
from segpipe.planning.facts import ClassFacts, Costs, DataFacts, MachineFacts
from segpipe.planning.sizing import scales

GIB = 2**30
CPU = MachineFacts("cpu", "a processor", threads=2, memory=8 * GIB, weights=True)
STREETS = DataFacts(
    resizes=True,
    tiles=False,
    train=367,
    val=101,
    height=360,
    width=480,
    alike=True,
    channels=3,
    frames=1,
    truth_ratio=1,
    classes=(ClassFacts("road", 0.6, 1.0), ClassFacts("car", 0.4, 0.5)),
)
TILES = replace(
    STREETS, resizes=False, tiles=True, channels=99, truth_ratio=50, height=200, width=200
)


def values(choices: list[Choice]) -> dict[str, Any]:
    assert all(choice.reason for choice in choices)
    return {choice.key: choice.value for choice in choices}


def planned(data: DataFacts, machine: MachineFacts, scale: float) -> dict[str, Any]:
    size = rules.size_choices(data, scale, "for a test", {})
    choices = [
        *rules.model_choices(data, machine, {}),
        rules.batch_choice(data, machine),
        *rules.tuning_choices("regseg", "adamw", 4, 240),
        *size,
        *rules.augment_choices(data),
        *rules.balance_choices(data, values(size)["train.augment.crop_height"]),
        *rules.length_choices(data, 4, Costs(0.2, 0.02, 0.1), 500.0),
    ]
    return values(choices)


@pytest.mark.parametrize("weights", [True, False])
@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize(
    "data",
    [
        STREETS,
        replace(STREETS, train=9, val=2, alike=False, height=3000, width=4000),
        replace(STREETS, frames=4),
        replace(STREETS, resizes=False, channels=5, height=256, width=256),
        replace(STREETS, resizes=False, channels=5, height=256, width=512, truth_ratio=3),
        TILES,
    ],
    ids=["streets", "photographs", "clips", "rasters", "coarse", "tiles"],
)
def test_what_the_rules_choose_is_valid_at_every_size(
    data: DataFacts, device: str, weights: bool
) -> None:
    machine = replace(CPU, device=device, weights=weights)
    offered = list(scales(data))
    assert offered == sorted(offered, reverse=True)
    assert offered
    for scale in offered:
        content: dict[str, Any] = {}
        for key, value in planned(data, machine, scale).items():
            set_in(content, key, value)
        params = validate(overlaid(content), "the plan")
        crop = params.train.augment
        assert (crop.crop_height or 8) <= params.prepare.height
        assert (crop.crop_width or 8) <= params.prepare.width


def test_few_images_begin_with_pretrained_weights_where_the_package_is_installed() -> None:
    few = replace(STREETS, train=50)
    with_weights = values(rules.model_choices(few, CPU, {}))
    assert with_weights["model.name"] == "smp"
    assert with_weights["model.pretrained"] == "imagenet"
    assert with_weights["train.optimizer"] == "muon"
    without = rules.model_choices(few, replace(CPU, weights=False), {})
    assert values(without)["model.name"] == "compact_fpn"
    assert "model.pretrained" not in values(without)
    assert values(without)["train.optimizer"] == "muon"
    assert any("pip install 'segpipe[weights]'" in choice.reason for choice in without)
    many = replace(STREETS, train=20_000)
    assert values(rules.model_choices(many, CPU, {}))["model.name"] == "regseg"
    small = rules.model_choices(replace(few, height=128, width=256), CPU, {})
    assert values(small)["model.name"] == "compact_fpn"
    assert any("128x256 is small" in choice.reason for choice in small)
    bands = values(rules.model_choices(replace(few, channels=5), CPU, {}))
    assert "model.pretrained" not in bands  # the weights are of pictures
    assert "model.pretrained" not in values(rules.model_choices(few, CPU, {"model.name": "unet"}))
    assert with_weights["model.freeze.length"] == "all"
    same = {"model.smp.encoder": with_weights["model.smp.encoder"], "train.backbone_lr": 1.0}
    assert values(rules.model_choices(few, CPU, same)) == with_weights
    for other in ({"model.smp.encoder": "resnet18"}, {"model.pretrained": "none"}):
        rest = values(rules.model_choices(few, CPU, other))
        assert with_weights.keys() - rest.keys() == {"model.freeze.parts", "model.freeze.length"}


def test_the_rate_is_that_of_model_and_optimizer() -> None:
    def rate(name: str, optimizer: str, batch: int = 8) -> Any:
        return values(rules.tuning_choices(name, optimizer, batch, 240))["train.lr"]

    assert rate("compact_fpn", "muon") == 0.015
    assert rate("compact_fpn", "muon", batch=2) == 0.0075
    assert (rate("compact_fpn", "adamw"), rate("smp", "adamw", batch=4)) == (0.004, 0.002)
    assert (rate("unet", "muon"), rate("unet", "adamw")) == (0.01, 0.002)


def test_clips_and_coarse_truth_have_the_models_made_for_them() -> None:
    assert (
        values(rules.model_choices(replace(STREETS, frames=4), CPU, {}))["model.name"]
        == "resnet_lstm"
    )
    assert values(rules.model_choices(TILES, CPU, {}))["model.name"] == "truth_cnn"


def test_a_batch_is_never_larger_than_the_data() -> None:
    assert rules.batch_choice(replace(STREETS, train=3), CPU).value == 3
    assert rules.batch_choice(STREETS, CPU).value == 4
    assert rules.batch_choice(STREETS, CPU, "muon").value == 8
    assert rules.batch_choice(STREETS, replace(CPU, device="cuda")).value == 16


def test_the_canvas_keeps_the_proportions_of_the_median_image() -> None:
    for scale in scales(STREETS):
        height, width = STREETS.canvas(scale)
        assert abs(width / height - 480 / 360) < 0.07
        assert height % 8 == width % 8 == 0
    large = replace(STREETS, height=3000, width=4000)
    assert all(min(large.canvas(scale)) <= 1024 for scale in scales(large))


def test_images_of_other_proportions_are_padded() -> None:
    mixed = values(rules.size_choices(replace(STREETS, alike=False), 0.5, "for a test", {}))
    assert mixed["prepare.fit"] == "pad"


def test_windows_hold_whole_truth_pixels() -> None:
    for sides, side in (([50, 100, 200, 400, 800], 200), ([50, 250], 50), ([10, 20, 30], 30)):
        assert rules.tile_side(sides) == side
    chosen = values(rules.size_choices(TILES, 1.0, "for a test", {}))
    assert chosen["prepare.height"] == chosen["prepare.width"] == 200
    coarse = replace(TILES, tiles=False, truth_ratio=3)
    chosen = values(rules.size_choices(coarse, 1.0, "for a test", {}))
    assert chosen["prepare.height"] == 258
    assert chosen["train.augment.crop_height"] is None


def test_left_and_right_are_never_mirrored_into_each_other() -> None:
    sided = replace(
        STREETS, classes=(ClassFacts("left_lung", 0.5, 1), ClassFacts("right_lung", 0.5, 1))
    )
    assert values(rules.augment_choices(sided))["train.augment.flip"] == 0.0
    assert values(rules.augment_choices(STREETS))["train.augment.flip"] == 0.5
    bright = replace(STREETS, classes=(ClassFacts("brightness", 1.0, 1.0),))
    assert values(rules.augment_choices(bright))["train.augment.flip"] == 0.5


def test_only_red_green_and_blue_change_their_saturation() -> None:
    for data in (TILES, replace(STREETS, channels=5)):
        assert values(rules.augment_choices(data))["train.augment.saturation"] == [1.0, 1.0]
    assert values(rules.augment_choices(STREETS))["train.augment.saturation"] == [0.8, 1.25]


def test_the_sampler_looks_for_a_class_that_few_images_show() -> None:
    rare = replace(STREETS, classes=(*STREETS.classes, ClassFacts("train", 0.001, 0.04)))
    chosen = values(rules.balance_choices(rare, 192))
    assert chosen["train.sampler"] == "class_centroids"
    assert chosen["train.class_centroids.cell"] == 96
    assert values(rules.balance_choices(STREETS, 192))["train.sampler"] == "uniform"
    absent = replace(STREETS, classes=(*STREETS.classes, ClassFacts("tram", 0.0, 0.0)))
    assert values(rules.balance_choices(absent, 192))["train.sampler"] == "uniform"


@pytest.mark.parametrize("budget", [3.0, 60.0, 600.0, 6000.0])
@pytest.mark.parametrize("validation", [0.1, 2.0, 30.0])
def test_steps_and_validations_fit_the_budget(budget: float, validation: float) -> None:
    costs = Costs(step=0.2, validation=validation / STREETS.val, evaluation=0.1)
    chosen = values(rules.length_choices(STREETS, 4, costs, budget))
    steps = int(chosen["train.length"].split()[0])
    every = int(chosen["train.validate_every"].split()[0])
    validations = -(-steps // every)
    if steps > 2:
        assert steps * 0.2 + (validations - 1) * validation <= budget
    assert steps <= 500 * 91
    if budget == 600.0 and validation == 2.0:
        assert steps * 0.2 >= 0.9 * budget
    warmup = chosen["train.warmup"]
    assert warmup == 0 or int(warmup.split()[0]) < steps
