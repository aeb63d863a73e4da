"""Families of runs with several seeds, and `segpipe repeat` of runs that exist (also results/comparability).

tests/pipeline/test_repeat.py trains them.
"""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
import pytest

from segpipe.cli.main import main
from segpipe.evaluation.family import family, family_differences
from segpipe.results.experiments import RunResults, read_run
from segpipe.runtime.errors import DataError, ParameterError
from tests.evaluation.test_paired import confusions, evaluated
from tests.forge import tiny_parameters, write_parameters

GAINS = (0.0, 0.004, 0.012)


@pytest.fixture
def seeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Three runs of a family: s0, s1 and s2."""
    monkeypatch.chdir(tmp_path)
    return [run_of(f"s{n}", n, confusions(gain, noise=0.01)) for n, gain in enumerate(GAINS)]


def run_of(name: str, seed: int, confusion_NKK: Any, **changes: Any) -> str:
    """A run's folder with metrics/ and params.yaml."""
    evaluated(Path(name) / "metrics", confusion_NKK)
    parameters = tiny_parameters(Path("data"), train__seed=seed, **changes)
    write_parameters(Path(name) / "params.yaml", parameters)
    return name


def miou_of(name: str) -> float:
    miou = read_run(name).evaluation.miou
    assert miou is not None
    return miou


def test_mean_and_spread_on_the_console_as_csv_and_as_json(
    seeds: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["repeat", *seeds, "--csv", "a.csv", "--json", "a.json"]) == 0
    said = capsys.readouterr().out
    mious = [miou_of(name) for name in seeds]
    assert f"s1 (s1/metrics/), train.seed 1, mIoU {100 * mious[1]:.2f} %" in said
    line = next(line for line in said.splitlines() if line.startswith("mIoU  "))
    numbers = (mean(mious), stdev(mious), min(mious), max(mious))
    assert line.split()[1:5] == [f"{100 * number:.2f}" for number in numbers]
    summary = next(
        line for line in said.splitlines() if line.startswith("mIoU ") and "over" in line
    )
    assert f"mIoU {100 * numbers[0]:.2f} % with a standard deviation of " in summary
    assert "over 3 seeds; the mean's 95% interval, for other images and seeds, is " in summary
    assert "(jackknife over 40 images, 3 seeds)" in summary
    assert summary.endswith("% of the variance of a single run is the images'")
    assert said.endswith("the runs side by side: segpipe compare s0 s1 s2\n")
    with Path("a.csv").open() as file:
        rows = {(row["kind"], row["name"]): row for row in csv.DictReader(file)}
    row = rows["score", "mIoU"]
    measured = f"measured on {next(iter(rows.values()))['protocol']}"
    assert "measured on 40 images of split val; " in measured
    assert measured in said.splitlines()
    assert [float(row[n]) for n in seeds] == pytest.approx(mious, abs=1e-6)
    assert float(row["low"]) < numbers[2] < numbers[3] < float(row["high"])
    images, seed = float(row["images_variance"]), float(row["seed_variance"])
    assert float(row["images_share"]) == pytest.approx(images / (images + seed), rel=1e-4)
    assert (
        rows["class", "car"]["low"] and not rows["score", "mIoU of the worst 5 % of images"]["low"]
    )
    content = json.loads(Path("a.json").read_text())
    assert (content["runs"], content["seeds"]) == (seeds, [0, 1, 2])
    assert content["protocol"]["images"] == 40
    of_miou = next(one for one in content["scores"] if one["name"] == "mIoU")
    assert of_miou["mean"] == pytest.approx(mean(mious))
    assert of_miou["std"] == pytest.approx(stdev(mious))
    assert f"{100 * of_miou['low']:.2f} to {100 * of_miou['high']:.2f} %" in summary
    assert main(["repeat", *seeds, "--csv", "a.csv", "--json", "a.json"]) == 0, "its own files"


