"""segpipe compare: numbers against hand-made cases, and revisions and experiments of real repositories.

Also of segpipe/results: comparison.py, comparability.py and experiments.py.
"""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import jaccard_score

from segpipe.cli.main import main
from segpipe.evaluation.report import evaluation_report
from segpipe.labels.load import load_scheme
from segpipe.results.experiments import read_run
from tests.evaluation.images import counts_of, scored_image, stand_in
from tests.forge import CLASSES_CSV, child_environment, tiny_parameters, write_parameters

# Pixels by class: 800 of 1000 are road.
PIXELS = {"road": 800, "car": 150, "pole": 40, "bike": 10, "train": 0}
COSTS = {
    "images_per_second": 3.5,
    "seconds": 600.25,
    "wait_share": 0.01,
    "peak_memory_mb": 1234.4,
    "device": "cpu",
    "processes": 1,
    "precision": "bf16",
}
PROTOCOL = {
    "split": "val",
    "images": 101,
    "resolution": "raw labels",
    "label_scheme": "five",
    "data": "abc",
    "network_input": "32x48, stretch",
}


def evaluation(*ious: float | None, **changes: Any) -> dict[str, Any]:
    known = [iou for iou in ious if iou is not None]
    return {
        "miou": sum(known) / len(known) if known else None,
        "miou_interval": {"low": 0.1, "high": 0.95},
        "pixel_accuracy": 0.75,
        "pixel_accuracy_interval": None,
        "classes": {
            name: {"iou": iou, "pixels": pixels}
            for (name, pixels), iou in zip(PIXELS.items(), ious, strict=True)
        },
        "protocol": PROTOCOL | changes,
    }


def write(folder: Path, scores: dict[str, Any], costs: dict[str, Any] | None = COSTS) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "evaluation.json").write_text(json.dumps(scores))
    if costs:
        (folder / "training.json").write_text(json.dumps(costs))


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two evaluations: `plain`, and `weighted` in metrics/."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    write(tmp_path / "plain", evaluation(0.9, 0.6, 0.2, 0.1, None))
    faster = COSTS | {"images_per_second": 4.0}
    write(tmp_path / "metrics", evaluation(0.88, 0.5, 0.3, 0.35, 0.0), faster)
    return tmp_path


