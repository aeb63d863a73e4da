"""The script for GPUs at a small size on the CPU: it must not fail first where a GPU is paid for."""

import json
import re
from pathlib import Path

import pytest

from tests.forge import ROOT, make_folder, run_python

pytestmark = pytest.mark.slow

SMALL = {
    "prepare.height": 64,
    "prepare.width": 96,
    "train.augment.crop_height": 64,
    "train.augment.crop_width": 64,
    "train.batch_size": 4,
}


def found_by(part: str, *arguments: str, **settings: int) -> str:
    """Run a part of the script with small sizes; return what it prints."""
    pairs = {**SMALL, **{key.replace("__", "."): value for key, value in settings.items()}}
    sets = [text for key, value in pairs.items() for text in ("--set", f"{key}={value}")]
    done = run_python(["-m", "bench.gpu", "--parts", part, *arguments, *sets], ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_the_board_trains_as_long_as_it_is_told_and_keeps_its_rows(tmp_path: Path) -> None:
    data, out = make_folder(tmp_path / "camvid"), tmp_path / "out"
    said = found_by("board", "--camvid", str(data), "--minutes", "0.4", "--out", str(out))
    rows = json.loads((out / "rows.json").read_text())
    assert rows["camvid-0"]["images"] == 3
    assert 0 < rows["camvid-0"]["miou"] <= 1
    assert (out / "camvid-0/models/model.safetensors").is_file()
    steps = json.loads((out / "camvid-0/metrics/training.json").read_text())["steps"]
    assert f"train.length: {steps} steps" in said
    assert "camvid: 1 seeds, slowest" in said


def test_the_peak_is_named_beside_its_forecast() -> None:
    said = found_by("memory", source__synthetic__height=64, source__synthetic__width=128)
    line = r"memory at batch 4 of 64x64: peak \d+ MB, forecast \d+ MB, ratio (\S+)"
    (ratio,) = re.findall(line, said)
    assert 0.4 < float(ratio) < 1.5
