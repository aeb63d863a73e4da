"""Out of memory in a step: it is explained, and the state is kept."""

import re
import shutil
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from segpipe.dataset.reader import Dataset
from segpipe.loading.order import BatchShard
from segpipe.params.load import load_params
from segpipe.runtime.provenance import take_snapshot
from segpipe.training import loop
from segpipe.training.run import run_training
from segpipe.training.state.checkpoint import Progress, State
from segpipe.training.state.saver import Saver
from segpipe.training.watch.memory import OutOfMemory, memory_watched
from stages import train
from tests.forge import make_workspace, tiny_parameters, write_parameters


def explained(
    accumulation: int,
    processes: int,
    forecast: Callable[[], dict[str, float]],
    batch: int = 12,
    lanes: int = 0,
) -> str:
    """What is said of an allocator's error in step 7."""
    shard = BatchShard(batch, processes, processes - 1, accumulation, lanes)
    watched = memory_watched(shard, (512, 1024), torch.device("cpu"), Progress(step=6), forecast)
    with pytest.raises(OutOfMemory) as caught, watched:
        raise MemoryError("no room")
    return str(caught.value)


def test_the_error_says_what_did_not_fit_and_what_to_change() -> None:
    said = explained(2, 2, lambda: {"total_mb": 5321.0})
    assert "out of memory at step 7, with 3 sample(s) of 512x1024 at a time in each process" in said
    found = re.search(r"forecast for it is 5,321 MB a process, and [\d,]+ MB were available", said)
    assert found, said
    assert "The allocator said: no room" in said
    assert "raise train.accumulation to 3 or 6, which keeps train.batch_size" in said
    assert "lower train.augment.crop_height and crop_width" in said
    assert "one sample at a time is the least there is" in explained(12, 1, dict)
    said = explained(1, 2, lambda: {"total_mb": 5321.0}, lanes=2)
    assert "with 6 sample(s)" in said
    assert "2 process(es), train.lanes 2)" in said
    assert (
        "raise train.lanes to 4, which keeps train.batch_size and starts another training" in said
    )


def test_no_memory_for_a_forecast_hides_no_error() -> None:
    def starved() -> dict[str, float]:
        raise MemoryError

    assert "there was no memory left for a forecast" in explained(1, 1, starved)


def test_other_errors_pass_and_what_the_step_held_is_let_go_of() -> None:
    held: list[weakref.ref[torch.Tensor]] = []
    alive: list[bool] = []

    def step(error: Exception) -> None:
        tensor = torch.ones(3)
        held.append(weakref.ref(tensor))
        raise error

    def forecast() -> dict[str, float]:
        alive.append(held[-1]() is not None)
        return {"total_mb": 1.0}

    def watched() -> AbstractContextManager[None]:
        shard = BatchShard(4, 1, 0, 1)
        return memory_watched(shard, (8, 8), torch.device("cpu"), Progress(), forecast)

    with pytest.raises(RuntimeError, match="shapes do not fit"), watched():
        step(RuntimeError("shapes do not fit"))
    with pytest.raises(OutOfMemory), watched():
        step(MemoryError())
    assert alive == [False]


# Of tests/training/conftest.py's ten samples: five steps an epoch of two, a checkpoint every two.
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
        plan = train.planned(load_params(Path("params.yaml")), take_snapshot("train"))
        run_training(plan, train.PREPARED, train.OUTPUTS)
        return folder

    return run


def starve(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Let step number INJECTED_AT (from 0), and all after it, raise in fewer than two micro-batches."""
    real = loop.train_step

    def starved(job, pieces, *, epoch, step, **options):  # type: ignore[no-untyped-def]
        if epoch * job.lengths.epoch + step >= INJECTED_AT and len(pieces) < 2:
            raise error
        return real(job, pieces, epoch=epoch, step=step, **options)

    monkeypatch.setattr(loop, "train_step", starved)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return {
        f"{name}/{key}": value
        for name in ("model", "last")
        for key, value in load_file(folder / f"models/{name}.safetensors").items()
    }


@pytest.mark.slow
def test_the_error_ends_the_run_and_the_state_goes_on_in_smaller_pieces(
    train_in, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """To the weights of a run that was starved after the same checkpoint by another kind of error."""
    errors = {
        "cpu": RuntimeError("DefaultCPUAllocator: can't allocate memory: 99 bytes"),
        "gpu": torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    }
    for name, error in errors.items():
        with monkeypatch.context() as patch:
            starve(patch, error)
            with pytest.raises(OutOfMemory) as caught:
                train_in(name)
        said = str(caught.value)
        assert "with 2 sample(s) of 16x24 at a time in each process (train.batch_size 2, 1 " in said
        assert re.search(r"forecast for it is [\d,]+ MB a process, and [\d,]+ MB were avail", said)
        assert str(error) in said
        assert "raise train.accumulation to 2," in said
        checkpoints = sorted(Path(".segpipe/state").glob("*/checkpoint-*"))
        assert [path.name[-1] for path in checkpoints][-1:] == ["6"]
        assert "resuming" not in capsys.readouterr().out
        train_in(name, train__accumulation=2)
        said = capsys.readouterr().out
        assert "resuming at epoch 2, step 2" in said, "the state is found with another accumulation"
        assert "accumulation was 1 and is 2 now" in said
    cpu, gpu = (weights(Path.cwd().parent / name) for name in errors)
    never = weights(train_in("never"))
    assert len(cpu) > 20
    assert all(torch.equal(value, gpu[name]) for name, value in cpu.items())
    assert not all(torch.equal(value, never[name]) for name, value in cpu.items())
