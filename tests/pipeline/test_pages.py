"""The blocks of commands on the pages run as they stand, those of a page in order, in a small project.

A block with a title, which says what it needs, is run as `RUN_AS` has it, on stand-ins for clusters
(tests/pipeline/standins.py), or is not run for the reason in `REASONS`. A transcript shows what somebody saw.
tests/docs checks the commands of all of them.
"""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.deploy.test_deploy import free_port
from tests.docs.blocks import PAGES, Block, blocks
from tests.forge import CLASSES_CSV, ROOT, make_folder, save, scene, wait_until
from tests.inference.test_raster_prediction import raster_files, save_random_bundle
from tests.pipeline.conftest import run, stages_that_ran, working_in
from tests.pipeline.standins import make_standins
from tests.raw.rasters.geotiffs import write_tif

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

NOT_RUN = {
    "docs/board.md": "a benchmark of hours, on a machine with nothing else to do",
    "docs/commands.md": "examples of single options, which the tests of each command try",
    "docs/serving.md": "tests/registry/test_served_model.py runs its commands with a tiny model",
    "docs/tutorial.md": "one way through a given export, with minutes of training",
}
# Why a block with a title is not run.
REASONS = {
    ("README.md", "Some minutes each"): "`.ci/run` runs all tests; the demo is test_recipes.py",
    ("README.md", "Ten minutes of training"): "the blocks of docs/howto/own-images.md",
    ("CONTRIBUTING.md", "In a clone"): "`.ci/run` installs .venv",
    ("CONTRIBUTING.md", "In .venv"): "`.ci/run` runs these",
    ("docs/cityscapes.md", "With an account"): "tests/sources/cityscapes downloads from a stand-in",
    ("docs/distributed.md", "On 16 machines, K from 1 to 16"): (
        "tests/deploy/test_prepare_parts.py, in two parts"
    ),
    ("docs/distributed.md", "On node-a and node-b, with their own names"): (
        "tests/deploy/test_two_machines.py, as network namespaces"
    ),
    ("docs/export.md", "In your project"): "tests/export/test_export.py runs it, from the page",
    ("docs/sweeps.md", "With the data of the recipe, hours"): "test_sweep.py, at a tiny size",
    ("docs/sweeps.md", "As long as twelve trainings"): "the queue of docs/howto/experiments.md",
    ("docs/howto/clips.md", "With Cityscapes' sequences, 324 GB"): "test_recipes.py, generated",
    ("docs/howto/clips.md", "In a clone, some minutes"): "test_recipes.py, at a tiny size",
    ("docs/howto/experiments.md", "As long as five trainings"): (
        "test_repeat.py, test_sweep.py and test_reproduce.py, of fewer trainings"
    ),
    ("docs/howto/own-images.md", "Ten minutes of training"): (
        "tests/planning plans, test_wheel.py trains in a project of its own, for less time"
    ),
    ("docs/howto/many-machines.md", "On each of 4 nodes"): (
        "the command of deploy/slurm/node.sh, which the block for Slurm starts on four nodes"
    ),
    ("docs/howto/many-machines.md", "On a login node of Slurm"): (
        "tests/deploy/test_prepare_parts.py runs tasks of the array"
    ),
    (
        "docs/howto/many-machines.md",
        "With a cluster of Kubernetes; stages.yaml runs dvc repro prepare",
    ): "tests/deploy/test_deploy.py reads the manifests",
    ("docs/howto/many-machines.md", "Where a Ray cluster runs (RAY_ADDRESS names it)"): (
        "tests/deploy/test_prepare_parts.py, where ray is installed"
    ),
    ("docs/howto/several-gpus.md", "On a machine with 8 GPUs"): (
        "it asks a person; tests/stages/test_launch.py starts two processes by accelerate"
    ),
    ("docs/peers.md", "About an hour on a busy machine of two cores"): "tests/bench/test_peers.py",
    ("docs/howto/tiles.md", "In a clone, some minutes"): "test_recipes.py, at a tiny size",
}
# This one begins without a project.
OWN_IMAGES = "docs/howto/own-images.md"


def as_it_stands(text: str, port: int) -> str:
    return text


def in_the_background(command: str, port: int, health: str) -> str:
    """Start a server and ask it until it answers."""
    asked = f"curl -sfo answer http://127.0.0.1:{port}{health}"
    return f"{command} &\nuntil {asked}; do kill -0 $!; sleep 0.2; done\n"


STOP = "kill $!; wait $! || true\n"


def dashboards(text: str, port: int) -> str:
    """Each answers and is stopped."""
    install, *starts = re.sub(" +#.*", "", text).splitlines()
    script = f"{install}\ncp -r models runs/old\n"
    for start in starts:
        start = f"{re.sub(' --port [0-9]+', '', start)} --port {port}"
        script += in_the_background(start, port, "/_stcore/health") + STOP
    return script


def until_the_queue_is_empty(text: str, port: int) -> str:
    script = f"{text}while dvc queue status | grep -E 'Queued|Running'; do sleep 2; done\n"
    return f'{script}[[ "$(dvc queue status | grep -c Success)" == 2 ]]\n'


