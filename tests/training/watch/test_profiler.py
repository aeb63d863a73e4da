"""The profile of a training: what it holds, and that it changes nothing."""

import gzip
import json
import re
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from pydantic import ValidationError

from segpipe.bundle import plain_weights
from segpipe.params.length import Length
from segpipe.params.loss import LossParams
from segpipe.params.train import TrainParams
from segpipe.runtime.state import profile_folder, state_folder
from segpipe.training.distributed.signals import StopRequest
from segpipe.training.loop import train
from segpipe.training.setup import set_up
from segpipe.training.state.identity import Identity
from segpipe.training.state.resume import resume
from segpipe.training.watch.profiler import (
    PHASES,
    TIMES,
    TRACE,
    Profiler,
    phase_seconds,
    phase_table,
)
from tests.training.conftest import MODEL


def profiler_in(folder: Path, steps: int) -> Profiler:
    return Profiler(folder / "profile", steps=steps, batch_size=2, device=torch.device("cpu"))


def profiled(dataset, folder: Path, steps: int, length: int = 10) -> tuple[Profiler, dict]:
    params = TrainParams(
        batch_size=2,
        length=Length(length, "steps"),
        warmup=Length(0),
        precision="fp32",
        validate_every=Length(2, "steps"),
    )
    job = set_up(dataset, MODEL, LossParams(), params, folder / "state", {})
    progress, _ = resume(job)
    with profiler_in(folder, steps) as profiler:
        train(job, progress, StopRequest(), lambda _row: None, profiler)
    return profiler, plain_weights(job.learner.network)


def traced(folder: Path) -> dict[str, list[float]]:
    """The milliseconds of the events of each name."""
    found = defaultdict(list)
    with gzip.open(folder / TRACE) as file:
        for event in json.load(file)["traceEvents"]:
            found[event.get("name", "")].append(event.get("dur", 0) / 1000)
    return dict(found)


def test_it_writes_a_trace_and_a_table_and_changes_no_bit(dataset, tmp_path: Path, capsys) -> None:
    profiler, weights = profiled(dataset, tmp_path / "with", 4)
    said = capsys.readouterr().out
    plain, others = profiled(dataset, tmp_path / "without", 0)
    assert len(weights) > 10
    assert all(torch.equal(value, others[name]) for name, value in weights.items())
    assert (profiler.written, plain.written) == (True, False)
    assert not plain.folder.exists()
    events = traced(profiler.folder)
    assert len(events["forward"]) == len(events["augmentation"]) == 4
    assert "aten::convolution" in events
    text = (profiler.folder / TIMES).read_text()
    assert text.startswith("4 profiled steps took ")
    rows = re.findall(r"^(\S.*?)  +(-?[\d.]+) %  +(-?[\d.]+)$", text, re.MULTILINE)
    shares = {name: float(share) for name, share, _ in rows}
    milliseconds = {name: float(cost) for name, _, cost in rows}
    assert set(shares) == {*PHASES, "everything else"}
    assert sum(shares.values()) == pytest.approx(100, abs=0.5)
    assert all(share >= 0 for share in shares.values())
    for phase in ("forward", "backward"):  # by another clock
        assert milliseconds[phase] == pytest.approx(sum(events[phase]) / 4, rel=0.3)
    assert "aten::convolution_backward" in text
    assert profiler.last_line() in said
    assert str(profiler.folder) in profiler.last_line()


def test_a_training_that_ends_earlier_has_the_steps_there_were(dataset, tmp_path: Path) -> None:
    profiler, _ = profiled(dataset, tmp_path, 1000, length=5)
    assert profiler.written
    assert (profiler.folder / TIMES).read_text().startswith("2 profiled steps")
    assert len(traced(profiler.folder)["forward"]) == 2


def test_too_few_steps_are_said(dataset, tmp_path: Path, capsys) -> None:
    profiler, _ = profiled(dataset, tmp_path, 3, length=3)
    assert not profiler.written
    assert "train.profile: fewer than 4 steps were left" in capsys.readouterr().out


def test_an_error_writes_nothing(tmp_path: Path) -> None:
    profiler = profiler_in(tmp_path, 3)
    with pytest.raises(ZeroDivisionError), profiler:
        for _ in range(5):
            profiler.step()
        raise ZeroDivisionError
    assert (profiler.written, list(tmp_path.iterdir())) == (False, [])


def event(name: str, start: int, end: int, *kernels: int, marked: bool = False) -> SimpleNamespace:
    """An event of torch's profiler, in microseconds, with the kernels that it started."""
    return SimpleNamespace(
        name=name,
        device_type=SimpleNamespace(name="CPU"),
        is_user_annotation=marked,
        time_range=SimpleNamespace(start=start, end=end),
        kernels=[SimpleNamespace(name="kernel", duration=duration) for duration in kernels],
    )


def test_kernels_are_of_the_phase_in_which_they_were_started() -> None:
    """By any thread; a phase within another is the outer one's."""
    events = [
        event("backward", 2_000_000, 4_000_000, marked=True),
        event("aten::mul_backward", 2_500_000, 2_600_000, 2_000_000, 500_000),
        event("forward", 0, 1_000_000, marked=True),
        event("aten::mul", 900_000, 950_000, 1_500_000),
        event("aten::add", 1_500_000, 1_600_000, 250_000),
        event("waiting for data", 4_100_000, 4_150_000, marked=True),
        event("validation", 4_050_000, 4_550_000, marked=True),
        event("forward", 5_000_000, 5_500_000, marked=True),
    ]
    span = SimpleNamespace(name="forward", duration=9_000_000)
    events[2].kernels.append(span)  # the range itself, on the GPU's time line
    assert phase_seconds(events) == {
        "forward": (1.5, 1.5),
        "backward": (2.0, 2.5),
        "validation": (0.5, 0.0),
        "everything else": (0.0, 0.25),
    }


def test_the_table_of_phases_adds_up() -> None:
    found = {"forward": (1.0, 1.5), "backward": (2.0, 2.5), "everything else": (0.0, 0.5)}
    assert phase_table(found, seconds=4.0, steps=10, batch_size=8).splitlines() == [
        "10 profiled steps took 4.000 s, 20 images/s:",
        "phase              share   ms a step  GPU, ms a step",
        "forward           25.0 %      100.00          150.00",
        "backward          50.0 %      200.00          250.00",
        "everything else   25.0 %      100.00           50.00",
    ]
    on_cpu = phase_table({"forward": (1.0, 0.0)}, seconds=4.0, steps=10, batch_size=8)
    assert on_cpu.splitlines()[1:] == [
        "phase              share   ms a step",
        "forward           25.0 %      100.00",
        "everything else   75.0 %      300.00",
    ]


def test_a_profile_is_no_other_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))

    def identity(**options: int | str) -> dict:
        params = TrainParams(batch_size=2, **options)
        return Identity(MODEL, LossParams(), params, "data").describe()

    assert identity() == identity(profile=10)
    assert identity() == identity(sharding="fsdp2"), "nor is a run on shards"
    assert len({state_folder(identity(**few)) for few in ({}, {"limit": 4}, {"overfit": 4})}) == 3
    state = state_folder(identity())
    assert profile_folder(state) == tmp_path / ".segpipe/profile" / state.name


@pytest.mark.parametrize("steps", [-1, 1001])
def test_what_cannot_be_profiled_is_refused(steps: int) -> None:
    with pytest.raises(ValidationError):
        TrainParams(profile=steps)
