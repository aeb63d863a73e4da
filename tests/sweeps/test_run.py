"""The trials of a sweep over trainings that take no time: all points once, whatever is killed and when."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from segpipe.runtime.errors import ParameterError, SegpipeError
from segpipe.runtime.trial import reported_rows
from segpipe.sweeps.study import Record, Study
from tests.cli.test_compare import commit, make_repository
from tests.forge import ROOT, child_environment, runs, tiny_parameters, wait_until, write_parameters
from tests.sweeps.fakes import FakeTrainer, runner

pytest.importorskip("optuna")

GRID = """
search: grid
space:
  train.lr: {choice: [0.1, 0.2, 0.3, 0.4]}
  train.batch_size: {choice: [1, 2]}
metrics: {evaluation.miou: maximize}
"""
PRUNED = """
search: grid
space:
  train.lr: {choice: [0.5, 0.4, 0.3, 0.1]}
metrics: {evaluation.miou: maximize}
pruner: {name: median, patience: 2, startup: 2}
"""


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with parameters."""
    monkeypatch.chdir(tmp_path)
    make_repository(tmp_path)
    write_parameters(tmp_path / "params.yaml", tiny_parameters(Path("data")))
    commit(tmp_path, "first")
    return tmp_path


def file_of(text: str) -> Path:
    path = Path("it.yaml")
    path.write_text(text)
    return path


def trained() -> Counter[str]:
    log = Path("trained.log")
    return Counter(log.read_text().split() if log.exists() else [])


def values(records: list[Record]) -> dict[int, list[float]]:
    return {one.number: list(one.values["evaluation.miou"]) for one in records}


def test_a_grid_is_trained_exactly(work: Path) -> None:
    sweep = runner(file_of(GRID), jobs=2)
    assert sweep.run() == {}
    assert [one.point for one in sweep.study.records()] == [
        {"train.lr": lr, "train.batch_size": size} for lr in (0.1, 0.2, 0.3, 0.4) for size in (1, 2)
    ]
    assert {one.state for one in sweep.study.records()} == {"complete"}
    assert trained() == {f"it-{n:03d}": 1 for n in range(8)}
    assert values(sweep.study.records())[7] == [0.4]
    used = {json_of(name)["visible"] for name in trained()}
    assert used == {"0", "1"}, "each training has a device of its own"
    again = runner(file_of(GRID))
    assert again.run() == {}
    assert sum(trained().values()) == 8


def json_of(name: str) -> dict[str, str]:
    import json

    found: dict[str, str] = json.loads(Path(f"results/{name}.json").read_text())
    return found


def test_more_trials_go_on_where_the_first_ended(work: Path) -> None:
    assert runner(file_of(GRID + "trials: 3\n")).run() == {}
    assert sorted(trained()) == ["it-000", "it-001", "it-002"]
    assert runner(file_of(GRID)).run() == {}
    assert trained() == {f"it-{n:03d}": 1 for n in range(8)}


def test_a_point_is_the_mean_over_its_seeds(work: Path) -> None:
    sweep = runner(file_of(GRID + "repeats: 3\ntrials: 2\n"))
    sweep.run()
    assert sorted(trained()) == [f"it-00{n}-seed-{seed}" for n in range(2) for seed in range(3)]
    assert values(sweep.study.records())[0] == pytest.approx([0.1, 0.101, 0.102])
    assert sweep.study._study.trials[0].value == pytest.approx(0.101)


@pytest.mark.slow
def test_poor_trainings_are_pruned_and_marked(work: Path) -> None:
    sweep = runner(file_of(PRUNED), seconds=1.0)
    assert sweep.run() == {}
    states = [one.state for one in sweep.study.records()]
    assert states == ["complete", "complete", "pruned", "pruned"]
    rows = [len(reported_rows(Path("sweep") / f"{n:03d}")) for n in range(4)]
    assert rows[:2] == [5, 5]
    assert all(2 <= number < 5 for number in rows[2:])
    assert all(not (Path("sweep") / f"{n:03d}/end").exists() for n in range(4))
    assert values(sweep.study.records())[3] == [0.1], "what it reached is kept"


def test_a_training_that_fails_is_named_and_tried_again_by_the_next_call(work: Path) -> None:
    text = GRID.replace(
        "train.batch_size: {choice: [1, 2]}", "train.optimizer: {choice: [adam, sgd]}"
    )
    sweep = runner(file_of(text + "trials: 4\n"))
    assert sweep.run() == {1: "the loss is not finite", 3: "the loss is not finite"}
    assert [one.state for one in sweep.study.records()] == ["complete", "failed"] * 2
    assert sweep.study.records()[1].reason == "the loss is not finite"
    Path("results/it-001.json").write_text('{"settings": {"train.lr": "0.1"}, "pruned": false}')
    assert list(runner(file_of(text + "trials: 4\n")).run()) == [3]


def test_a_sweep_of_which_all_fails_stops(work: Path) -> None:
    text = GRID.replace("train.batch_size: {choice: [1, 2]}", "train.optimizer: {choice: [sgd]}")
    with pytest.raises(
        SegpipeError, match="3 trials failed one after the other, the last because: the loss"
    ):
        runner(file_of(text)).run()


