"""The stages as processes: bad input ends them in one message, and nothing half-written is left."""

import runpy
import socket
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.forge import (
    child_environment,
    make_folder,
    make_workspace,
    run_python,
    run_stage,
    save,
    scene,
    tiny_parameters,
    wait_for_checkpoint,
    workspace_with,
    write_parameters,
)
from tests.small_disk import small_disk


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return make_folder(tmp_path / "data", train=6, val=2)


@pytest.fixture
def run_here(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Runs `python -m stages.NAME` without a process, which would import everything once more.

    Returns the exit code and what was printed to stdout and stderr.
    """

    def run(stage: str, workspace: Path, *arguments: str) -> tuple[int, str, str]:
        with monkeypatch.context() as patched:
            patched.chdir(workspace)
            patched.setattr(sys, "argv", [f"stages.{stage}", *arguments])
            patched.delitem(sys.modules, f"stages.{stage}", raising=False)
            with pytest.raises(SystemExit) as ended:
                runpy.run_module(f"stages.{stage}", run_name="__main__")
        printed = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, printed.out, printed.err

    return run


def test_the_last_line_of_prepare_counts_what_was_written(
    tmp_path: Path, run_here: Callable[..., tuple[int, str, str]]
) -> None:
    data = make_folder(tmp_path / "data", train=6, val=3, test=2)
    with (data / "classes.csv").open("a") as labels:
        labels.write("7,tram,0,80,100\n")
    for place in ("train/drive0_000", "train/drive1_001", "val/drive0_002"):
        mask = scene(0)[1]
        mask[0, 0] = 7
        save(data / f"masks/{place}.png", mask)
    changes = {"labels__exclude_images_with": ["tram", "car"], "prepare__copies__count": 2}
    for path in sorted((data / "masks").glob("*/*.png"))[1:]:
        mask = np.asarray(Image.open(path)).copy()
        mask[mask == 2] = 1  # a car is left in the first mask of test alone
        save(path, mask)
    workspace = make_workspace(tmp_path / "w", data, **changes)
    assert run_here("fetch", workspace)[0] == 0
    code, said, error = run_here("prepare", workspace)
    assert code == 0, error
    last = said.splitlines()[-1]
    assert "4 train, 2 val, 1 test samples and 2 copies of each of train, with 4 classes" in last
    assert (
        "; 2 train, 1 val, 1 test samples are left out by labels.exclude_images_with "
        "(tram in 3, car in 1); see"
    ) in last
    rows = {
        split: (workspace / f"data/prepared/{split}/index.csv").read_text().count("\n") - 1
        for split in ("train", "val", "test")
    }
    assert rows == {"train": 12, "val": 2, "test": 1}


def left_over(workspace: Path) -> list[str]:
    """What lies in data/ but for the report, which stays when data is refused."""
    data = workspace / "data"
    found = sorted(path.name for path in data.iterdir()) if data.exists() else []
    return [name for name in found if name != "report"]


def test_the_whole_pipeline_leaves_what_it_promises(tmp_path: Path, data: Path) -> None:
    workspace = make_workspace(tmp_path / "w", data)
    for stage in ("fetch", "prepare", "train", "evaluate", "render"):
        done = run_stage(stage, workspace)
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip(), "the last line says where the result is"
    assert done.stdout.splitlines()[-1].startswith("the report: metrics/report.html")
    files = {
        path.relative_to(workspace).as_posix()
        for top in ("models", "metrics", "predictions")
        for path in (workspace / top).rglob("*")
        if path.is_file()
    }
    assert files >= {
        "models/model.safetensors",
        "models/last.safetensors",
        "models/model.json",
        "models/environment.json",
        "metrics/evaluation.json",
        "metrics/training.json",
        "metrics/scores.json",
        "metrics/training_scores.json",
        "metrics/history.csv",
        "metrics/class_history.csv",
        "metrics/report.html",
        "metrics/classes.csv",
        "metrics/images.csv",
        "metrics/confusion.csv",
        "metrics/precision_recall.csv",
        "predictions/contact_sheet.png",
        "predictions/rows.png",
        "predictions/figures/training.png",
        "predictions/figures/precision_recall.png",
        "predictions/labels/drive0_000.png",
        "predictions/colours/drive0_000.png",
        "predictions/overlays/drive0_000.png",
    }
    assert sum(name.startswith("predictions/comparisons/") for name in files) == 2


@pytest.mark.parametrize("stage", ["fetch", "prepare", "train", "evaluate", "render"])
def test_help_shows_examples(
    stage: str, tmp_path: Path, run_here: Callable[..., tuple[int, str, str]]
) -> None:
    code, said, _ = run_here(stage, make_workspace(tmp_path / "w", tmp_path), "--help")
    assert code == 0
    assert "dvc exp run" in said or "dvc repro" in said


def refusal(stage: str, workspace: Path) -> str:
    """What a stage says that ends with an error in plain words."""
    done = run_stage(stage, workspace)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def test_a_misspelt_parameter_stops_every_stage(
    tmp_path: Path, data: Path, run_here: Callable[..., tuple[int, str, str]]
) -> None:
    workspace = make_workspace(tmp_path / "w", data)
    content = tiny_parameters(data)
    content["render"]["imagse"] = 3
    write_parameters(workspace / "params.yaml", content)
    for stage in ("fetch", "prepare", "train", "evaluate", "render"):
        code, _, said = run_here(stage, workspace)
        assert code == 1
        assert "params.yaml: render.imagse is not a parameter; did you mean render.images?" in said
        assert "Traceback" not in said
    assert left_over(workspace) == []


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path / "w", tmp_path / "nowhere")
    said = refusal("fetch", workspace)
    assert "there is no such folder; put your data" in said
    assert left_over(workspace) == []


def test_an_image_without_a_mask(tmp_path: Path, data: Path) -> None:
    (data / "masks/train/drive0_000.png").unlink()
    workspace = make_workspace(tmp_path / "w", data)
    assert run_stage("fetch", workspace).returncode == 0
    said = refusal("prepare", workspace)
    assert "1 images have no mask" in said
    assert "images/train/drive0_000.png" in said
    assert left_over(workspace) == ["raw"]


def test_a_value_outside_the_scheme_and_a_truncated_png(tmp_path: Path, data: Path) -> None:
    mask = scene(0)[1]
    mask[:2, :3] = 42
    save(data / "masks/train/drive0_000.png", mask)
    image = data / "images/val/drive0_000.png"
    image.write_bytes(image.read_bytes()[:-900])
    workspace = make_workspace(tmp_path / "w", data)
    assert run_stage("fetch", workspace).returncode == 0
    said = refusal("prepare", workspace)
    assert "masks/train/drive0_000.png: value 42 in 6 pixels" in said
    assert "map: {42: void}" in said
    assert "1 files cannot be read" in said
    assert "images/val/drive0_000.png" in said
    assert left_over(workspace) == ["raw"]


@pytest.mark.parametrize("fault", ["cut", "slip"])
def test_a_bad_archive_leaves_nothing(fault: str, tmp_path: Path) -> None:
    source = tmp_path / "archives"
    source.mkdir()
    for part in ("leftImg8bit", "gtFine"):
        path = source / f"{part}_trainvaltest.zip"
        with zipfile.ZipFile(path, "w") as archive:
            name = "../../../out.png" if fault == "slip" else f"{part}/train/a/a.png"
            archive.writestr(name, bytes(range(256)) * 40)
        if fault == "cut":
            path.write_bytes(path.read_bytes()[:5000])
    workspace = make_workspace(tmp_path / "w", source)
    content = tiny_parameters(source, source__name="cityscapes")
    write_parameters(workspace / "params.yaml", content)
    said = refusal("fetch", workspace)
    assert "leftImg8bit_trainvaltest.zip" in said
    assert ("get it again" if fault == "cut" else "outside") in said
    assert left_over(workspace) == []
    assert not list(tmp_path.rglob("out.png"))


def test_a_missing_stage_before_is_named(
    tmp_path: Path, data: Path, run_here: Callable[..., tuple[int, str, str]]
) -> None:
    workspace = make_workspace(tmp_path / "w", data)
    for stage, repair in (
        ("train", "run `dvc repro prepare` first"),
        ("evaluate", "train a model with `dvc repro`"),
    ):
        code, _, said = run_here(stage, workspace)
        assert (code, repair in said) == (1, True), said
        assert "Traceback" not in said


def test_prepared_data_that_was_changed_by_hand_is_noticed(
    tmp_path: Path, prepared: Path, run_here: Callable[..., tuple[int, str, str]]
) -> None:
    """Outside DVC, which would make it again. The message comes from the thread that reads ahead."""
    workspace = workspace_with(prepared, tmp_path / "w")
    folder = workspace / "data/prepared/train"
    largest = max(folder.glob("*.npy"), key=lambda path: path.stat().st_size)
    content = bytearray(largest.read_bytes())
    content[-1] ^= 1
    largest.write_bytes(content)
    code, _, said = run_here("train", workspace)
    assert code == 1
    assert "data/prepared/train: drive" in said
    assert "is not as prepare wrote it: it was changed by hand, or the disk is at fault" in said
    assert "run `dvc repro --force prepare` to make it again" in said
    assert "Traceback" not in said
    assert not (workspace / "models").exists()


EDIT = """
import sys
from pathlib import Path
import {module} as module
from stages import {stage} as stage
real = module.{function}
def edited(*args, **kwargs):
    made = real(*args, **kwargs)
    path = Path({file!r})
    path.write_text(path.read_text().replace({old!r}, {new!r}))
    return made
module.{function} = edited
if hasattr(stage, {function!r}):
    stage.{function} = edited
from segpipe.runtime.process_exit import explained
from stages.entry import _run
sys.exit(explained(stage.start if {stage!r} == "train" else lambda: _run({stage!r}, stage.run)))
"""


def edit_during(stage: str, module: str, function: str, file: str, old: str, new: str) -> list[str]:
    code = EDIT.format(stage=stage, module=module, function=function, file=file, old=old, new=new)
    return ["-c", code]


@pytest.mark.slow
def test_an_edit_of_the_parameters_during_training_publishes_nothing(
    tmp_path: Path, prepared: Path
) -> None:
    workspace = workspace_with(prepared, tmp_path / "w")
    before = (workspace / "params.yaml").read_text()
    done = run_python(
        edit_during(
            "train", "segpipe.training.loop", "validate", "params.yaml", "lr: 0.01", "lr: 0.02"
        ),
        workspace,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "params.yaml: train.lr: 0.01 became 0.02" in done.stderr
    assert "nothing was published" in done.stderr
    assert not (workspace / "models").exists()
    # What was planned and drawn before the first step may stay; results may not.
    results = {"history.csv", "training.json", "mlflow.json"}
    assert not results & {path.name for path in (workspace / "metrics").iterdir()}
    # Once restored, the next run publishes what was finished, without training again.
    (workspace / "params.yaml").write_text(before)
    again = run_stage("train", workspace)
    assert again.returncode == 0, again.stderr
    assert "was finished before" in again.stdout
    assert (workspace / "models/model.safetensors").exists()


@pytest.mark.slow
def test_an_edit_of_other_sections_does_not_matter(tmp_path: Path, prepared: Path) -> None:
    workspace = workspace_with(prepared, tmp_path / "w")
    done = run_python(
        edit_during(
            "train",
            "segpipe.training.loop",
            "validate",
            "params.yaml",
            "opacity: 0.55",
            "opacity: 0.5",
        ),
        workspace,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_an_edit_of_the_code_publishes_nothing(tmp_path: Path, data: Path) -> None:
    import shutil

    workspace = make_workspace(tmp_path / "w", data)
    (workspace / "segpipe").unlink()
    from tests.forge import ROOT

    shutil.copytree(ROOT / "segpipe", workspace / "segpipe")
    assert run_stage("fetch", workspace).returncode == 0
    done = run_python(
        edit_during(
            "prepare",
            "segpipe.preparation.prepare",
            "prepare_data",
            "segpipe/preparation/copy_changes.py",
            "255 *",
            "254 *",
        ),
        workspace,
    )
    assert done.returncode == 1, done.stderr
    assert "segpipe/preparation/copy_changes.py was edited" in done.stderr
    assert left_over(workspace) == ["raw"]


@pytest.mark.slow
def test_two_trainers_on_one_state_are_refused(tmp_path: Path, prepared: Path) -> None:
    workspace = workspace_with(prepared, tmp_path / "w", train__length=2000)
    first = subprocess.Popen(
        [sys.executable, "-m", "stages.train"],
        cwd=workspace,
        env=child_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for_checkpoint(workspace, first)
        done = run_stage("train", workspace)
        assert done.returncode == 1
        assert (
            f"process {first.pid} on {socket.gethostname()} is training on this state already"
            in done.stderr
        )
        assert first.poll() is None
    finally:
        first.terminate()
        code = first.wait(timeout=200)
    assert code == 75, "SIGTERM saves and leaves, resumable"
    assert not (workspace / "models").exists()


def test_a_loss_that_is_not_finite_stops_before_the_update(tmp_path: Path, prepared: Path) -> None:
    workspace = workspace_with(
        prepared,
        tmp_path / "w",
        train__lr=1e30,
        train__clip=None,
        train__length=8,
        train__validate_every=8,
    )
    said = refusal("train", workspace)
    assert "is not finite at epoch" in said
    assert "learning rate" in said
    assert "drive" in said
    assert "weights were not changed" in said


def test_a_full_disk_says_so_and_leaves_nothing(tmp_path: Path, data: Path) -> None:
    workspace = make_workspace(tmp_path / "w", data, prepare__height=1024, prepare__width=1024)
    small = workspace / "data"
    with small_disk(small, "4m"):
        assert run_stage("fetch", workspace).returncode == 0
        said = refusal("prepare", workspace)
        assert "the disk is full" in said
        assert "dvc gc" in said
        assert left_over(workspace) == ["raw"]
        (small / "filler").write_bytes(bytes(3 << 20))
        big = np.random.default_rng(0).integers(0, 256, (900, 900, 3)).astype(np.uint8)
        save(data / "images/train/big.png", big)
        said = refusal("fetch", workspace)
        assert "free on the disk" in said
        assert "free some space" in said
        assert left_over(workspace) == ["filler", "raw"]
