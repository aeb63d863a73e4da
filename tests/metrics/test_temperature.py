import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from segpipe.metrics.temperature import LARGEST, SMALLEST, fit_temperature


def loss(logits: NDArray[np.float64], truth: NDArray[np.int64], temperature: float) -> float:
    scaled = torch.from_numpy(logits) / temperature
    return float(torch.nn.functional.cross_entropy(scaled, torch.from_numpy(truth)))


def drawn(pixels: int, scale: float) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Truth drawn from softmax(logits / scale): the temperature that is right is `scale`."""
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(pixels, 5)) * 2
    chances = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    truth = (chances.cumsum(1) < rng.random((pixels, 1))).sum(1).clip(0, 4)
    return logits * scale, truth


def test_2x4_pixels_by_hand() -> None:
    """Six of eight pixels are right, all with logits 0 and 2: softmax must say 3/4, so 2 / T is ln 3."""
    logits = np.tile([0.0, 2.0], (8, 1))
    truth = np.array([1, 1, 1, 0, 1, 1, 1, 0])
    assert fit_temperature(logits, truth) == pytest.approx(2 / np.log(3), abs=1e-6)


@pytest.mark.parametrize("scale", [0.3, 1.0, 3.0])
def test_the_true_temperature_is_found_and_no_other_is_better(scale: float) -> None:
    logits, truth = drawn(50_000, scale)
    found = fit_temperature(logits, truth)
    assert found is not None and found == pytest.approx(scale, rel=0.02)
    least = loss(logits, truth, found)
    for other in np.geomspace(SMALLEST, LARGEST, 200):
        assert least <= loss(logits, truth, other) + 1e-12
    for near in (0.999 * found, 1.001 * found):
        assert least < loss(logits, truth, near)


def test_pixels_are_summed_in_their_order_whatever_their_type() -> None:
    logits, truth = drawn(45_000, 2.0)
    single = fit_temperature(logits.astype(np.float32), truth.astype(np.uint8))
    assert single == pytest.approx(fit_temperature(logits, truth), abs=1e-5)
    assert single == fit_temperature(logits.astype(np.float32), truth.astype(np.uint8))


def test_where_no_temperature_is_best_there_is_none() -> None:
    logits, truth = drawn(500, 1.0)
    assert fit_temperature(logits[:0], truth[:0]) is None
    assert fit_temperature(logits, logits.argmax(1)) is None, "all are right"
    assert fit_temperature(logits, logits.argmin(1)) is None, "all are wrong"
    assert fit_temperature(np.zeros((500, 5)), truth) is None, "logits that say nothing"
    logits[7, 2] = np.inf
    assert fit_temperature(logits, truth) is None
