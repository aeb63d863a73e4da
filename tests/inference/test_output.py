"""What predict writes beside the labels, palettes of label images, and the order of the work (output.py,
pipeline.py).
"""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from segpipe.bundle_format import SHIPPED, read_description
from segpipe.cli.main import main
from segpipe.inference.files import predict_files
from segpipe.inference.output import Output, read_maps
from segpipe.labels.load import built_in_scheme
from segpipe.labels.scheme import VOID, LabelScheme, RawLabel
from segpipe.raw.pictures.files import read_mask
from segpipe.raw.pictures.palette import palette_of_ids
from segpipe.rendering.png import write_png
from segpipe.runtime.errors import DataError
from tests.forge import save
from tests.inference.test_predictor import picture, predictor
from tests.inference.test_views import bundle_of

COLOUR = st.tuples(*[st.sampled_from([0, 1, 60, 128, 255])] * 3)


@given(
    st.lists(
        st.tuples(st.integers(-1, 255), COLOUR, st.sampled_from([0, 1, VOID])),
        min_size=2,
        max_size=12,
        unique_by=lambda label: label[0],
    )
)
@settings(deadline=None, max_examples=60)
def test_label_images_with_a_palette_are_read_back(
    tmp_path_factory: pytest.TempPathFactory, drawn: list[tuple[int, Any, int]]
) -> None:
    """Whatever colours the labels have, void of no label included."""
    raw = [RawLabel(value, f"label {value}", colour, train) for value, colour, train in drawn]
    free = [value for value in range(256) if value not in {label.id for label in raw}]
    raw += [RawLabel(free[k], f"class {k}", (k, 2, 3), k) for k in range(2)]
    scheme = LabelScheme("drawn", ("a", "b"), tuple(raw))
    labels_HW = np.random.default_rng(0).choice([0, 1, VOID], (6, 7)).astype(np.uint8)
    path = tmp_path_factory.mktemp("palette") / "a.png"
    write_png(path, scheme.decode(labels_HW), palette_256x3=palette_of_ids(scheme))
    with Image.open(path) as file:
        assert file.mode == ("P" if scheme.void_id <= 255 else "I;16")
    found_HW, unknown, painted = read_mask(path, scheme)
    # The id for void may be that of no label.
    assert not painted
    assert set(unknown) <= {scheme.void_id}
    assert (found_HW == labels_HW).all()


def test_a_viewer_shows_the_colours_of_the_classes(tmp_path: Path) -> None:
    scheme = built_in_scheme("cityscapes19")
    labels_HW = np.arange(19, dtype=np.uint8)[None]
    write_png(tmp_path / "a.png", scheme.decode(labels_HW), palette_256x3=palette_of_ids(scheme))
    with Image.open(tmp_path / "a.png") as file:
        assert (np.asarray(file.convert("RGB")) == scheme.paint(labels_HW)).all()
        assert (np.asarray(file) == scheme.raw_ids_K).all()


def test_maps_are_the_probability_of_the_class_and_the_entropy() -> None:
    chance_KHW = torch.tensor([[[1.0, 1 / 3, 0.5]], [[0.0, 1 / 3, 0.5]], [[0.0, 1 / 3, 0.0]]])
    strips = [(slice(0, 1), chance_KHW.clamp_min(1e-30).log())]
    maps = read_maps(predictor(), iter(strips), Output(0.5, True, True))
    assert maps.labels_hw.tolist() == [[0, 0, 0]]
    assert maps.others_hw["probabilities"].tolist() == [[255, 85, 128]]
    assert maps.others_hw["uncertainty"].tolist() == [[0, 255, round(255 * np.log(2) / np.log(3))]]


def test_maps_of_one_logit_are_those_of_its_class() -> None:
    one = predictor()
    one.bundle = bundle_of(one.bundle.model, threshold=0.5)
    strips = [(slice(0, 1), torch.tensor([[[-50.0, 0.0, 50.0]]]))]
    maps = read_maps(one, iter(strips), Output(0.5, True, True))
    assert maps.labels_hw.tolist() == [[0, 0, 1]]
    assert maps.others_hw["probabilities"].tolist() == [[0, 128, 255]]
    assert maps.others_hw["uncertainty"].tolist() == [[0, 255, 0]]


@pytest.mark.parametrize("threshold", [None, 0.5])
def test_maps_are_of_calibrated_probabilities(threshold: float | None) -> None:
    one = predictor()
    one.bundle = replace(bundle_of(one.bundle.model, threshold=threshold), temperature=2.0)
    logits = torch.tensor([[[-3.0, 0.5, 4.0]]])
    if threshold is None:
        logits = torch.cat([torch.zeros_like(logits), logits])
    maps = read_maps(one, iter([(slice(0, 1), logits)]), Output(0.5, True, True))
    chance = (logits[-1, 0] / 2).sigmoid().numpy()
    shown = np.maximum(chance, 1 - chance) if threshold is None else chance
    entropy = -(chance * np.log2(chance) + (1 - chance) * np.log2(1 - chance))
    assert maps.labels_hw.tolist() == [[0, 1, 1]], "the labels are those of temperature 1"
    assert maps.others_hw["probabilities"][0].tolist() == np.round(255 * shown).tolist()
    assert maps.others_hw["uncertainty"][0].tolist() == np.round(255 * entropy).tolist()


def test_one_bad_picture_of_a_batch_is_named_and_the_others_are_labelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = predictor()
    names = {}
    for number in range(5):
        path = tmp_path / f"in/{number}.png"
        save(path, picture(32, 48)[0] if number != 2 else np.zeros((32, 48, 3), np.uint8))
        names[path] = path.stem
    network = one._network

    def failing(clips_BThwc: Any) -> Any:
        if (clips_BThwc.reshape(len(clips_BThwc), -1).max(1) == 0).any():
            raise DataError("the scores are not finite")
        return network(clips_BThwc)

    monkeypatch.setattr(one, "_network", failing)
    done = predict_files([one], names, tmp_path / "out", Output(0.5))
    assert done.skipped == [f"{tmp_path / 'in/2.png'}: the scores are not finite"]
    assert sorted(path.name for path in (tmp_path / "out").glob("*.png")) == [
        "0.png",
        "1.png",
        "3.png",
        "4.png",
    ]


def test_a_submission_is_what_the_official_evaluator_finds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    official = pytest.importorskip("cityscapesscripts.evaluation.evalPixelLevelSemanticLabeling")
    name = "aachen_000001_000019"
    save(tmp_path / f"in/aachen/{name}_leftImg8bit.png", picture(32, 64)[0])
    called = ["predict", str(tmp_path / "in"), "--out", str(tmp_path / "out"), "--submission"]
    called += ["--bundle", str(SHIPPED)]
    assert main(called) == 0
    asked = argparse.Namespace(predictionPath=str(tmp_path / "out"), predictionWalk=None)
    found = official.getPrediction(asked, f"aachen/{name}_gtFine_labelIds.png")
    with Image.open(found) as file:
        assert file.mode == "L"
        ids = set(np.unique(file).tolist())
    assert ids <= set(read_description(SHIPPED).scheme.raw_ids_K.tolist())
    save(tmp_path / "in/other.png", picture(32, 64)[0])
    assert main(called) == 1
    assert "begin with CITY_SEQUENCE_FRAME" in capsys.readouterr().err
