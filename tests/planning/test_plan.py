"""A plan for real files: what is kept, what is measured, what is refused.

Covers plan.py, draft.py, sizing.py, facts.py and trial.py.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segpipe.cli.plan import material_of
from segpipe.params.load import validate
from segpipe.params.schema import Params
from segpipe.planning import draft, rules, sizing, trial
from segpipe.planning import plan as planning
from segpipe.planning.facts import Costs, machine_facts
from segpipe.planning.plan import header, make_plan
from segpipe.runtime.errors import DataError, ParameterError
from segpipe.training.forecast import forecast_training
from tests.forge import make_folder, save, tiny_parameters


@pytest.fixture
def planned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., planning.Planned]:
    """Plan for a folder of pictures; the trial's image sizes are noted in `sizes`."""
    monkeypatch.chdir(tmp_path)
    machine = replace(machine_facts(), weights=False)
    monkeypatch.setattr(planning, "machine_facts", lambda: machine)
    monkeypatch.setattr(trial, "_LEAST_SECONDS", 0.0)  # a few steps are enough for a test

    def call(minutes: float = 1, given: dict[str, Any] | None = None, **changes: Any) -> Any:
        params = validate(tiny_parameters(tmp_path / "data", **changes), "params.yaml")
        return make_plan(material_of(params, tmp_path / "data"), minutes, given or {})

    return call


def test_a_plan_keeps_data_and_labels_and_fits_the_time(
    tmp_path: Path, planned: Callable[..., planning.Planned]
) -> None:
    make_folder(tmp_path / "data", train=12, val=3)
    found = planned(evaluate__flip=True, render__images=5)
    params = found.params
    assert params.source.path == str(tmp_path / "data")
    assert params.labels.scheme == "classes.csv"
    assert params.evaluate.flip
    assert params.render.images == 5
    assert params.model.unet.width == 16  # what is neither kept nor chosen is the default
    assert (found.data.train, found.data.val) == (12, 3)
    assert (found.data.height, found.data.width) == (48, 64)
    shares = {each.name: each.share for each in found.data.classes}
    assert sum(shares.values()) == pytest.approx(1)
    assert all(each.images == 1 for each in found.data.classes)
    assert sum(found.seconds.values()) <= 60
    text = header(found, "segpipe plan --minutes 1")
    words = " ".join(text.replace("#", " ").split())
    assert "12 training and 3 validation samples of 48x64, 3 classes" in words
    assert all(line.startswith("#") and len(line) <= 110 for line in text.splitlines())


def test_what_is_given_stays_and_the_rest_is_planned_around_it(
    tmp_path: Path, planned: Callable[..., planning.Planned]
) -> None:
    make_folder(tmp_path / "data", train=6, val=3)
    given = {"model.name": "unet", "model.unet.width": 4, "train.lr": 0.5, "prepare.height": 40}
    found = planned(given=given)
    assert found.params.model.name == "unet"
    assert found.params.model.unet.width == 4
    assert found.params.train.lr == 0.5
    assert found.params.prepare.height == 40
    reasons = {choice.key: choice.reason for choice in found.choices}
    assert all(reasons[key] == "given on the command line" for key in given)
    with pytest.raises(
        ParameterError, match=r"train\.lrr is not a parameter; did you mean train\.lr"
    ):
        planned(given={"train.lrr": 1})


def test_the_crop_fits_a_given_canvas(
    tmp_path: Path, planned: Callable[..., planning.Planned]
) -> None:
    make_folder(tmp_path / "data", train=6, val=3, height=96, width=128)
    found = planned(given={"prepare.height": 40, "prepare.width": 64})
    assert (found.params.prepare.height, found.params.prepare.width) == (40, 64)
    crop = found.params.train.augment
    assert (crop.crop_height, crop.crop_width) == (32, 48)


