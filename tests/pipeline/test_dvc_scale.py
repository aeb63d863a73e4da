"""The measurement of what DVC costs."""

import re

import pytest

from tests.forge import ROOT, run_python


@pytest.mark.slow
def test_the_measurement_prints_a_row_for_each_layout() -> None:
    options = ["--samples", "4", "--height", "32", "--width", "32", "--rounds", "1"]
    done = run_python(["-m", "bench.dvc_scale", *options, "--links", "copy", "hardlink"], ROOT)
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if line.startswith(("| copy", "| hardlink"))]
    assert [row.split("|")[2].strip() for row in rows] == ["shards", "PNG files"] * 2
    for row in rows:
        times = [float(time) for time in re.findall(r"([\d.]+) s \(", row)]
        assert len(times) == 7
        assert min(times) > 0
