"""A project for the tests of the dashboard: a tiny model, images with truth, nothing trained."""

import shutil
from pathlib import Path

from segpipe.dataset.layout import Row, write_index
from segpipe.raw.sample import Sample
from tests.forge import ROOT, make_folder

BUNDLE = ROOT / "tests/data/bundles/format5"
NAMES = ("s0", "s1", "s2")


def make_project(root: Path) -> Path:
    """Write models/, data/raw with three images of split val, and samples/ with others."""
    copy_bundle(root / "models")
    make_folder(root / "data/raw", train=1, val=3)
    files = sorted((root / "data/raw/images/val").iterdir())
    samples = [
        Sample(name, "g", f"images/val/{file.name}", f"masks/val/{file.stem}.png")
        for name, file in zip(NAMES, files, strict=True)
    ]
    (root / "data/prepared/val").mkdir(parents=True)
    write_index(root / "data/prepared/val/index.csv", [Row(sample, 0) for sample in samples])
    make_folder(root / "samples", train=2, val=1)
    return root


def copy_bundle(target: Path) -> None:
    target.mkdir(parents=True)
    for name in ("model.json", "model.safetensors"):
        shutil.copyfile(BUNDLE / name, target / name)
