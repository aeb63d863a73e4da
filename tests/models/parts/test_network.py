import numpy as np
import pytest
import torch

from segpipe.models.build import build_model
from segpipe.params.model import ModelParams, UNetParams


@pytest.mark.parametrize("size", [(40, 56), (33, 47), (3, 1)])
def test_edges_are_mirrored_where_the_output_is_smaller(size: tuple[int, int]) -> None:
    """As numpy's `symmetric`, also where an image is mirrored more than once."""
    options = UNetParams(width=4, depth=2, padding="valid")
    torch.manual_seed(0)
    network = build_model(ModelParams(unet=options), 3, 2).eval()
    image_BCHW = np.random.default_rng(0).normal(size=(2, 3, *size)).astype(np.float32)
    margins, starts = [(0, 0), (0, 0)], []
    for side in size:
        missing = network.missing_pixels(side)
        assert network.output_side(side + missing) >= side
        margins.append((missing // 2, missing - missing // 2))
        starts.append((network.output_side(side + missing) - side) // 2)
    mirrored = torch.from_numpy(np.pad(image_BCHW, margins, mode="symmetric"))
    rows, columns = (slice(start, start + side) for start, side in zip(starts, size, strict=True))
    with torch.no_grad():
        found = network.whole_logits(torch.from_numpy(image_BCHW))
        expected = network(mirrored)[..., rows, columns]
    assert found.shape == (2, 2, *size)
    torch.testing.assert_close(found, expected)


def test_other_networks_see_the_image_alone() -> None:
    network = build_model(
        ModelParams(unet=UNetParams(width=4, depth=2)), 3, 2, truth_ratio=4
    ).eval()
    image_BCHW = torch.rand(1, 3, 42, 48)
    with torch.no_grad():
        assert torch.equal(network.whole_logits(image_BCHW), network(image_BCHW))
    assert network.missing_pixels(42) == 0
