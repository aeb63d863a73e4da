"""What the trials of a sweep show: the front, importance, the winner, and the page with its numbers."""

import csv
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segpipe.sweeps import findings
from segpipe.sweeps.definition import Definition
from segpipe.sweeps.findings import (
    explained,
    importances,
    pareto_front,
    ranked,
    shown_trials,
    verdicts,
)
from segpipe.sweeps.page import Findings, write_files
from segpipe.sweeps.study import Record
from tests.evaluation.test_family import better, miou_of

METRICS = {"evaluation.miou": "maximize", "training.device_hours": "minimize"}


def definition(metrics: dict[str, str] = METRICS, **changes: Any) -> Definition:
    about = {
        "name": "found",
        "search": "random",
        "trials": 40,
        "space": {
            "model.name": {"choice": ["unet", "fcn"]},
            "model.unet.depth": {"int": [1, 4], "when": {"model.name": "unet"}},
            "train.lr": {"log_uniform": [1e-5, 0.1]},
        },
        "metrics": metrics,
    }
    return Definition.model_validate(about | changes)


def records(number: int = 40, seeds: int = 1) -> list[Record]:
    """Trials whose mIoU depends on the learning rate, and whose cost on the depth."""
    random = np.random.default_rng(2)
    found = []
    for n in range(number):
        point: dict[str, Any] = {"model.name": ["unet", "fcn"][n % 2]}
        if n % 2 == 0:
            point["model.unet.depth"] = int(random.integers(1, 5))
        point["train.lr"] = float(10 ** random.uniform(-5, -1))
        good = 0.7 - 0.1 * (np.log10(point["train.lr"]) + 3) ** 2
        values = {
            "evaluation.miou": [float(good + 0.02 * random.normal()) for _ in range(seeds)],
            "training.device_hours": [float(point.get("model.unet.depth", 6) + random.random())]
            * seeds,
        }
        found.append(Record(n, "complete", point, values, [f"found-{n:03d}"], None))
    pruned = Record(number, "pruned", found[0].point, found[0].values, ["found-040"], None)
    failed = Record(number + 1, "failed", found[1].point, {}, [], "out of <memory>")
    return [*found, pruned, failed]


def test_the_front_is_that_of_a_brute_force_search() -> None:
    trials = shown_trials(records())
    front = pareto_front(trials, definition().metrics)
    costs = {
        one.record.number: (-one.means["evaluation.miou"], one.means["training.device_hours"])
        for one in trials
        if one.record.state == "complete"
    }
    expected = {
        n
        for n, (a, b) in costs.items()
        if not any((c <= a and d <= b and (c, d) != (a, b)) for c, d in costs.values())
    }
    assert {one.record.number for one in front} == expected
    assert 2 <= len(expected) < 20
    means = [one.means["evaluation.miou"] for one in front]
    assert means == sorted(means, reverse=True)


def test_equal_points_are_all_on_the_front() -> None:
    one = records()[0]
    twins = [Record(n, "complete", one.point, one.values, [f"t{n}"], None) for n in range(3)]
    assert len(pareto_front(shown_trials(twins), definition().metrics)) == 3


def test_pruned_and_failed_trials_are_never_the_best() -> None:
    order = ranked(shown_trials(records()), "evaluation.miou", "maximize")
    assert len(order) == 40
    assert {one.record.state for one in order} == {"complete"}


def test_a_parameter_explains_what_lies_between_its_values() -> None:
    assert explained([1, 1, 2, 2], [0.0, 0.0, 1.0, 1.0]) == 1.0
    assert explained([1, 1, 2, 2], [0.0, 1.0, 0.0, 1.0]) == 0.0
    # By hand: within 4 x 0.25 = 1 of 2 degrees of freedom, all of it 5 of 3: 1 - 0.5 / (5 / 3).
    assert explained(["a", "a", "b", "b"], [0, 1, 2, 3]) == pytest.approx(1 - 0.5 / (5 / 3))
    assert explained([1, 2], [0.0, 1.0]) is None, "with one trial a value nothing can be told"
    assert explained([1, 1], [0.0, 1.0]) is None
    assert explained([True, 1, True, 1], [0, 1, 0, 1]) == 1.0, "true is not 1"
    chance = [
        explained(list(range(40)), list(np.random.default_rng(s).normal(size=40)))
        for s in range(200)
    ]
    assert np.mean([share or 0 for share in chance]) < 0.05


