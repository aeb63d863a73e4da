"""The official evaluator of Cityscapes, fed with small label images, as the reference."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from cityscapesscripts.evaluation import evalPixelLevelSemanticLabeling as official
from cityscapesscripts.helpers.labels import labels
from PIL import Image

from segpipe.labels.scheme import VOID
from segpipe.metrics.confusion import confusion_matrix
from segpipe.metrics.scores import scores

CLASSES = sorted((label for label in labels if not label.ignoreInEval), key=lambda x: x.trainId)
RAW_IDS = np.array([label.id for label in CLASSES], np.uint8)
VOID_IDS = np.array(
    [label.id for label in labels if label.ignoreInEval and label.id >= 0], np.uint8
)


def split(seed: int, absent: list[int], unseen: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Truth and prediction of three images in train ids; `absent` ones are in neither, `unseen`
    ones only in the prediction.
    """
    random = np.random.default_rng(seed)
    kept = np.setdiff1d(np.arange(19), absent)
    truth = random.choice(np.setdiff1d(kept, unseen), (3, 20, 30))
    prediction = np.where(random.random(truth.shape) < 0.6, truth, random.choice(kept, truth.shape))
    return np.where(random.random(truth.shape) < 0.2, VOID, truth), prediction


def official_scores(truth: np.ndarray, prediction: np.ndarray, folder: Path) -> dict:
    random = np.random.default_rng(0)
    raw_truth = RAW_IDS[np.where(truth == VOID, 0, truth)]
    raw_truth = np.where(truth == VOID, random.choice(VOID_IDS, truth.shape), raw_truth)
    files: dict[str, list[str]] = {"truth": [], "prediction": []}
    for index in range(len(truth)):
        for kind, raw in (("truth", raw_truth), ("prediction", RAW_IDS[prediction])):
            files[kind].append(str(folder / f"{kind}{index}.png"))
            Image.fromarray(raw[index]).save(files[kind][-1])
    args = copy.copy(official.args)
    args.quiet, args.JSONOutput, args.evalInstLevelScore = True, False, False
    return official.evaluateImgLists(files["prediction"], files["truth"], args)


@pytest.mark.parametrize(
    ("seed", "absent", "unseen"), [(0, [], []), (1, [16], [14]), (2, [3, 4, 5], [0, 18])]
)
def test_class_ious_and_their_mean_are_the_official_ones(seed, absent, unseen, tmp_path):
    truth, prediction = split(seed, absent, unseen)
    expected = official_scores(truth, prediction, tmp_path)
    counts = confusion_matrix(torch.from_numpy(prediction), torch.from_numpy(truth), 19)
    found = scores(counts.numpy())
    by_class = [expected["classScores"][label.name] for label in CLASSES]
    assert len(by_class) == 19
    np.testing.assert_allclose(found.iou_K, by_class, rtol=0, atol=1e-12)
    assert found.miou == pytest.approx(expected["averageScoreClasses"], abs=1e-12)
    assert np.isnan(found.iou_K).nonzero()[0].tolist() == absent
    assert (found.iou_K[unseen] == 0).all()
