"""The file of a sweep: what is refused, with which words, and the points that it stands for."""

import itertools
from pathlib import Path
from typing import Any

import pytest

from segpipe.cli.main import main
from segpipe.results.evaluation import Evaluation
from segpipe.runtime.errors import ParameterError
from segpipe.sweeps.definition import Definition, read_definition
from segpipe.sweeps.devices import shared_out
from segpipe.sweeps.experiment import Experiment
from segpipe.sweeps.measures import known_measures, row_label
from segpipe.sweeps.space import grid, refuse_impossible, settings
from tests.forge import ROOT, tiny_parameters, write_parameters

WHOLE = """
search: grid
space:
  model.name: {choice: [unet, fcn]}
  model.unet.depth: {int: [1, 3], when: {model.name: unet}}
  train.lr: {choice: [0.1, 0.01]}
metrics: {evaluation.miou: maximize}
"""
SWEEPS = sorted((ROOT / "recipes/sweeps").glob("*.yaml"))


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_parameters(tmp_path / "params.yaml", tiny_parameters(Path("data")))
    return tmp_path


def read(text: str) -> Definition:
    Path("it.yaml").write_text(text)
    return read_definition(Path("it.yaml"))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("search: grid", "search: bay", "search is 'bay'; it must be 'grid', 'random' or 'bayes'"),
        ("search: grid", "search: random", "random search needs `trials`"),
        ("search: grid", "serch: grid", "serch is not a known field; did you mean search?"),
        ("evaluation.miou", "evaluation.miuo", "did you mean evaluation.miou?"),
        ("maximize", "largest", "metrics.evaluation.miou is 'largest'"),
        (
            "choice: [0.1, 0.01]",
            "choise: [0.1]",
            "choise is not a known field; did you mean choice?",
        ),
        (
            "choice: [0.1, 0.01]",
            "uniform: [0.1, 0.2]",
            "train.lr has endlessly many; give a choice",
        ),
        ("choice: [0.1, 0.01]", "uniform: [0.2, 0.1]", "the lowest value must come first"),
        ("choice: [0.1, 0.01]", "log_uniform: [0.0, 0.1]", "must be above 0"),
        ("choice: [0.1, 0.01]", "choice: [0.1, 0.1]", "a value stands there twice"),
        ("choice: [0.1, 0.01]", "choice: [1], int: [1, 2]", "give one of choice, int, uniform"),
        ("when: {model.name: unet}", "when: {model.nam: unet}", "did you mean model.name?"),
        ("when: {model.name: unet}", "when: {model.name: smp}", "model.name is never ['smp']"),
        ("when: {model.name: unet}", "when: {train.lr: 0.1}", "train.lr does not stand above it"),
        ("metrics: {", "set: {train.lr: 1}\nmetrics: {", "stands in `set` and in `space`"),
        ("train.lr", "train.seed", "train.seed is what `repeats` varies"),
        (
            "metrics: {",
            "pruner: {name: median}\nmetrics: {training.seconds: minimize, ",
            "a pruner ends trainings by one metric; with several",
        ),
        (
            "metrics: {",
            "pruner: {name: median, column: val_mio}\nmetrics: {",
            "did you mean val_miou?",
        ),
        (
            "search: grid",
            "storage: postgresql://a:b@c/d\nsearch: grid",
            "set SEGPIPE_SWEEP_STORAGE",
        ),
        ("search: grid", "name: a/b\nsearch: grid", "name is 'a/b'"),
    ],
)
def test_what_cannot_be_meant_is_refused(old: str, new: str, words: str, work: Path) -> None:
    assert old in WHOLE
    with pytest.raises(ParameterError) as refused:
        read(WHOLE.replace(old, new))
    assert words in str(refused.value)
    assert "it.yaml" in str(refused.value)


def test_a_grid_is_all_its_points_and_no_others(work: Path) -> None:
    expected: list[dict[str, Any]] = [
        {"model.name": "unet", "model.unet.depth": depth, "train.lr": lr}
        for depth, lr in itertools.product((1, 2, 3), (0.1, 0.01))
    ]
    expected += [{"model.name": "fcn", "train.lr": lr} for lr in (0.1, 0.01)]
    assert grid(read(WHOLE)) == expected
    assert refuse_impossible(read(WHOLE)) == 8


def test_conditions_may_depend_on_each_other_and_have_several_values(work: Path) -> None:
    text = WHOLE.replace("[unet, fcn]", "[unet, fcn, smp]").replace(
        "model.name: unet}", "model.name: [unet, smp]}"
    )
    text = text.replace(
        "  train.lr: {choice: [0.1, 0.01]}",
        "  train.lr: {choice: [1.0], when: {model.unet.depth: 2}}",
    )
    points = grid(read(text))
    assert len(points) == 3 + 1 + 3
    assert sum("train.lr" in point for point in points) == 2


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("train.lr", "train.lrr", "train.lrr is not a parameter; did you mean train.lr?"),
        (
            "[0.1, 0.01]",
            "[0.1, -0.01]",
            "train.lr=-0.01: train.lr is -0.01; it must be greater than 0",
        ),
        ("int: [1, 3]", "int: [1, 9]", "model.unet.depth is 7; it must be less than or equal to 6"),
        ("[unet, fcn]", "[unet, fcnn]", "model.name is 'fcnn'; it can be"),
    ],
)
def test_every_point_is_checked_before_the_first_training(
    old: str, new: str, words: str, work: Path
) -> None:
    Path("it.yaml").write_text(WHOLE.replace(old, new))
    with pytest.raises(ParameterError) as refused:
        refuse_impossible(read_definition(Path("it.yaml")))
    assert words in str(refused.value)