def test_files_of_others_are_not_replaced(
    seeds: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("mine.txt").write_text("notes\n")
    Path("empty").write_text("")
    for command in (["repeat", *seeds], ["compare", *seeds]):
        for option in ("--csv", "--json") if command[0] == "repeat" else ("--csv",):
            for file in ("mine.txt", "empty"):
                assert main([*command, option, file]) == 1
                said = capsys.readouterr()
                assert f"{option} is {file}: this file was not written by the command" in said.err
                assert said.out == "", "before any work"
            assert main([*command, option, "s0"]) == 1
            assert "which is a folder" in capsys.readouterr().err
    assert Path("mine.txt").read_text() == "notes\n"
    assert main(["compare", *seeds, "--csv", "mine.txt", "--force"]) == 0
    assert Path("mine.txt").read_text().startswith("kind,name,share,")
    assert main(["compare", *seeds, "--csv", "mine.txt"]) == 0, "its own file"
    assert main(["repeat", *seeds, "--json", "empty", "--force"]) == 0


def test_few_images_give_a_spread_and_say_why_there_is_no_interval(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names = [run_of(f"s{n}", n, confusions(0.01 * n)[:19]) for n in range(2)]
    assert main(["repeat", *names]) == 0
    said = capsys.readouterr().out
    assert "over 2 seeds; no interval: 19 image files with truth; at least 20 are needed\n" in said
    found = family([read_run(name) for name in names]).miou
    assert found.deviation == pytest.approx(stdev([miou_of(name) for name in names]))
    assert found.images_share is None


def changed_protocol(field: str, value: Any) -> Callable[[Path], None]:
    def change(run: Path) -> None:
        file = run / "metrics/evaluation.json"
        content = json.loads(file.read_text())
        content["protocol"][field] = value
        file.write_text(json.dumps(content))

    return change


def changed_parameter(key: str, value: Any) -> Callable[[Path], None]:
    def change(run: Path) -> None:
        content = tiny_parameters(Path("data"), **{"train__seed": 1, key: value})
        write_parameters(run / "params.yaml", content)

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (changed_protocol("split", "test"), "the splits differ: s0 val, s1 test, s2 val"),
        (changed_protocol("views", "slide"), "the views differ: "),
        (changed_protocol("network_input", "9x9"), "the inputs of the network differ: "),
        (changed_protocol("images", 41), "the numbers of images differ: s0 40, s1 41, s2 40"),
        (changed_protocol("data", "y"), "the prepared data differ: s0 x, s1 y, s2 x"),
        (changed_protocol("label_scheme", "z"), "the label schemes differ: "),
        (changed_parameter("train__lr", 0.02), "parameter train.lr: s0 0.01, s1 0.02, s2 0.01"),
        (changed_parameter("train__seed", 0), "s0 and s1 have the same train.seed 0"),
    ],
)
def test_runs_that_are_no_family_are_refused(
    change: Callable[[Path], None],
    words: str,
    seeds: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    change(Path("s1"))
    assert main(["repeat", *seeds]) == 1
    said = capsys.readouterr().err
    assert "not one training with several seeds" in said
    assert f"  {words}" in said


def test_what_decides_no_result_may_differ(
    seeds: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    changed_parameter("render__opacity", 0.3)(Path("s1"))
    changed_protocol("precision", "bf16")(Path("s1"))
    assert main(["repeat", *seeds]) == 0
    assert "note: the precisions differ: s0 fp32, s1 bf16, s2 fp32" in capsys.readouterr().out


def test_one_run_is_no_family(seeds: list[str]) -> None:
    with pytest.raises(ParameterError, match="a family has two runs or more"):
        family([read_run(seeds[0])])


def better(name: str, gain: float, count: int = 3) -> list[str]:
    return [
        run_of(f"{name}{n}", n, confusions(gain + GAINS[n], noise=0.01), train__lr=0.02)
        for n in range(count)
    ]


def test_a_difference_of_families_is_shown_where_seeds_and_images_cannot_explain_it(
    seeds: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    others = better("b", 0.05)
    assert main(["repeat", *others, "--against", *seeds]) == 0
    said = capsys.readouterr().out
    assert (
        "means of 3 and 3 seeds: mIoU, b0 b1 b2 against s0 s1 s2: shown: b0 b1 b2 is better" in said
    )
    assert ", jackknife over 40 images, 3 and 3 seeds)" in said
    small = better("c", 0.003)
    assert main(["repeat", *small, "--against", *seeds]) == 0
    assert "not shown with these 40 images" in capsys.readouterr().out


def test_the_interval_of_a_difference_has_the_seeds_in_it(seeds: list[str]) -> None:
    first = [read_run(name) for name in seeds]
    second = [read_run(name) for name in better("b", 0.05)]
    found = family_differences(first, second).of_row["score", "mIoU"]
    difference = mean([miou_of(r.name) for r in second]) - mean([miou_of(r.name) for r in first])
    assert (found.low + found.high) / 2 == pytest.approx(difference, abs=1e-6)
    between = [stdev([miou_of(run.name) for run in runs]) ** 2 / 3 for runs in (first, second)]
    assert found.high - found.low > 2 * 1.96 * np.sqrt(sum(between))


def test_families_on_other_images_have_no_verdict(seeds: list[str]) -> None:
    others = [run_of(f"b{n}", n, confusions(0.1 + GAINS[n], 38)) for n in range(2)]
    runs: tuple[list[RunResults], ...] = tuple(
        [read_run(name) for name in names] for names in (seeds, others)
    )
    found = family_differences(*runs)
    assert found.refusal == "the images differ: 2 are in one of them alone"
    with pytest.raises(DataError, match="not one training with several seeds"):
        family_differences(runs[0], [*runs[0][:1], *runs[1]])