@pytest.mark.parametrize(
    ("slow", "chosen"),
    [("bf16", "fp32"), pytest.param("fp32", "bf16", marks=pytest.mark.slow)],
)
def test_the_faster_precision_is_taken(
    tmp_path: Path,
    planned: Callable[..., planning.Planned],
    monkeypatch: pytest.MonkeyPatch,
    slow: str,
    chosen: str,
) -> None:
    make_folder(tmp_path / "data", train=6, val=3)
    seen = []

    def measured(params: Params, samples: Any, context: Any) -> Costs:
        precision = "bf16" if params.train.precision == "auto" else params.train.precision
        seen.append(precision)
        return Costs(2.0 if precision == slow else 1.0, validation=0.01, evaluation=0.01)

    monkeypatch.setattr(draft, "measure", measured)
    monkeypatch.setattr(sizing, "choose_precision", lambda wanted, device: "bf16")
    monkeypatch.setattr(planning, "machine_facts", lambda: replace(machine_facts(), device="cpu"))
    found = planned()
    assert found.params.train.precision == chosen
    assert seen[:2] == ["bf16", "fp32"]
    seen.clear()
    assert planned(given={"train.precision": slow}).params.train.precision == slow
    assert {*seen} == {slow}


@pytest.mark.parametrize("overhead", [0.0, 0.2, 1.2])
def test_the_size_is_the_largest_whose_measured_passes_suffice(
    tmp_path: Path,
    planned: Callable[..., planning.Planned],
    monkeypatch: pytest.MonkeyPatch,
    overhead: float,
) -> None:
    make_folder(tmp_path / "data", train=20, val=3, height=480, width=640)
    tried: dict[int, Costs] = {}

    def measured(params: Params, samples: Any, context: Any) -> Costs:
        height = params.prepare.height
        # Past the caches large images cost more than their area: the first trial promises too much.
        area = (height / 480) ** 2 * (1.6 if height > 240 else 1.0)
        tried[height] = Costs(step=2 * overhead + 12 * area, validation=0.01, evaluation=0.05)
        return tried[height]

    monkeypatch.setattr(draft, "measure", measured)
    found = planned(minutes=30)
    chosen = tried[found.params.prepare.height]
    assert found.costs == chosen
    assert len(tried) <= 4
    batch = found.params.train.batch_size
    passes = rules.passes(found.data, chosen, batch, found.seconds["train"])
    assert passes >= 0.8 * 2000  # a hundred for each image
    (reason,) = [each.reason for each in found.choices if each.key == "prepare.height"]
    assert f"{passes} sample passes are in the time, about 2000 are wanted" in reason
    steps = int(str(found.params.train.length).split()[0])
    assert steps * batch == pytest.approx(passes, abs=batch)
    larger = [height for height in tried if height > found.params.prepare.height]
    for height in larger:
        assert rules.passes(found.data, tried[height], batch, found.seconds["train"]) < 1600
    assert bool(larger) == (overhead < 1)


def test_evaluation_and_pictures_are_within_the_time(
    tmp_path: Path, planned: Callable[..., planning.Planned], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_folder(tmp_path / "data", train=20, val=10)
    monkeypatch.setattr(draft, "measure", lambda *_: Costs(0.2, validation=0.1, evaluation=2.0))
    found = planned(minutes=5)
    # Ten images are scored, two are drawn, half of them have the temperature fitted.
    assert found.seconds["evaluate"] == pytest.approx((10 + 2 * 2) * 2.0 + 5 * 0.1)
    assert sum(found.seconds.values()) == pytest.approx(0.95 * 300)


def test_errors_in_the_data_end_it(
    tmp_path: Path, planned: Callable[..., planning.Planned]
) -> None:
    data = make_folder(tmp_path / "data", train=6, val=3)
    save(data / "masks/train/drive0_000.png", np.full((48, 64), 77, np.uint8))
    with pytest.raises(DataError, match="77"):
        planned()


def test_a_time_in_which_nothing_can_be_learnt_is_refused(
    tmp_path: Path, planned: Callable[..., planning.Planned]
) -> None:
    make_folder(tmp_path / "data", train=6, val=3)
    with pytest.raises(ParameterError, match="is too short"):
        planned(minutes=0.1)


@pytest.mark.slow
def test_a_batch_that_does_not_fit_the_memory_is_halved(
    tmp_path: Path, planned: Callable[..., planning.Planned], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_folder(tmp_path / "data", train=6, val=3)
    whole = forecast_training

    def little(params: Any, context: Any) -> dict[str, Any]:
        found = whole(params, context)
        return found | {"total_mb": 100.0 * params.train.batch_size, "available_mb": 300.0}

    monkeypatch.setattr(sizing, "forecast_training", little)
    assert planned().params.train.batch_size == 2
    assert planned(given={"train.batch_size": 4}).params.train.batch_size == 4
