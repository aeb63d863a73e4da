"""When checkpoints are written, in the background, and what a disk that refuses does to a run."""

import errno
import threading
import time
from pathlib import Path
from unittest.mock import Mock

import pytest

from segpipe.params.checkpoint import CheckpointParams
from segpipe.params.length import Length
from segpipe.runtime.errors import CheckpointError, TrainingError
from segpipe.training.distributed.signals import StopRequest
from segpipe.training.loop import train
from segpipe.training.state.checkpoint import Checkpoints, Progress, State
from segpipe.training.state.saver import Saver
from tests.training.state.test_checkpoint import state_at
from tests.training.test_loop import assert_same_weights, learnt


class Watch:
    """A clock that is set by hand, in seconds."""

    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


class Gated(Checkpoints):
    """Writes once it is let to; `fails` is what it raises instead."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.gate = threading.Event()
        self.fails: BaseException | None = None

    def write(self, state: State) -> None:
        assert self.gate.wait(10)
        if self.fails:
            raise self.fails
        super().write(state)


def saver(checkpoints: Checkpoints, watch: Watch, **params: object) -> Saver:
    usual = {"minutes": None, "steps": None}
    return Saver(checkpoints, CheckpointParams(**{**usual, **params}), watch)


def test_rows_steps_and_minutes_make_one_due(tmp_path: Path) -> None:
    watch = Watch()
    due = {}
    for name, params in (
        ("rows", {}),
        ("steps", {"steps": 4}),
        ("minutes", {"minutes": 0.5}),
    ):
        watch.seconds = 0.0
        one = saver(Checkpoints(tmp_path / name), watch, **params)
        taken = []
        for step in range(1, 13):
            watch.seconds += 10
            if one.is_due(step, row_due=step % 5 == 0):
                one.save(state_at(step))
                one.wait()
                taken.append(step)
        due[name] = taken
    assert due == {
        "rows": [5, 10],
        "steps": [4, 5, 8, 10, 12],
        "minutes": [3, 5, 8, 10],  # half a minute after whichever was the last one
    }


def test_the_training_goes_on_while_one_is_written_and_the_next_comes_after(
    tmp_path: Path,
) -> None:
    checkpoints = Gated(tmp_path)
    one = saver(checkpoints, Watch(), steps=2)
    assert one.is_due(2, False)
    one.save(state_at(2))
    assert not one.is_due(3, False)
    assert not one.is_due(4, False), "one writer at a time"
    assert checkpoints.steps() == []
    checkpoints.gate.set()
    one.wait()
    assert checkpoints.steps() == [2]
    assert one.is_due(5, False), "what fell due meanwhile is made up for"
    one.save(state_at(5))
    one.wait()
    assert not one.is_due(7, False)


def test_a_full_disk_is_said_once_and_the_training_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoints = Gated(tmp_path)
    checkpoints.gate.set()
    one = saver(checkpoints, Watch())
    one.save(state_at(1))
    one.wait()
    checkpoints.fails = OSError(errno.ENOSPC, "No space left on device")
    for taken in (2, 3):
        one.save(state_at(taken))
        one.wait()
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 1
    assert "step 2 could not be saved: [Errno 28] No space left on device" in said[0]
    assert "the training goes on" in said[0]
    assert checkpoints.steps() == [1]
    with pytest.raises(CheckpointError, match=r"step 4 could not be saved.*from step 1, which is"):
        one.save_and_wait(state_at(4))
    checkpoints.fails = None
    one.save_and_wait(state_at(5))
    assert "step 5 is saved again" in capsys.readouterr().out
    assert checkpoints.steps() == [1, 5]


def test_a_mistake_in_the_writer_is_raised_in_the_training(tmp_path: Path) -> None:
    checkpoints = Gated(tmp_path)
    checkpoints.gate.set()
    checkpoints.fails = TypeError("no such thing")
    one = saver(checkpoints, Watch())
    one.save(state_at(1))
    with pytest.raises(TypeError, match="no such thing"):
        one.wait()


def test_a_run_on_a_full_disk_trains_on_and_loses_no_earlier_checkpoint(
    dataset, trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    """Full from the second checkpoint on; then for the end too, which is an error; then no more."""
    options = {"length": Length(8, "steps"), "validate_every": Length(2, "steps")}
    whole, _, rows = trained(dataset, state="whole", **options)
    full = [2, 3, 4]
    written: list[str] = []
    write, save = Checkpoints.write, Saver.save

    def filling(self: Checkpoints, state: State) -> None:
        written.append(self.folder.name)
        if len(written) in full:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(self, state)

    def at_once(self: Saver, state: State) -> None:
        save(self, state)
        self.wait()  # or a fast training would leave one out

    monkeypatch.setattr(Checkpoints, "write", filling)
    monkeypatch.setattr(Saver, "save", at_once)
    job, _, its_rows = trained(dataset, state="once", **options)
    assert "training goes on" in capsys.readouterr().out
    assert len(written) == 5
    assert learnt(its_rows) == learnt(rows)
    assert_same_weights(job.learner.network, whole.learner.network)
    assert job.checkpoints.steps() == [2, 8]
    written.clear()
    full.append(5)
    with pytest.raises(CheckpointError, match="from step 2, which is kept"):
        trained(dataset, state="twice", **options)
    monkeypatch.undo()
    again, progress, _ = trained(dataset, state="twice", **options)
    assert learnt(progress.history) == learnt(rows)
    assert_same_weights(again.learner.network, whole.learner.network)


def test_a_last_good_state_is_written_before_an_error_ends_the_run(
    dataset, trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, *_ = trained(dataset, state="whole", length=Length(2, "steps"))
    begun = threading.Event()
    write = Checkpoints.write

    def slow(self: Checkpoints, state: State) -> None:
        begun.set()
        time.sleep(0.3)
        write(self, state)

    monkeypatch.setattr(Checkpoints, "write", slow)
    job.saver.save(state_at(3))
    assert begun.wait(5)
    with monkeypatch.context() as patch:
        broken = Mock(side_effect=TrainingError("not finite"))
        patch.setattr("segpipe.training.loop.train_step", broken)
        with pytest.raises(TrainingError, match="not finite"):
            train(job, Progress(), StopRequest(), lambda _row: None)
    assert 3 in job.checkpoints.steps()
