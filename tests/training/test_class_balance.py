"""Class weights of the loss: from the statistics, or given by name."""

import numpy as np
import pytest

from segpipe.labels.class_weights import class_weights
from segpipe.params.loss import LossParams
from segpipe.runtime.errors import ParameterError
from segpipe.training.class_balance import loss_weights, weight_table


def counted(dataset) -> np.ndarray:
    """Pixels by train id, counted in the arrays themselves."""
    return np.bincount(dataset.split("train").masks_Nhw[:].reshape(-1), minlength=256)[:3]


@pytest.mark.parametrize("kind", ["inverse", "median", "enet", "effective"])
def test_they_come_from_the_training_pixels(kind: str, dataset) -> None:
    found = loss_weights(LossParams(class_weights=kind), dataset)
    masks = dataset.split("train").masks_Nhw
    present = np.array([sum((m != 255).sum() for m in masks if (m == k).any()) for k in range(3)])
    expected = class_weights(kind, counted(dataset), present)
    assert list(found) == list(dataset.scheme.classes)
    np.testing.assert_allclose(list(found.values()), expected)


def test_given_weights_keep_their_ratios_and_have_mean_one(dataset) -> None:
    loss = LossParams(class_weights="given", given={"car": 6.0, "sky": 0.0, "road": 2.0})
    found = loss_weights(loss, dataset)
    assert list(found) == ["sky", "road", "car"]
    assert found["car"] / found["road"] == pytest.approx(3)
    assert found["sky"] == 0
    pixels = counted(dataset)
    assert np.array(list(found.values())) @ pixels / pixels.sum() == pytest.approx(1)


def test_missing_and_unknown_names_are_all_listed(dataset) -> None:
    loss = LossParams(class_weights="given", given={"car": 1.0, "rod": 1.0, "moon": 1.0})
    with pytest.raises(ParameterError) as caught:
        loss_weights(loss, dataset)
    for part in ("sky is missing", "road is missing", "rod is no class", "moon is no class"):
        assert part in str(caught.value)


def test_losses_without_weights_get_none_and_it_is_said(dataset) -> None:
    for name in ("dice", "lovasz"):
        loss = LossParams(name=name, class_weights="median")
        assert loss_weights(loss, dataset) is None
        assert weight_table(loss, dataset, None) == [
            f"loss.class_weights is median, but {name} takes no class weights"
        ]
    assert loss_weights(LossParams(), dataset) is None
    assert weight_table(LossParams(), dataset, None) == []


def test_the_table_has_share_and_weight_of_each_class(dataset) -> None:
    loss = LossParams(name="sum", class_weights="inverse")
    title, *lines = weight_table(loss, dataset, loss_weights(loss, dataset))
    assert "inverse" in title
    assert [line.split()[0] for line in lines] == ["sky", "road", "car"]
    shares = [float(line.split()[1]) for line in lines]
    assert sum(shares) == pytest.approx(100, abs=0.01)
    weights = [float(line.split()[3]) for line in lines]
    assert shares[0] * weights[0] == pytest.approx(shares[2] * weights[2], rel=0.01)


def test_the_weights_are_in_the_loss(dataset, trained) -> None:
    plain, *_ = trained(dataset, state="a")
    job, *_ = trained(dataset, state="b", loss=LossParams(class_weights="inverse"))
    import torch

    mask = torch.full((1, 2, 2), 2, dtype=torch.uint8)
    logits = torch.zeros(1, 3, 2, 2)
    ratio = float(job.objective.loss(logits, mask)) / float(plain.objective.loss(logits, mask))
    assert ratio == pytest.approx(job.objective.class_weights["car"], rel=1e-5)
