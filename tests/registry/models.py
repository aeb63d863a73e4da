"""Trained and evaluated models for the tests of the registry: a tiny bundle, scores of made-up counts."""

import shutil
from pathlib import Path

from tests.dashboard.project import copy_bundle
from tests.evaluation.test_paired import confusions, evaluated


def evaluated_bundle(folder: Path, gain: float = 0.0, images: int = 40, noise: float = 0.01) -> str:
    """Write a bundle with evaluation.json and image_counts.csv in it; return the folder.

    gain: in the rate of hits, against another one of the same images.
    """
    copy_bundle(folder)
    evaluated(folder / "scores", confusions(gain, images, noise))
    for name in ("evaluation.json", "image_counts.csv"):
        shutil.move(folder / "scores" / name, folder / name)
    shutil.rmtree(folder / "scores")
    return str(folder)
