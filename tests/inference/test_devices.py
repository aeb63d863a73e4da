"""Several devices for one folder, of which the CPU named twice stands in for two (devices.py)."""

import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from segpipe.bundle_format import SHIPPED
from segpipe.cli.main import main
from segpipe.inference.devices import on_devices
from segpipe.inference.predictor import Predictor
from tests.forge import save, scene, signalled
from tests.inference.test_predictor import predictor
from tests.inference.test_raster_prediction import (
    raster_files,
    save_random_bundle,
    values,
    write_tif,
)


def pictures(folder: Path, number: int = 20) -> None:
    """Of two sizes, which are not mixed in the batches of one size."""
    for place in range(number):
        image = scene(place)[0]
        save(folder / f"{place:02d}.png", image if place % 3 else image[:, ::2])


def snapshot(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def predict(folder: Path, out: Path, *more: str) -> int:
    return main(["predict", str(folder), "--out", str(out), *more])


def test_the_files_are_those_of_one_device(tmp_path: Path) -> None:
    pictures(tmp_path / "in")
    asked = ["--bundle", str(SHIPPED), "--probabilities", "road", "car", "--uncertainty"]
    for out, devices in (("one", "cpu"), ("two", "cpu,cpu"), ("three", "cpu,cpu,cpu")):
        assert predict(tmp_path / "in", tmp_path / out, *asked, "--device", devices) == 0
    one = snapshot(tmp_path / "one")
    assert len(one) == 20 * 5
    assert one == snapshot(tmp_path / "two") == snapshot(tmp_path / "three")


def test_jobs_take_turns_and_keep_their_order() -> None:
    used: list[tuple[Predictor, int]] = []

    def work(one: Predictor, job: int) -> Iterator[int]:
        used.append((one, job))
        assert threading.current_thread() is not threading.main_thread()
        yield job
        yield -job

    both = [predictor(), predictor()]
    found = list(on_devices(both, work, range(9)))
    assert found == [sign * job for job in range(9) for sign in (1, -1)]
    assert {(both.index(one), job) for one, job in used} == {(job % 2, job) for job in range(9)}


def test_the_files_of_a_device_that_fails_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures(tmp_path / "in")
    loaded: list[Predictor] = []
    load = Predictor.load

    def failing(*arguments: Any) -> Predictor:
        one = load(*arguments)
        loaded.append(one)
        if len(loaded) == 2:
            monkeypatch.setattr(one, "_network", refuse)
        return one

    def refuse(_: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 8 GiB\nmore")

    monkeypatch.setattr(Predictor, "load", failing)
    assert predict(tmp_path / "in", tmp_path / "out", "--device", "cpu,cpu") == 1
    said = capsys.readouterr()
    assert "12 of 20 label images" in said.out
    assert "8 images were skipped" in said.err
    for place in range(8, 16):  # the second batch
        name = f"{tmp_path / 'in'}/{place:02d}.png"
        assert f"{name}: could not be predicted on cpu: CUDA out of memory." in said.err
    assert "more" not in said.err.partition("CUDA")[2].partition("\n")[0]
    left = {path.stem for path in (tmp_path / "out").glob("*.png")}
    assert left == {f"{place:02d}" for place in (*range(8), *range(16, 20))}


def test_a_device_that_is_not_here_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures(tmp_path / "in", 1)
    for wrong in ("cuda:99", "cpu,gpu7", ""):
        code = predict(tmp_path / "in", tmp_path / "out", f"--device={wrong or ','}")
        assert code == 1
        assert "cannot be used" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_rasters_are_shared_out_too(tmp_path: Path) -> None:
    bundle = save_random_bundle(tmp_path / "bundle", raster_files(), 16, 24)
    for place in range(5):
        write_tif(tmp_path / f"in/{place}.tif", values(40, 50, place))
    (tmp_path / "in/bad.tif").write_bytes(b"no raster")
    for out, devices in (("one", "cpu"), ("two", "cpu,cpu")):
        asked = ["--bundle", str(bundle), "--device", devices]
        assert predict(tmp_path / "in", tmp_path / out, *asked) == 1
    one = snapshot(tmp_path / "one")
    assert len(one) == 5
    assert one == snapshot(tmp_path / "two")


# Two networks that wait at their second window, as long ones do.
SLOWED = """
import sys, time
from pathlib import Path
from segpipe.cli.main import main
from segpipe.inference.predictor import Predictor

network, calls = Predictor._network, []

def waiting(self, clips):
    calls.append(1)
    Path(f"here{len(calls)}").touch()
    time.sleep(0.2)
    return network(self, clips)

Predictor._network = waiting
sys.exit(main(["predict", "in", "--out", "out", "--device", "cpu,cpu", "--windows", "slide",
               "--probabilities", "all"]))
"""


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)]
)
def test_an_interruption_ends_all(number: signal.Signals, tmp_path: Path) -> None:
    for place in range(16):
        save(tmp_path / f"in/{place}.png", np.tile(scene(0)[0], (20, 10, 1)))
    process = signalled(SLOWED, tmp_path, "here4", number)
    said, errors = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert "the labels of 0 of 16 are finished" in said
    assert errors.endswith("interrupted\n")
    assert "Traceback" not in errors
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