def mlflow_server(text: str, port: int) -> str:
    return in_the_background(text.strip().replace("5000", str(port)), port, "/health")


def ask_the_server(text: str, port: int) -> str:
    return text.replace("5000", str(port)) + "segpipe ui\n" + STOP


def with_photos(text: str, port: int) -> str:
    return "cp -r ../photos photos\n" + text


def with_the_model_that_comes_along(text: str, port: int) -> str:
    return "rm -r models\n" + text


def with_a_model_of_rasters(text: str, port: int) -> str:
    return "rm -r models; cp -r runs/rasters models\n" + text


RUN_AS: dict[tuple[str, str], Callable[[str, int], str]] = {
    ("docs/dashboard.md", "Until Ctrl-C"): dashboards,
    ("docs/export.md", "Once"): as_it_stands,
    (
        "docs/howto/experiments.md",
        "In the background, until the queue is empty",
    ): until_the_queue_is_empty,
    ("docs/howto/experiments.md", "Not for root, so not for most containers"): as_it_stands,
    ("docs/howto/many-machines.md", "On a login node"): as_it_stands,
    ("docs/howto/many-machines.md", "With a cluster and a registry of images"): as_it_stands,
    (
        "docs/howto/predict.md",
        "With the test images and a model of Cityscapes' labels",
    ): with_the_model_that_comes_along,
    ("docs/howto/team.md", "Once, with the images in photos/"): with_photos,
    ("docs/howto/team.md", "On the server, until Ctrl-C"): mlflow_server,
    ("docs/howto/team.md", "Everywhere else, in ~/.bashrc"): ask_the_server,
    ("docs/howto/tiles.md", "With a model that was trained on rasters"): with_a_model_of_rasters,
}
BLOCKS = {page.relative_to(ROOT).as_posix(): blocks(page) for page in PAGES}


def runs(name: str, block: Block) -> bool:
    untitled = block.title is None and not block.transcript and name not in NOT_RUN
    return untitled or (name, block.title) in RUN_AS


RUN = sorted(name for name, found in BLOCKS.items() if any(runs(name, one) for one in found))


def script_of(name: str) -> str:
    """The commands of a page; a server in the background ends with them, however they end."""
    port = free_port()
    texts = [
        RUN_AS[name, block.title](block.text, port) if block.title else block.text
        for block in BLOCKS[name]
        if runs(name, block)
    ]
    return "\n".join(["trap 'kill $(jobs -p) 2> /dev/null || true' EXIT", *texts])


def test_the_pages_of_daily_work_are_run() -> None:
    names = ("experiments", "debugging", "predict", "several-gpus", "resume", "team", "own-images")
    assert NOT_RUN.keys() < BLOCKS.keys(), "a page that is gone"
    assert {"README.md", "docs/export.md", *(f"docs/howto/{name}.md" for name in names)} <= {*RUN}


def test_every_block_with_a_title_is_run_or_has_a_reason() -> None:
    titled = [(name, one.title) for name, found in BLOCKS.items() for one in found if one.title]
    assert sorted(titled) == sorted([*RUN_AS, *REASONS])


@pytest.mark.parametrize("name", RUN)
def test_the_blocks_of_a_page_run(name: str, baseline: Path, data: Path, tmp_path: Path) -> None:
    here = tmp_path
    shutil.copytree(data, tmp_path / "photos")
    if name == OWN_IMAGES:
        make_folder(here / "EXPORT", train=8, val=3)
    else:
        here = tmp_path / "streets"
        shutil.copytree(baseline, here, symlinks=True)
        add_what_pages_name(here)
    standins = make_standins(tmp_path / "standins")
    said = run(
        here,
        *("bash", "-euo", "pipefail", "-c", f"export PATH={standins}:$PATH\n{script_of(name)}"),
        ACCELERATE_USE_CPU="1",
        BROWSER="true",
        MLFLOW_WORKERS="1",
        **{
            f"GIT_{who}_{what}": "ann@example.org"
            for who in ("AUTHOR", "COMMITTER")
            for what in ("NAME", "EMAIL")
        },
    )
    wait_until(lambda: not working_in(here))
    if name == "docs/howto/team.md":
        assert "up to date" in said
        assert stages_that_ran(said) == ["fetch"], (
            "a clone has all that its stages made; of images elsewhere, the same are fetched"
        )


def add_what_pages_name(project: Path) -> None:
    """What a person has beside the data: photographs without and masks with a truth, rasters, code."""
    for number in range(4):
        image, mask = scene(100 + number)
        save(project / f"photographs/{number:03d}.jpg", image)
        save(project / f"masks/{number:03d}.png", mask)
    (project / "classes.csv").write_text(CLASSES_CSV)
    save(project / "leftImg8bit/test/berlin/berlin_000000_000019_leftImg8bit.png", scene(7)[0])
    save_random_bundle(project / "runs/rasters", raster_files(3), 256, 256)
    values = np.random.default_rng(0).random((3, 300, 300), np.float32)
    write_tif(project / "orthophotos/north.tif", values)
    shutil.copytree(ROOT / "deploy", project / "deploy")
    shutil.copy(ROOT / "requirements.lock", project)