def test_the_ends_of_a_space_without_end_are_checked(work: Path) -> None:
    text = WHOLE.replace("search: grid", "search: bayes\ntrials: 5")
    assert (
        refuse_impossible(read(text.replace("choice: [0.1, 0.01]", "log_uniform: [0.0001, 0.1]")))
        == 6
    )
    with pytest.raises(ParameterError, match=r"train\.lr is 0\.0"):
        refuse_impossible(read(text.replace("choice: [0.1, 0.01]", "uniform: [0.0, 0.1]")))


def test_settings_reach_dvc_as_they_are_meant(work: Path) -> None:
    text = WHOLE.replace(
        "search: grid", "search: grid\nset:\n  train.length: 10 steps\n  train.warmup: 0"
    )
    text += "  \n"
    wanted = {
        "train.lr": 1e-05,
        "train.augment.scale": [0.5, 2.0],
        "train.clip": None,
        "train.compile": False,
        "labels.scheme": "it's 1, 2.csv",
        "tracking.experiment": "true",
        "train.length": "10 steps",
        "train.early_stopping.metric": "val_miou",
    }
    about = read(text).model_copy(update={"settings": {**wanted, "train.warmup": 0}})
    params = Experiment("", settings(about, {})).parameters().model_dump(mode="json")
    for key, value in wanted.items():
        found: Any = params
        for part in key.split("."):
            found = found[part]
        assert found == value, key


def test_every_number_of_the_stages_can_be_a_metric() -> None:
    known = known_measures()
    assert {
        "evaluation.miou",
        "training.images_per_second",
        "training.device_hours",
        "history.val_loss",
    } <= {*known}
    assert "evaluation.foreground.by_image.iou" in known
    assert not [name for name in known if "interval" in name or "protocol" in name]
    assert row_label("evaluation.miou") == "mIoU"
    assert row_label("history.val_miou") is None
    assert "evaluation.miou" in {f"evaluation.{name}" for name in Evaluation.model_fields}


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_the_sweeps_of_the_recipes_are_whole(path: Path, work: Path) -> None:
    base = {"sequence_grid": "sequence", "tiles_bayes": "esd"}[path.stem]
    assert main(["use", base, "--force"]) == 0
    definition = read_definition(path)
    assert refuse_impossible(definition) > 10
    if path.stem == "sequence_grid":
        points = {(one["train.batch_size"], one["train.lr"]) for one in grid(definition)}
        assert points == set(itertools.product((8, 16, 32), (1e-3, 5e-3, 1e-4, 5e-4)))
        assert definition.settings["train.length"] == "10 epochs"
    else:
        assert definition.space["train.lr"].log_uniform == (1e-5, 0.1)
        assert {"train.batch_size", "train.length", "train.optimizer", "model.unet.depth"} <= {
            *definition.space
        }


def test_there_are_sweeps_to_look_at() -> None:
    assert len(SWEEPS) == 2


def test_each_job_has_its_own_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,GPU-ab,7")
    visible = [one["CUDA_VISIBLE_DEVICES"] for one in shared_out(2)]
    assert visible == ["4,5", "GPU-ab,7"]
    with pytest.raises(
        ParameterError, match="there are 4 GPUs, and each training needs one of its own"
    ):
        shared_out(5)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    [one, other] = shared_out(2)
    assert one == other
    assert "CUDA_VISIBLE_DEVICES" not in one
    assert int(one["OMP_NUM_THREADS"]) >= 1
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert shared_out(4)[0]["OMP_NUM_THREADS"] == "3"
    assert shared_out(1) == [{}]


def test_a_dry_run_shows_the_points_and_trains_nothing(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    read(WHOLE)
    assert main(["sweep", "it.yaml", "--dry-run", "--trials", "2"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said == [
        "8 points of the space were checked against the parameters: all are valid",
        "it-000: model.name=unet, model.unet.depth=1, train.lr=0.1",
        "it-001: model.name=unet, model.unet.depth=1, train.lr=0.01",
    ]
    assert not Path(".segpipe").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nothing"], "no sweep among the recipes:\n  sequence_grid\n  tiles_bayes"),
        (["it.yaml", "--jobs", "0"], "--jobs 0: must be 1 or more"),
        (["it.yaml", "--trials", "-1"], "--trials -1: must be 1 or more"),
        (["it.yaml", "-S", "train.lr=1"], "train.lr: is searched by it.yaml"),
        (["it.yaml", "-S", "train.lrr=1"], "did you mean train.lr?"),
    ],
)
def test_wrong_calls(
    arguments: list[str], words: str, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    read(WHOLE)
    assert main(["sweep", *arguments]) == 1
    assert words in capsys.readouterr().err


def test_without_optuna_the_line_to_install_it_is_given(
    work: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    read(WHOLE)
    assert main(["sweep", "it.yaml", "--dry-run"]) == 1
    assert "pip install 'segpipe[sweep]'" in capsys.readouterr().err