def run(repository: Path, *arguments: str) -> str:
    """Run git or DVC and return what it printed."""
    path = f"{Path(sys.executable).parent}:{child_environment()['PATH']}"
    done = subprocess.run(
        arguments,
        cwd=repository,
        env=child_environment(PATH=path, DVC_NO_ANALYTICS="1"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def make_repository(root: Path) -> None:
    run(root, "git", "init", "-q", "-b", "main")
    run(root, "git", "config", "user.email", "ann@example.org")
    run(root, "git", "config", "user.name", "Ann")


def commit(root: Path, message: str) -> str:
    run(root, "git", "add", "-A")
    run(root, "git", "commit", "-qm", message)
    return run(root, "git", "rev-parse", "HEAD")


def experiment(root: Path, baseline: str, name: str, scores: dict[str, Any]) -> None:
    """Make an experiment as DVC stores it: a commit with a ref, whose files are not here."""
    before = {path: path.read_bytes() for path in (root / "metrics").iterdir()}
    write(root / "metrics", scores)
    run(root, "git", "add", "-Af", "metrics")
    tree = run(root, "git", "write-tree")
    run(root, "git", "reset", "-q")
    for path, content in before.items():
        path.write_bytes(content)
    made = run(root, "git", "commit-tree", tree, "-p", baseline, "-m", name)
    run(root, "git", "update-ref", f"refs/exps/{baseline[:2]}/{baseline[2:]}/{name}", made)


def test_the_table_of_a_hand_case(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "plain", "workspace"]) == 0
    assert capsys.readouterr().out == (
        "A  plain\n"
        "B  workspace (metrics/)\n"
        "\n"
        "class             share           A           B   B - A\n"
        "bike              1.00%       10.00       35.00  +25.00\n"
        "pole              4.00%       20.00       30.00  +10.00\n"
        "car              15.00%       60.00       50.00  -10.00\n"
        "road             80.00%       90.00       88.00   -2.00\n"
        "train             0.00%           -        0.00       -\n"
        "\n"
        "rare mIoU                     15.00       32.50  +17.50\n"
        "mIoU                          45.00       40.60   -4.40\n"
        "  95% interval           10.0..95.0  10.0..95.0       -\n"
        "pixel accuracy                75.00       75.00   +0.00\n"
        "\n"
        "images/s                       3.50        4.00   +0.50\n"
        "training, s                   600.2       600.2    +0.0\n"
        "peak memory, MB                1234        1234      +0\n"
        "\n"
        "mIoU, B against A: no verdict: plain has no image_counts.csv; evaluate it with this version\n"
        "\n"
        "measured on 101 images of split val; raw labels; network input 32x48, stretch\n"
        "scores in percent, their differences in percentage points\n"
        "rare mIoU: mean IoU of the rarest third of the classes: bike, pole\n"
    )


def test_one_logit_beside_several(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    foreground = {
        "by_image": {
            "iou": 0.5,
            "iou_interval": {"low": 0.4, "high": 0.6},
            "dice": 0.625,
            "dice_interval": None,
        },
        "average_precision": 0.875,
    }
    write(work / "binary", evaluation(0.9, 0.6, 0.2, 0.1, None) | {"foreground": foreground})
    assert main(["compare", "plain", "binary"]) == 0
    lines = capsys.readouterr().out.splitlines()
    begin = next(place for place, line in enumerate(lines) if line.startswith("IoU by image"))
    assert [line.split() for line in lines[begin : begin + 4]] == [
        ["IoU", "by", "image", "-", "50.00", "-"],
        ["95%", "interval", "-", "40.0..60.0", "-"],
        ["Dice", "by", "image", "-", "62.50", "-"],
        ["average", "precision", "-", "87.50", "-"],
    ]


def test_another_score_by_class(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, dice in (("plain", 0.75), ("metrics", 0.5)):
        scores = evaluation(0.9, 0.6, 0.2, 0.1, None)
        scores["classes"]["car"]["dice"] = dice
        write(work / name, scores)
    assert main(["compare", "plain", "workspace", "--score", "dice", "--csv", "a.csv"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert ["car", "15.00%", "75.00", "50.00", "-25.00"] in [line.split() for line in lines]
    assert "by class: Dice" in lines
    with (work / "a.csv").open() as file:
        car = next(row for row in csv.DictReader(file) if row["name"] == "car")
    assert (car["kind"], car["workspace - plain"]) == ("class dice", "-0.25")


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("share", ["bike", "pole", "car", "road", "train"]),
        ("difference", ["car", "road", "pole", "bike", "train"]),
        ("name", ["bike", "car", "pole", "road", "train"]),
    ],
)
def test_the_order_of_the_classes(
    order: str, expected: list[str], work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", "plain", "workspace", "--sort", order]) == 0
    lines = capsys.readouterr().out.splitlines()
    begin = next(place for place, line in enumerate(lines) if line.startswith("class"))
    assert [line.split()[0] for line in lines[begin + 1 : begin + 6]] == expected


def test_three_as_markdown_and_csv(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scores = evaluation(0.9, 0.6, 0.2, 0.2, None)
    scores["classes"]["pole|sign"] = scores["classes"].pop("pole")
    for name in ("plain", "third"):
        write(work / name, scores)
    assert (
        main(["compare", "plain", "third", "plain/../plain", "--markdown", "--csv", "a.csv"]) == 0
    )
    said = capsys.readouterr().out.splitlines()
    assert said[0] == (
        "| class | share | plain | third | plain/../plain | third - plain | plain/../plain - plain |"
    )
    assert said[1] == "| --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    assert said[3] == "| pole\\|sign | 4.00% | 20.00 | 20.00 | 20.00 | +0.00 | +0.00 |"
    assert {line.replace("\\|", "").count("|") for line in said if line.startswith("|")} == {8}
    with (work / "a.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["kind"] for row in rows] == ["class"] * 5 + ["score"] * 3 + ["cost"] * 3
    road = next(row for row in rows if row["name"] == "road")
    assert (road["share"], road["third"], road["third - plain"]) == ("0.8", "0.9", "0")
    total = next(row for row in rows if row["name"] == "mIoU")
    assert (total["third low"], total["third high"], total["share"]) == ("0.1", "0.95", "")
    train = next(row for row in rows if row["name"] == "train")
    assert (train["plain"], train["third - plain"]) == ("", "")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"split": "test"}, "the splits differ: A val, B test"),
        ({"images": 233}, "the numbers of images differ: A 101, B 233"),
        ({"label_scheme": "six"}, "the label schemes differ: A five, B six"),
        ({"left_out": {"void": 3}}, "left out for what they hold differ: A (not said), B void: 3"),
        ({"data": "xyz"}, "the prepared data differ: A abc, B xyz; their models were trained on"),
    ],
)
def test_what_makes_scores_incomparable_is_said_first(
    changes: dict[str, Any], words: str, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(work / "other", evaluation(0.9, 0.6, 0.2, 0.1, None, **changes))
    assert main(["compare", "plain", "other"]) == 0
    first, second, *_ = capsys.readouterr().out.splitlines()
    assert first.startswith("warning: ")
    assert words in first
    assert not second.startswith(("warning", "note"))
    assert ("though scored on the same truth" in first) == ("data" in changes)
    assert main(["compare", "plain", "other", "--markdown"]) == 0
    assert capsys.readouterr().out.startswith("> warning: ")


def test_other_classes_are_shown_and_said(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scores = evaluation(0.9, 0.6, 0.2, 0.1, None)
    scores["classes"]["sky"] = {"iou": 0.95, "pixels": 500}
    del scores["classes"]["bike"]
    write(work / "other", scores)
    assert main(["compare", "plain", "other"]) == 0
    said = capsys.readouterr().out
    assert "warning: the classes differ: A has no sky; B has no bike; their mIoU are means" in said
    lines = {line.split()[0]: line.split() for line in said.splitlines() if line}
    assert lines["bike"] == ["bike", "1.00%", "10.00", "-", "-"]
    assert lines["sky"][2:] == ["-", "95.00", "-"]
    assert said.endswith("the rarest third of the classes: pole\n")


def test_labels_that_were_changed_are_noticed(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scores = evaluation(0.9, 0.6, 0.2, 0.1, None)
    scores["classes"]["car"]["pixels"] = 151
    write(work / "other", scores)
    assert main(["compare", "plain", "other"]) == 0
    assert (
        "warning: the truth differs: other numbers of pixels in 1 of 5 classes, such as car: "
        "150 in A, 151 in B" in capsys.readouterr().out
    )


def test_other_hardware_and_inputs_are_noted(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    costs = COSTS | {"device": "cuda (H200)", "processes": 2}
    write(work / "other", evaluation(0.9, 0.6, 0.2, 0.1, None, network_input="64x64, pad"), costs)
    write(work / "untimed", evaluation(0.9, 0.6, 0.2, 0.1, None), None)
    assert main(["compare", "plain", "other", "untimed"]) == 0
    said = capsys.readouterr().out
    assert "warning" not in said
    assert "note: the inputs of the network differ: A 32x48, stretch, B 64x64, pad, C 32x48" in said
    assert "A cpu, 1 process(es), bf16, B cuda (H200), 2 process(es), bf16; the costs speak" in said
    assert "note: C: no training.json, so no costs" in said
    assert said.count("\nimages/s") == 1


def test_why_there_is_no_interval_and_other_edges_are_noted(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    interval = "none: 3 image files with truth; at least 20 are needed"
    write(work / "few", evaluation(0.9, 0.6, 0.2, 0.1, None, interval=interval, edges="none"))
    assert main(["compare", "plain", "few"]) == 0
    said = capsys.readouterr().out
    assert "note: B: no 95% interval: 3 image files with truth; at least 20 are needed" in said
    assert "edges differ: A (not said), B none" in said
    assert "note: A: no 95%" not in said


def test_withheld_truth_has_no_scores(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scores = evaluation(None, None, None, None, None, split="test")
    for found in scores["classes"].values():
        found["pixels"] = 0
    write(work / "other", scores | {"pixel_accuracy": None})
    assert main(["compare", "other", "plain"]) == 0
    said = capsys.readouterr().out
    assert "warning: A: no scores, since there is no truth in that split" in said
    assert "rare mIoU: none" in said


def test_the_legend_names_the_mlflow_runs(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    costs = COSTS | {"mlflow_run": "0a1b"}
    write(work / "metrics", evaluation(0.7, 0.6, 0.2, 0.1, None), costs)
    assert main(["compare", "plain", "workspace"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "A  plain" in lines
    assert "B  workspace (metrics/, MLflow run 0a1b)" in lines


def test_revisions_and_experiments_are_read_without_checkout(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_repository(work)
    first = commit(work, "first")
    write(work / "metrics", evaluation(0.7, 0.6, 0.2, 0.1, None))
    second = commit(work, "second")
    experiment(work, second, "brisk-fox", evaluation(0.8, 0.6, 0.2, 0.1, None))
    experiment(work, first, "brisk-fox", evaluation(0.1, 0.6, 0.2, 0.1, None))
    write(work / "metrics", evaluation(0.6, 0.6, 0.2, 0.1, None))
    names = ["HEAD~1", "main", "brisk-fox", "workspace"]
    status = run(work, "git", "status", "--porcelain")
    assert main(["compare", *names, "--csv", "out.csv"]) == 0
    assert f"A  HEAD~1 (commit {first[:10]})" in capsys.readouterr().out
    with (work / "out.csv").open() as file:
        road = next(row for row in csv.DictReader(file) if row["name"] == "road")
    assert [road[name] for name in names] == ["0.88", "0.7", "0.8", "0.6"]
    (work / "out.csv").unlink()
    assert run(work, "git", "status", "--porcelain") == status
    commit(work, "third")
    assert main(["compare", "brisk-fox", "workspace"]) == 1
    said = capsys.readouterr().err
    assert "several experiments have this name" in said
    full = said.split()[-1]
    assert main(["compare", full, "workspace"]) == 0


def test_a_folder_below_the_root_of_git(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(work / "inner/metrics", evaluation(0.5, 0.6, 0.2, 0.1, None))
    make_repository(work)
    commit(work, "both")
    monkeypatch.chdir(work / "inner")
    assert read_run("HEAD").evaluation.classes["road"].iou == 0.5
    assert read_run("..").evaluation.classes["road"].iou == 0.88, "the metrics/ of a folder"


def test_what_cannot_be_read_is_explained(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def refused(*names: str) -> str:
        assert main(["compare", *names]) == 1
        return capsys.readouterr().err

    assert "no git repository here" in refused("plain", "nowhere")
    make_repository(work)
    assert "there is no experiment yet" in refused("plain", "nowhere")
    (work / ".gitignore").write_text("metrics\n")
    head = commit(work, "no metrics")
    experiment(work, head, "brisk-fox", evaluation(0.8, 0.6, 0.2, 0.1, None))
    run(work, "git", "update-ref", "refs/exps/exec/EXEC_HEAD", head)
    assert "holds no metrics/evaluation.json" in (said := refused("plain", "HEAD"))
    assert "always; the experiments here:\n  brisk-fox\n" in said
    assert "did you mean brisk-fox?" in refused("plain", "brisk-fx")
    assert "did you mean workspace?" in refused("plain", "worksapce")
    assert "the experiments here:\n  brisk-fox\n" in refused("plain", "EXEC_HEAD")
    assert "plain: duplicate name" in refused("plain", "plain")
    assert "which is a folder" in refused("plain", "workspace", "--csv", "plain")
    assert "27 evaluations do not fit" in refused("plain", *(f"n{i}" for i in range(26)))
    (work / "metrics/evaluation.json").unlink()
    assert "metrics/evaluation.json: there is no such file; run `dvc repro`" in refused(
        "plain", "workspace"
    )


def test_damaged_files_name_the_place(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scores = evaluation(0.9, 0.6, 0.2, 0.1, None)
    del scores["miou"], scores["classes"]["car"]["iou"]
    write(work / "metrics", scores)
    assert main(["compare", "plain", "workspace"]) == 1
    said = capsys.readouterr().err
    assert "metrics/evaluation.json: is not what the evaluate stage writes" in said
    assert "  miou is missing\n  classes.car.iou is missing" in said
    (work / "metrics/evaluation.json").write_text('{"miou": 0.')
    assert main(["compare", "plain", "workspace"]) == 1
    assert "metrics/evaluation.json: not valid JSON" in capsys.readouterr().err
    write(work / "metrics", evaluation(0.9, 0.6, 0.2, 0.1, None), {"seconds": "long"})
    assert main(["compare", "plain", "workspace"]) == 1
    assert "metrics/training.json: is not what the train stage writes" in capsys.readouterr().err


def test_what_the_stages_write_is_what_is_read(tmp_path: Path) -> None:
    """The tables of the evaluation, from random pixels; scikit-learn knows the IoU."""
    (tmp_path / "classes.csv").write_text(CLASSES_CSV)
    predictor = stand_in(load_scheme("classes.csv", {}, tmp_path))
    names = []
    for number in range(2):
        random = np.random.default_rng(number)
        truth = np.random.default_rng(9).choice(3, 600, p=[0.1, 0.7, 0.2])
        guess = np.where(random.random(600) < 0.6, truth, random.integers(0, 3, 600))
        confusion = np.zeros((3, 3), np.int64)
        np.add.at(confusion, (truth, guess), 1)
        counts = counts_of(predictor.scheme.classes, [scored_image("a", confusion)])
        folder = tmp_path / f"run{number}"
        evaluation_report(counts, predictor, "val").write(folder)
        names.append(str(folder))
    assert main(["compare", *names, "--csv", str(tmp_path / "out.csv")]) == 0
    with (tmp_path / "out.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows[:3]] == ["sky", "car", "road"]
    expected = jaccard_score(truth, guess, average=None)
    assert [float(row[names[1]]) for row in rows[:3]] == pytest.approx(
        expected[[0, 2, 1]], abs=2e-6
    )
    shares = np.bincount(truth) / 600
    assert [float(row["share"]) for row in rows[:3]] == pytest.approx(shares[[0, 2, 1]], abs=2e-6)
    rare = next(row for row in rows if row["name"] == "rare mIoU")
    assert float(rare[names[1]]) == pytest.approx(expected[0], abs=2e-6)


def test_help_tells_what_a_name_may_be(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["compare", "--help"])
    assert caught.value.code == 0
    said = capsys.readouterr().out
    assert "examples:" in said
    assert "experiment of DVC" in said


STAGE = """
import json, pathlib, sys
from ruamel.yaml import YAML
made = json.loads(pathlib.Path("made.json").read_text())
made["classes"]["pole"]["iou"] = YAML(typ="safe").load(pathlib.Path("params.yaml"))["pole"]
pathlib.Path("metrics/evaluation.json").write_text(json.dumps(made))
"""
PIPELINE = """
stages:
  evaluate:
    cmd: python stage.py
    deps: [stage.py, made.json]
    params: [pole]
    metrics:
      - metrics/evaluation.json:
          cache: false
"""


@pytest.mark.slow
def test_experiments_that_dvc_made(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A repository before its first results: only the experiments' own commits hold metrics."""
    for path in (work / "metrics").iterdir():
        path.unlink()
    (work / "metrics/.gitignore").write_text("/mlflow.json\n")
    (work / "made.json").write_text(json.dumps(evaluation(0.9, 0.6, 0.2, 0.1, None)))
    (work / "stage.py").write_text(STAGE)
    (work / "dvc.yaml").write_text(PIPELINE)
    (work / "params.yaml").write_text("pole: 0.1\n")
    make_repository(work)
    run(work, "dvc", "init", "-q")
    commit(work, "no results")
    run(work, "dvc", "exp", "run", "-q", "-n", "here", "-S", "pole=0.25")
    run(work, "dvc", "exp", "run", "-q", "--temp", "-n", "apart", "-S", "pole=0.5")
    before = (work / "metrics/evaluation.json").read_bytes()
    run(work, "dvc", "exp", "run", "-q", "--temp", "-S", "pole=0.75")
    listed = run(work, "dvc", "exp", "list", "--name-only").split()
    chosen = next(name for name in listed if name not in ("here", "apart"))
    assert main(["compare", "here", "apart", chosen, "workspace", "--csv", "out.csv"]) == 0
    with (work / "out.csv").open() as file:
        pole = next(row for row in csv.DictReader(file) if row["name"] == "pole")
    assert [pole[name] for name in ("here", "apart", chosen, "workspace")] == [
        "0.25",
        "0.5",
        "0.75",
        "0.25",
    ]
    assert (work / "metrics/evaluation.json").read_bytes() == before
    assert main(["compare", "HEAD", "here"]) == 1
    said = capsys.readouterr().err
    assert "`git add metrics dvc.lock` after `dvc repro`" in said
    assert "  apart\n" in said


def test_parameters_that_count_and_differ_are_named(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An option of a loss that neither run chose is no difference."""
    data = Path("data/mine")
    (work / "earlier").mkdir()
    (work / "plain").rename(work / "earlier/metrics")
    write_parameters(work / "params.yaml", tiny_parameters(data, train__lr=0.5))
    other = tiny_parameters(data, loss__focal__gamma=3.0, train__optimizer="sgd")
    write_parameters(work / "earlier/params.yaml", other)
    assert main(["compare", "earlier", "workspace"]) == 0
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("parameter ")]
    assert said == [
        "parameter train.optimizer: A sgd, B adamw",
        "parameter train.sgd.momentum: A 0.9, B (not used)",
        "parameter train.sgd.nesterov: A true, B (not used)",
        "parameter train.lr: A 0.01, B 0.5",
    ]
    (work / "params.yaml").write_text("train: {lr: fast}")
    assert main(["compare", "earlier", "workspace", "--markdown"]) == 0
    assert "parameter " not in capsys.readouterr().out, "a params.yaml that cannot be read"
