"""The blocks of commands on the pages run as they stand, those of a page in order, in a small project.

A block with a title needs what its title says, and a transcript shows what somebody saw: both are not run,
but tests/docs checks their commands.
"""

import shutil
from pathlib import Path

import pytest

from tests.docs.blocks import PAGES, blocks
from tests.forge import CLASSES_CSV, ROOT, make_folder, save, scene
from tests.pipeline.conftest import run, stages_that_ran

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

NOT_RUN = {
    "docs/board.md": "a benchmark of hours, on a machine with nothing else to do",
    "docs/commands.md": "examples of single options, which the tests of each command try",
    "docs/serving.md": "a server that runs until Ctrl-C",
    "docs/tutorial.md": "one way through a given export, with minutes of training",
}
SCRIPTS = {
    page.relative_to(ROOT).as_posix(): "\n".join(one.text for one in blocks(page) if one.runs)
    for page in PAGES
}
RUN = sorted(name for name, script in SCRIPTS.items() if script and name not in NOT_RUN)
# This one begins without a project.
OWN_IMAGES = "docs/howto/own-images.md"


def test_the_pages_of_daily_work_are_run() -> None:
    names = ("experiments", "debugging", "predict", "several-gpus", "resume", "team", "own-images")
    assert NOT_RUN.keys() < SCRIPTS.keys(), "a page that is gone"
    assert {"README.md", "docs/export.md", *(f"docs/howto/{name}.md" for name in names)} <= {*RUN}


@pytest.mark.parametrize("name", RUN)
def test_the_blocks_of_a_page_run(name: str, baseline: Path, tmp_path: Path) -> None:
    here = tmp_path
    if name == OWN_IMAGES:
        make_folder(here / "EXPORT", train=8, val=3)
    else:
        here = tmp_path / "streets"
        shutil.copytree(baseline, here, symlinks=True)
        add_photographs(here)
    said = run(here, "bash", "-euo", "pipefail", "-c", SCRIPTS[name])
    if name == "docs/howto/team.md":
        assert "up to date" in said
        assert stages_that_ran(said) == [], "a clone has all that its stages made"


def add_photographs(project: Path) -> None:
    """Photographs without and masks with a truth, as a person has them beside the data."""
    for number in range(4):
        image, mask = scene(100 + number)
        save(project / f"photographs/{number:03d}.jpg", image)
        save(project / f"masks/{number:03d}.png", mask)
    (project / "classes.csv").write_text(CLASSES_CSV)