def test_importance_finds_what_the_scores_depend_on() -> None:
    found = importances(shown_trials(records()), definition())
    by = {(one.parameter, one.metric): one for one in found}
    assert (by["train.lr", "evaluation.miou"].share or 0) > 0.5
    assert (by["model.name", "training.device_hours"].share or 0) > 0.5
    assert (by["model.name", "evaluation.miou"].share or 0) < 0.2
    assert by["model.unet.depth", "training.device_hours"].trials == 20
    assert found[0].parameter == "train.lr"


ONE = {"evaluation.miou": "maximize"}


def test_a_winner_is_named_only_where_it_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    trials = shown_trials(records(3, seeds=3))
    best, *others = ranked(trials, "evaluation.miou", "maximize")
    asked: list[tuple[Any, Any]] = []

    def shown(first: Any, other: Any, label: str) -> bool:
        asked.append((first, other))
        assert label == "mIoU"
        return True

    monkeypatch.setattr(findings, "_is_shown", shown)
    [line] = verdicts(trials, definition(ONE, repeats=3))
    assert line.startswith(f"winner: trial {best.record.number} is shown to be better")
    assert asked == [(best.record.experiments, one.record.experiments) for one in others]
    monkeypatch.setattr(findings, "_is_shown", lambda *_: False)
    [line] = verdicts(trials, definition(ONE, repeats=3))
    assert line.startswith(
        f"no winner: trial {best.record.number} has the best mean, and is not shown"
    )


def test_the_difference_is_that_of_families_of_seeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    gains = {"worse": 0.0, "plain": 0.05, "near": 0.053}
    families = {name: better(name, gain) for name, gain in gains.items()}
    found = [
        Record(
            n,
            "complete",
            {"train.lr": 0.1},
            {"evaluation.miou": list(map(miou_of, names))},
            names,
            None,
        )
        for n, names in enumerate(families.values())
    ]
    [line] = verdicts(shown_trials(found), definition(ONE, repeats=3))
    assert line == "no winner: trial 1 has the best mean, and is not shown to be better than 2"
    [line] = verdicts(shown_trials(found[:2]), definition(ONE, repeats=3))
    assert line.startswith("winner: trial 1 is shown to be better than each other point")


@pytest.mark.parametrize(
    ("metrics", "repeats", "words"),
    [
        (ONE, 1, "with 1 seed"),
        (ONE, 2, "with 2 seed"),
        (
            {"training.device_hours": "minimize"},
            3,
            "how sure training.device_hours is, is not known",
        ),
    ],
)
def test_without_intervals_there_is_no_winner(
    metrics: dict[str, str], repeats: int, words: str
) -> None:
    [line] = verdicts(shown_trials(records(4, seeds=repeats)), definition(metrics, repeats=repeats))
    assert line.startswith("no winner: ")
    assert words in line


@pytest.mark.parametrize("metrics", [METRICS, ONE], ids=["several", "one"])
def test_every_number_of_the_page_is_in_a_file_beside_it(
    metrics: dict[str, str], tmp_path: Path
) -> None:
    found = Findings(definition(metrics), 50, shown_trials(records()), ["no winner: <b>"])
    write_files(tmp_path, found)
    page = (tmp_path / "sweep.html").read_text()
    assert not re.search(r"<script|https?://|<link|@import|src=", page)
    assert "out of &lt;memory&gt;" in page
    assert "no winner: &lt;b&gt;" in page
    # A history for each metric, the front of two, the parallel coordinates.
    assert page.count("<svg") == page.count("</svg>") == (4 if len(metrics) > 1 else 2)
    about = json.loads((tmp_path / "sweep.json").read_text())
    assert about["best"] == [one.record.number for one in found.best]
    assert len(about["trials"]) == 42
    with (tmp_path / "trials.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert float(rows[0]["evaluation.miou"]) == found.trials[0].means["evaluation.miou"]
    assert rows[1]["model.unet.depth"] == ""
    assert [row["state"] for row in rows[-2:]] == ["pruned", "failed"]


def test_a_sweep_without_a_finished_trial_has_a_page(tmp_path: Path) -> None:
    write_files(tmp_path, Findings(definition(), 50, shown_trials(records()[-1:]), []))
    assert "0 of 50 points" in (tmp_path / "sweep.html").read_text()


def test_no_address_of_a_database_reaches_the_files(tmp_path: Path) -> None:
    about = definition(storage="postgresql://ann@secret/db")
    write_files(tmp_path, Findings(about, 50, shown_trials(records()), []))
    assert not [path for path in tmp_path.iterdir() if "secret" in path.read_text()]
