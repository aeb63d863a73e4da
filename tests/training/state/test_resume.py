"""Where a run goes on: the newest whole checkpoint, best weights of its own history, owed validations."""

import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from segpipe.models.parts.network import Network
from segpipe.params.checkpoint import CheckpointParams
from segpipe.params.length import Length
from segpipe.params.model import ModelParams, UNetParams
from segpipe.runtime.errors import CheckpointError
from segpipe.training.distributed.signals import Interrupted, StopRequest
from segpipe.training.state.checkpoint import State
from segpipe.training.state.resume import resume
from segpipe.training.state.saver import Saver
from segpipe.training.validate import validate
from tests.training.state.test_checkpoint import cut
from tests.training.test_loop import assert_same_weights, learnt

OPTIONS = {"length": Length(9, "steps"), "validate_every": Length(3, "steps"), "ema": 0.9}
EACH = CheckpointParams(steps=1, keep=50)


def newest(folder: Path) -> Path:
    return sorted(folder.glob("checkpoint-*"))[-1]


def test_from_every_checkpoint_a_run_ends_in_the_same_bits(
    dataset, trained, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also the best weights: those that the restored history knows, not those found later."""
    save = Saver.save

    def at_once(self: Saver, state: State) -> None:
        save(self, state)
        self.wait()  # or a fast training would leave some out

    monkeypatch.setattr(Saver, "save", at_once)
    job, progress, rows = trained(dataset, state="whole", checkpoint=EACH, **OPTIONS)
    steps = job.checkpoints.steps()
    assert steps == list(range(1, 10))
    for step in steps[:-1:2]:
        state = f"from{step}"
        shutil.copytree(tmp_path / "whole", tmp_path / state)
        for later in (later for later in steps if later > step):
            shutil.rmtree(tmp_path / state / f"checkpoint-{later:09d}")
        again, its_progress, its_rows = trained(dataset, state=state, **OPTIONS)
        assert_same_weights(job.learner.network, again.learner.network)
        assert_same_weights(job.learner.result, again.learner.result)
        assert learnt(its_progress.history) == learnt(rows)
        assert [row["step"] for row in its_rows] == [n for n in (3, 5, 6, 9) if n > step]
        assert its_progress.best_row == progress.best_row
        assert all(
            torch.equal(value, again.learner.best[name]) for name, value in job.learner.best.items()
        )


def test_a_damaged_newest_is_said_deleted_and_the_one_before_restored(
    dataset, trained, tmp_path: Path
) -> None:
    options = {**OPTIONS, "length": Length(6, "steps")}
    whole, *_ = trained(dataset, state="whole", **options)
    with pytest.raises(Interrupted):
        trained(dataset, checkpoint=EACH, stop=5, **options)
    assert newest(tmp_path / "state").name == "checkpoint-000000005"
    cut(newest(tmp_path / "state") / "best.safetensors")
    fresh, *_ = trained(dataset, state="other", **options)
    fresh.checkpoints.folder = tmp_path / "state"
    *_, before, _ = fresh.checkpoints.steps()
    (tmp_path / "state/checkpoint-old").mkdir()
    restored, [note, stray] = resume(fresh)
    assert restored.step == before
    assert "checkpoint-old: is not named as a checkpoint, so it is passed over" in stray
    assert "checkpoint-000000005: is damaged: best.safetensors was changed" in note
    assert "the one before is whole" in note
    assert fresh.checkpoints.steps()[-1] == before
    again, *_ = trained(dataset, **options)
    assert_same_weights(again.learner.network, whole.learner.network)


def test_when_all_are_damaged_nothing_starts_over_in_silence(dataset, trained, tmp_path) -> None:
    with pytest.raises(Interrupted):
        trained(dataset, checkpoint=EACH, stop=3, **OPTIONS)
    found = sorted((tmp_path / "state").glob("checkpoint-*"))
    for checkpoint in found:
        cut(checkpoint / "network.safetensors")
    with pytest.raises(
        CheckpointError, match=r"No checkpoint of this run is whole.*delete .*state"
    ):
        trained(dataset, **OPTIONS)
    assert sorted((tmp_path / "state").glob("checkpoint-*")) == found, "nothing is thrown away"


def test_the_state_of_another_network_is_no_damage(dataset, trained, tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        trained(dataset, stop=3, **OPTIONS)
    wider = ModelParams(unet=UNetParams(width=8, depth=1))
    with pytest.raises(CheckpointError, match="of another network than the code builds now"):
        trained(dataset, model=wider, **OPTIONS)
    assert newest(tmp_path / "state").name == "checkpoint-000000003"


def test_a_stop_within_a_validation_leaves_at_once_and_repeats_it(
    dataset, trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, _, rows = trained(dataset, state="whole", **OPTIONS)
    seen: list[int] = []
    asked: list[StopRequest] = []

    def watched(*parts):
        asked.append(parts[-1])
        return validate(*parts)

    real = Network.__call__

    def stopping(self, images):
        if not self.training:
            seen.append(len(images))
            if len(seen) == 5:  # the second batch of the second validation, of three
                asked[-1].ask()
        return real(self, images)

    with monkeypatch.context() as patch:
        patch.setattr("segpipe.training.loop.validate", watched)
        patch.setattr(Network, "__call__", stopping)
        with pytest.raises(Interrupted):
            trained(dataset, **OPTIONS)
    assert len(seen) == 5, "no batch more"
    _, progress, its_rows = trained(dataset, **OPTIONS)
    assert learnt(progress.history) == learnt(rows)
    assert [row["step"] for row in its_rows] == [6, 9], "step 6 was trained, not validated"


def test_a_stop_before_the_last_validation_leaves_it_to_the_next_start(dataset, trained) -> None:
    job, _, rows = trained(dataset, state="whole", **OPTIONS)
    with pytest.raises(Interrupted):
        trained(dataset, stop=9, **OPTIONS)
    again, progress, its_rows = trained(dataset, **OPTIONS)
    assert learnt(its_rows) == learnt(rows[-1:])
    assert learnt(progress.history) == learnt(rows)
    assert all(
        torch.equal(value, again.learner.best[name]) for name, value in job.learner.best.items()
    )


def test_a_leading_process_that_sees_less_than_another_does_not_start_over(
    dataset, trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after its machine was lost and another one leads, where they do not share the folder."""
    job, *_ = trained(dataset, **OPTIONS)
    two = replace(job, processes=SimpleNamespace(number=2, leads=True))
    monkeypatch.setattr("segpipe.training.state.resume.gather_object", lambda own: [*own, 12])
    with pytest.raises(
        CheckpointError, match=r"rank 1 sees .* step 12 .* rank 0 none after step 9"
    ):
        resume(two)


def test_a_process_that_cannot_read_what_the_leading_one_read_says_what_is_wanted(
    dataset, trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, *_ = trained(dataset, **OPTIONS)
    two = replace(job, processes=SimpleNamespace(number=2, leads=False))
    resume_module = "segpipe.training.state.resume"
    monkeypatch.setattr(f"{resume_module}.gather_object", lambda own: [12, *own])
    monkeypatch.setattr(f"{resume_module}._agreed", lambda _processes, _step: 12)
    with pytest.raises(CheckpointError, match="must be on a file system that all machines share"):
        resume(two)
