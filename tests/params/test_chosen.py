"""Only what was chosen counts: each option is part of a fingerprint exactly where it is in use."""

import copy
from collections.abc import Iterator
from typing import Annotated, Any, get_args

import pytest

from segpipe.params.chosen import chosen
from segpipe.params.load import validate
from segpipe.params.loss import LossName, LossParams
from segpipe.params.model import ModelName, ModelParams
from segpipe.params.schedule import ScheduleName
from segpipe.params.schema import Params
from segpipe.params.section import Section, Since, is_neutral
from segpipe.params.source import SourceName
from segpipe.params.train import TrainParams
from segpipe.runtime.errors import ParameterError
from segpipe.training.state.identity import Identity

# Another valid value for what is neither a number nor a choice.
OTHER: dict[str, Any] = {
    "source.path": "elsewhere",
    "labels.scheme": "cityscapes34",
    "labels.map": {255: "void"},
    "labels.exclude_images_with": ["sky"],
    "prepare.split.group": "(a)",
    "prepare.esd.viirs": False,
    "prepare.esd.sentinel1": ["VV"],
    "prepare.esd.sentinel2": ["B04"],
    "prepare.esd.landsat": ["B4"],
    "prepare.rasters.bands": [1],
    "prepare.rasters.quantiles": [0.1, 0.9],
    "model.freeze.parts": ["head"],
    "loss.sum": {"dice": 2.0},
    "loss.given": {"road": 2.0},
    "train.clip": 2.0,
    "train.early_stopping.metric": "val_loss",
    "train.limit": 64,
    "train.overfit": 64,
    "train.length": 30,
    "train.warmup": 2,
    "train.validate_every": 3,
    "train.halving.every": 4,
    "train.augment.crop_height": 64,
    "train.augment.crop_width": 64,
    "checkpoint.minutes": None,
    "checkpoint.steps": 7,
    "tracking.experiment": "other",
    "model.smp.encoder": "resnet18",
    "model.pretrained": "weights.safetensors",
}
# Choices and numbers of which the usual other value would not fit the rest.
OTHER |= {
    "train.accumulation": 2,
    "train.lanes": 2,
    "train.compile": True,
    "train.sharding": "fsdp2",
    "train.threshold": 0.25,
    "train.sgd.momentum": 0.5,
    "loss.dice.smooth": 2.0,
    "model.regseg.width": 64,
}


def leaves(section: Section, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, Section):
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", section.model_dump(mode="json")[name]


def keys(values: Any, prefix: str = "") -> set[str]:
    """The dotted keys of chosen parameters; a dictionary that is a value itself is one of them."""
    found: set[str] = set()
    for name, value in values.items():
        place = f"{prefix}{name}"
        whole = place in ("labels.map", "loss.sum", "loss.given") or not isinstance(value, dict)
        found |= {place} if whole else keys(value, f"{place}.")
    return found


def changed(content: dict[str, Any], place: str, value: Any) -> dict[str, Any]:
    content = copy.deepcopy(content)
    *parents, last = place.split(".")
    section = content
    for parent in parents:
        section = section[parent]
    section[last] = value
    return content


def other_value(place: str, value: Any) -> Any:
    match OTHER.get(place, value):
        case given if place in OTHER and given != value:
            return given
        case bool():
            return not value
        case int():
            return value + 1
        case float():
            return value / 2 if value else 0.25
        case [float(low), float(high)]:
            return [low, high + 0.25]
    return None


def settings(**choices: str) -> dict[str, Any]:
    content = Params().model_dump(mode="json")
    for place, value in choices.items():
        content = changed(content, place.replace("__", "."), value)
    if content["source"]["name"] in ("esd", "synthetic_esd"):
        content["prepare"]["split"]["by"] = "ratio"
    return content


CASES = [
    *({"source__name": name} for name in get_args(SourceName)),
    *({"model__name": name} for name in get_args(ModelName)),
    *({"loss__name": name} for name in (*get_args(LossName), "sum")),
    *({"train__schedule": name} for name in get_args(ScheduleName)),
    *({"train__optimizer": name} for name in ("adamw", "muon", "adam", "sgd", "rmsprop")),
    {"train__sampler": "class_centroids"},
    {"loss__class_weights": "given", "loss__given": {"road": 1.0}},
    {"model__freeze": {"parts": ["head"], "length": 1}},
    {"train__early_stopping__metric": "val_miou"},
    {"train__partial_validation__every": 2},
    {"train__overfit": 32},
    {"prepare__copies__count": 2},
    {"prepare__split__by": "ratio", "source__name": "folder"},
]


@pytest.mark.parametrize("choices", CASES, ids=lambda case: "-".join(map(str, case.values())))
def test_an_option_counts_exactly_where_it_is_in_use(choices: dict[str, Any]) -> None:
    content = settings(**choices)
    params = validate(content, "case")
    before, tried = chosen(params), 0
    for place, value in leaves(params):
        other = other_value(place, value)
        if other is None:
            continue
        try:
            after = chosen(validate(changed(content, place, other), "case"))
        except ParameterError:
            continue  # a combination that cannot work
        tried += 1
        # A later parameter appears where it leaves the value at which it changes nothing.
        assert (after != before) == (place in {*keys(before), *keys(after)}), place
    assert tried > 90


def sections_of_others(params: Params) -> list[tuple[str, str]]:
    return [
        *(("source", name) for name in get_args(SourceName) if name != params.source.name),
        *(("model", name) for name in get_args(ModelName) if name != params.model.name),
    ]


@pytest.mark.parametrize("model", get_args(ModelName))
def test_no_option_of_another_model_is_in_a_fingerprint_or_a_bundle(model: str) -> None:
    params = validate(settings(model__name=model), "case")
    described = Identity(params.model, params.loss, params.train, "data").describe()
    assert described["model"] == chosen(params.model)
    # At its defaults a model that a later version brought is described by its name.
    neutral = is_neutral(ModelParams.model_fields[model], getattr(params.model, model))
    assert set(described["model"]) == {"name", "pretrained"} | (set() if neutral else {model})
    # A later version may add, rename and remove options of the others: the bundle still opens.
    assert ModelParams.model_validate(chosen(params.model)) == params.model


def test_the_options_of_the_terms_of_a_sum_count() -> None:
    usual = LossParams(name="sum")
    other = LossParams.model_validate({"name": "sum", "dice": {"smooth": 2.0}})
    unused = LossParams.model_validate({"name": "sum", "focal": {"gamma": 1.0}})
    assert chosen(usual) != chosen(other)
    assert chosen(usual) == chosen(unused)


def test_how_the_work_is_shared_out_is_no_other_training() -> None:
    def described(**options: Any) -> dict[str, Any]:
        train = TrainParams(batch_size=8, **options)
        return Identity(ModelParams(), LossParams(), train, "data").describe()

    assert described() == described(accumulation=2) == described(sharding="fsdp2")
    assert described() != described(lr=0.5)


class Later(Section):
    """A section to which a version added a parameter and a section."""

    first: int = 1
    second: Annotated[int, Since("9.0")] = 0
    third: Annotated[TrainParams, Since("9.0")] = TrainParams()


def test_a_later_parameter_counts_from_where_it_changes_something() -> None:
    assert chosen(Later()) == {"first": 1}
    assert chosen(Later(second=3)) == {"first": 1, "second": 3}
    assert chosen(Later(third=TrainParams(lr=0.5)))["third"]["lr"] == 0.5
