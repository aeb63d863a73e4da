"""Each form: recognised, and read pixel by pixel with its ids, names and colours."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segpipe.importing.build import build_form
from segpipe.importing.import_export import import_export
from segpipe.importing.known import FORMS
from segpipe.importing.tree import open_tree
from segpipe.labels.load import scheme_at
from segpipe.labels.scheme import VOID
from segpipe.params.prepare import SplitParams
from segpipe.sources.folder.samples import list_samples
from tests.importing.exports import CAR_COLOUR, MAKERS, ROAD_COLOUR


def test_every_form_has_an_export() -> None:
    assert {name.split()[0] for name in MAKERS} == set(FORMS)


@pytest.mark.parametrize("name", MAKERS)
def test_an_export_becomes_the_documented_layout(name: str, tmp_path: Path) -> None:
    truth = MAKERS[name](tmp_path / "export")
    out = tmp_path / "out"
    made = import_export(tmp_path / "export", out, form=None, copy=False)
    assert made.form == name.split()[0]
    assert not made.images_left_out, made.findings
    files = sorted((out / "masks").rglob("*.png"))
    found = {path.relative_to(out / "masks").with_suffix("").as_posix(): path for path in files}
    assert sorted(found) == sorted(truth.masks)
    for place, path in found.items():
        np.testing.assert_array_equal(np.asarray(Image.open(path)), truth.masks[place])
    scheme = scheme_at(str(out / "classes.csv"))
    labels = {label.id: label.name for label in scheme.raw if label.train_id != VOID}
    assert truth.classes.items() <= labels.items()
    assert set(made.classes) == set(labels.values())
    if truth.colours:
        colours = {label.name.lower().split()[-1]: label.colour for label in scheme.raw}
        assert colours["road"] == ROAD_COLOUR and colours["car"] == CAR_COLOUR
    has_splits = any(place.startswith("train/") for place in truth.masks)
    assert made.needs_ratio_split == (not has_splits)
    listing = list_samples(out, SplitParams(by="folder" if has_splits else "ratio"))
    assert [one for one in listing.findings if one.severity == "error"] == []
    counts = {split: len(samples) for split, samples in listing.samples.items() if samples}
    assert sum(counts.values()) == sum(made.splits.values())
    if has_splits:
        assert counts == made.splits


@pytest.mark.parametrize("name", MAKERS)
def test_no_form_is_taken_for_another(name: str, tmp_path: Path) -> None:
    MAKERS[name](tmp_path)
    tree = open_tree(tmp_path)
    seen = [form for form in FORMS if build_form(form).evidence(tree)]
    assert seen == [name.split()[0]]
