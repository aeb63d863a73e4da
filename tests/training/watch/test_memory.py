"""Out of memory: it is recognised, explained, and gone on from in smaller pieces."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from segpipe.dataset.reader import Dataset
from segpipe.loading.order import Share
from segpipe.params.load import load_params
from segpipe.params.train import TrainParams
from segpipe.runtime.errors import CheckpointError, TrainingError
from segpipe.runtime.provenance import take_snapshot
from segpipe.training import loop
from segpipe.training.distributed.failure import StartAgain
from segpipe.training.distributed.interruption import Interrupted
from segpipe.training.smaller import fitting, go_on_smaller
from segpipe.training.state.checkpoint import State
from segpipe.training.state.saver import Saver
from segpipe.training.watch.memory import Shortage, is_out_of_memory
from stages import train
from tests.forge import make_workspace, tiny_parameters, write_parameters

FORECAST = {"total_mb": 5321.0}


def shortage(accumulation: int = 1, processes: int = 1, batch: int = 12) -> Shortage:
    share = Share(batch, processes, processes - 1, accumulation)
    return Shortage(7, share, 512, 1024, "CPU", "no room", 4 << 30)


def test_a_shortage_is_told_from_other_errors() -> None:
    with pytest.raises(RuntimeError) as real:
        torch.empty(1 << 55)
    assert is_out_of_memory(real.value), real.value
    for error in (MemoryError(), torch.OutOfMemoryError("CUDA out of memory"), bad_alloc()):
        assert is_out_of_memory(error)
    for other in (RuntimeError("shapes do not fit"), ValueError("can't allocate memory")):
        assert not is_out_of_memory(other)


def bad_alloc() -> RuntimeError:
    return RuntimeError("std::bad_alloc")


def test_what_onednn_says_of_many_things_counts_where_no_room_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    error = RuntimeError("could not create a primitive")
    monkeypatch.setattr("segpipe.training.watch.memory._PROBE", 1)
    assert not is_out_of_memory(error)
    monkeypatch.setattr("segpipe.training.watch.memory._PROBE", 1 << 55)
    assert is_out_of_memory(error)


def auto(accumulation: int = 1, batch: int = 12) -> TrainParams:
    return TrainParams(batch_size=batch, accumulation=accumulation, auto_accumulate=True)


def test_the_pieces_are_halved_as_far_as_they_divide_and_no_further(tmp_path: Path) -> None:
    """12 samples of one process: 12, 6, 3 and 1 at a time."""
    used = []
    for _ in range(3):
        used.append(fitting(auto(), 1, tmp_path).accumulation)
        go_on_smaller(auto(), shortage(used[-1]), tmp_path, lambda: FORECAST)
    with pytest.raises(TrainingError, match="one sample at a time is the least there is"):
        go_on_smaller(auto(), shortage(12), tmp_path, lambda: FORECAST)
    assert [*used, fitting(auto(), 1, tmp_path).accumulation] == [1, 2, 4, 12]


def test_what_was_found_to_fit_is_samples_and_holds_on_other_numbers_of_processes(
    tmp_path: Path,
) -> None:
    go_on_smaller(auto(), shortage(1), tmp_path, lambda: FORECAST)
    go_on_smaller(auto(), shortage(2), tmp_path, lambda: FORECAST)  # three at a time
    found = {n: fitting(auto(), n, tmp_path).accumulation for n in (1, 2, 4, 12)}
    assert found == {1: 4, 2: 2, 4: 1, 12: 1}
    assert fitting(auto(6), 1, tmp_path).accumulation == 6, (
        "a higher one is what a person asked for"
    )
    off = TrainParams(batch_size=12)
    assert fitting(off, 1, tmp_path) == off
    (tmp_path / "micro-batch.json").write_text("{")
    with pytest.raises(CheckpointError, match="delete it, and the training starts again with"):
        fitting(auto(), 1, tmp_path)


def test_of_several_processes_each_ends_to_be_started_again(tmp_path: Path) -> None:
    with pytest.raises(
        StartAgain, match=r"rank 1: .* at step 7 .* from the last checkpoint on it is 2"
    ):
        go_on_smaller(auto(), shortage(1, processes=2), tmp_path, lambda: FORECAST)
    assert fitting(auto(), 2, tmp_path).accumulation == 2


def test_the_error_says_what_did_not_fit_and_what_to_change(tmp_path: Path) -> None:
    with pytest.raises(TrainingError) as caught:
        go_on_smaller(TrainParams(batch_size=12), shortage(2, 2), tmp_path, lambda: FORECAST)
    said = str(caught.value)
    assert "out of memory at step 7, with 3 sample(s) of 512x1024 at a time in each process" in said
    assert (
        "the forecast for it is 5,321 MB a process, and 4,096 MB were available on the CPU" in said
    )
    assert "raise train.accumulation to 3 or 6, which keeps train.batch_size" in said
    assert "lower train.augment.crop_height and crop_width" in said
    assert list(tmp_path.iterdir()) == []


def test_no_memory_for_a_forecast_hides_no_error(tmp_path: Path) -> None:
    def starved() -> dict[str, object]:
        raise MemoryError

    with pytest.raises(TrainingError, match="no memory left for a forecast"):
        go_on_smaller(TrainParams(batch_size=12), shortage(), tmp_path, starved)


# Of tests/engine/conftest.py's ten samples: five steps an epoch of two, a checkpoint every two.
OPTIONS = {
    "model__unet": {"width": 4, "depth": 1, "dropout": 0.2, "norm": "batch", "padding": "same"},
    "train__length": "9 steps",
    "train__batch_size": 2,
    "train__warmup": 0,
    "train__validate_every": "2 steps",
    "train__ema": 0.9,
}
INJECTED_AT = 7


@pytest.fixture
def train_in(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Path]:
    """Run the stage in this process, in a folder by name; `changes` as forge.tiny_parameters.

    Each checkpoint is written before the next step, or a fast training would leave one out.
    """
    save = Saver.save

    def at_once(self: Saver, state: State) -> None:
        save(self, state)
        self.wait()

    monkeypatch.setattr(Saver, "save", at_once)

    def run(name: str, **changes: object) -> Path:
        folder = tmp_path / name
        if not folder.exists():
            make_workspace(folder, tmp_path)
            shutil.copytree(dataset.folder, folder / "data/prepared")
        content = tiny_parameters(tmp_path, **OPTIONS, **changes)
        write_parameters(folder / "params.yaml", content)
        monkeypatch.chdir(folder)
        monkeypatch.setattr("segpipe.training.run.write_sheet", lambda *_: None)
        train.run(load_params(Path("params.yaml")), take_snapshot("train"))
        return folder

    return run


def starve(
    monkeypatch: pytest.MonkeyPatch, error: Exception, at: int = INJECTED_AT, fits: int = 2
) -> None:
    """Let step number `at` (from 0), and all after it, raise in fewer than `fits` micro-batches."""
    real = loop.train_step

    def starved(job, pieces, epoch, step, *arguments):  # type: ignore[no-untyped-def]
        if epoch * job.steps_per_epoch + step >= at and len(pieces) < fits:
            raise error
        return real(job, pieces, epoch, step, *arguments)

    monkeypatch.setattr(loop, "train_step", starved)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return {
        f"{name}/{key}": value
        for name in ("model", "last")
        for key, value in load_file(folder / f"models/{name}.safetensors").items()
    }


def test_it_goes_on_from_the_last_checkpoint_as_if_cut_smaller_by_hand(
    train_in, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another way to the same weights: a stop at the checkpoint, then another parameter."""
    with monkeypatch.context() as patch:
        starve(patch, torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."))
        folder = train_in("auto", train__auto_accumulate=True)
    said = capsys.readouterr().out
    assert "out of memory at step 8 with accumulation 1 (CUDA out of memory. Tried to" in said
    assert "from the last checkpoint on it is 2 (train.auto_accumulate)" in said
    assert "resuming at epoch 2, step 2" in said
    assert "accumulation was 1 and is 2 now" in said
    summary = json.loads((folder / "metrics/training.json").read_text())
    assert (summary["accumulation"], summary["steps"]) == (2, 9)
    about = json.loads((folder / "models/model.json").read_text())
    assert about["lineage"]["accumulations"] == [[0, 1], [6, 2]]

    with monkeypatch.context() as patch:
        starve(patch, Interrupted(), at=6)
        with pytest.raises(Interrupted):
            train_in("hand")
    assert "resuming" not in capsys.readouterr().out
    by_hand = train_in("hand", train__accumulation=2)
    said = capsys.readouterr().out
    assert "resuming at epoch 2, step 2" in said, "the state is found with another accumulation"
    assert "accumulation was 1 and is 2 now" in said
    ours, theirs, never = weights(folder), weights(by_hand), weights(train_in("never"))
    assert len(ours) > 20
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
    assert not all(torch.equal(value, never[name]) for name, value in ours.items())


def test_a_start_by_hand_goes_on_with_what_was_found(
    train_in, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patch:
        starve(patch, MemoryError())
        real = loop.train_step

        def stopped(job, pieces, *arguments):  # type: ignore[no-untyped-def]
            if len(pieces) == 2:
                raise Interrupted
            return real(job, pieces, *arguments)

        patch.setattr(loop, "train_step", stopped)
        with pytest.raises(Interrupted):
            train_in("w", train__auto_accumulate=True)
    starve(monkeypatch, AssertionError("the number was forgotten"), at=0)
    folder = train_in("w", train__auto_accumulate=True)
    assert json.loads((folder / "metrics/training.json").read_text())["accumulation"] == 2
    assert capsys.readouterr().out.count("out of memory") == 1


def test_without_it_the_error_ends_the_run_and_keeps_the_state(
    train_in, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    starve(monkeypatch, RuntimeError("DefaultCPUAllocator: can't allocate memory: 99 bytes"))
    with pytest.raises(TrainingError) as caught:
        train_in("w")
    said = str(caught.value)
    assert "with 2 sample(s) of 16x24 at a time in each process (train.batch_size 2, 1 " in said
    assert re.search(r"forecast for it is [\d,]+ MB a process, and [\d,]+ MB were available", said)
    assert "DefaultCPUAllocator: can't allocate memory: 99 bytes" in said
    assert "raise train.accumulation to 2," in said
    checkpoints = sorted(Path(".segpipe/state").glob("*/checkpoint-*"))
    assert [path.name[-1] for path in checkpoints][-1:] == ["6"]


def test_one_sample_too_many_is_an_error_and_no_endless_retry(
    train_in, monkeypatch: pytest.MonkeyPatch
) -> None:
    starve(monkeypatch, MemoryError(), fits=3)
    with pytest.raises(TrainingError, match="one sample at a time is the least there is"):
        train_in("w", train__auto_accumulate=True)