def test_a_training_that_is_killed_is_started_again(work: Path) -> None:
    class Killing(FakeTrainer):
        killed = 0

        def start(self, *arguments, **named):  # type: ignore[no-untyped-def]
            process = super().start(*arguments, **named)
            if self.killed < 2:
                self.killed += 1
                process.kill()
            return process

    sweep = runner(file_of(GRID + "trials: 2\n"), seconds=0.3)
    sweep.trainer = Killing(0.3)
    assert sweep.run() == {}
    assert trained() == {"it-000": 1, "it-001": 1}


@pytest.mark.slow
@pytest.mark.parametrize("group", [True, False], ids=["with its trainings", "alone"])
def test_kills_at_any_moment_lose_and_repeat_nothing(group: bool, work: Path) -> None:
    """The sweep is killed with -9 at random moments, until it gets to its end."""
    file, draws = file_of(GRID), random.Random(3)
    kills = 0
    for _ in range(60):
        sweep = start(file, jobs=2, seconds=0.4)
        try:
            assert sweep.wait(2.0 + 3.0 * draws.random()) == 0, Path("said.log").read_text()
            break
        except subprocess.TimeoutExpired:
            kills += 1
            os.killpg(sweep.pid, signal.SIGKILL) if group else sweep.kill()
            sweep.wait()
    assert kills
    study = runner(file).study
    assert [one.state for one in study.records()] == ["complete"] * 8
    assert [one.number for one in study.records()] == list(range(8)), (
        "no trial is lost or begun twice"
    )
    assert trained() == {f"it-{n:03d}": 1 for n in range(8)}


@pytest.mark.slow
def test_a_trial_that_another_process_trains_is_waited_for(work: Path) -> None:
    file = file_of(GRID + "trials: 1\n")
    first = start(file, jobs=1, seconds=6)
    wait_until(lambda: list(Path("sweep").glob("000/*.log")))
    first.kill()  # its training lives on
    first.wait()
    begun = time.monotonic()
    assert runner(file, seconds=0.1).run() == {}
    assert time.monotonic() - begun > 1
    assert trained() == {"it-000": 1}


@pytest.mark.slow
def test_two_sweeps_at_a_time_share_the_points(work: Path) -> None:
    file = file_of(GRID)
    both = [start(file, jobs=1, seconds=0.5) for _ in range(2)]
    assert [one.wait(120) for one in both] == [0, 0], Path("said.log").read_text()
    assert trained() == {f"it-{n:03d}": 1 for n in range(8)}


@pytest.mark.slow
def test_ctrl_c_ends_the_trainings_and_the_next_call_goes_on(work: Path) -> None:
    file = file_of(GRID)
    sweep = start(file, jobs=2, seconds=30)
    wait_until(lambda: len(list(Path("sweep").glob("*/*.log"))) == 2)
    children = [
        int(one) for one in subprocess.check_output(["pgrep", "-P", str(sweep.pid)]).split()
    ]
    time.sleep(0.5)
    os.killpg(sweep.pid, signal.SIGINT)
    assert sweep.wait(30) != 0
    assert not any(runs(child) for child in children)
    assert runner(file).run() == {}
    assert trained() == {f"it-{n:03d}": 1 for n in range(8)}


def test_another_sweep_of_the_same_name_is_refused(work: Path) -> None:
    runner(file_of(GRID + "trials: 1\n")).run()
    with pytest.raises(
        ParameterError, match=r"another `name`:\n +space: .*0\.4.* there, .*0\.5.* here"
    ):
        runner(file_of(GRID.replace("0.4", "0.5")))
    write_parameters(work / "params.yaml", tiny_parameters(Path("data"), train__weight_decay=0.5))
    with pytest.raises(
        ParameterError, match=r"params.yaml: train.weight_decay: 0.01 there, 0.5 here"
    ):
        runner(file_of(GRID))


def start(file: Path, jobs: int, seconds: float) -> "subprocess.Popen[bytes]":
    """Start a sweep as the leader of a group, as a shell does."""
    with Path("said.log").open("ab") as said:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.sweeps.fakes", str(file), str(jobs), str(seconds)],
            env=child_environment(PYTHONPATH=str(ROOT)),
            stdout=said,
            stderr=said,
            start_new_session=True,
        )


def test_a_point_that_is_drawn_twice_is_trained_once(work: Path) -> None:
    text = GRID.replace("search: grid", "search: random\ntrials: 6\n").replace(
        "0.2, 0.3, 0.4", "0.2"
    )
    text = text.replace("[1, 2]", "[1]")
    sweep = runner(file_of(text))
    sweep.run()
    assert len(sweep.study.records()) == 6
    assert sum(trained().values()) == 2


def test_the_draws_go_on_after_a_restart_as_without_one(work: Path) -> None:
    text = GRID.replace("search: grid", "search: random\ntrials: 6\n")
    text = text.replace("{choice: [0.1, 0.2, 0.3, 0.4]}", "{log_uniform: [0.01, 1.0]}")
    whole = runner(file_of(text.replace("search", "name: whole\nsearch")))
    whole.folder = Path("whole")
    whole.study = Study(whole.definition, whole.folder)
    whole.run()
    for trials in (2, 4, 6):
        runner(file_of(text.replace("trials: 6", f"trials: {trials}"))).run()
    points = [one.point for one in runner(file_of(text)).study.records()]
    assert points == [one.point for one in whole.study.records()]
    assert len({one["train.lr"] for one in points}) == 6
