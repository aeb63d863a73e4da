import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from segpipe.models.parts.network import count_parameters
from segpipe.models.resnet_lstm import ResNetLSTM, ScoreMemory, _bilinear_upsampling
from segpipe.params.model import ResNetLSTMParams


def network(**options: object) -> ResNetLSTM:
    torch.manual_seed(0)
    return ResNetLSTM(3, 4, ResNetLSTMParams(**{"grid_height": 2, "grid_width": 3, **options}))


def clips(batch: int = 2, frames: int = 4, height: int = 64, width: int = 96) -> Tensor:
    random = torch.Generator().manual_seed(1)
    return torch.randn(batch, frames, 3, height, width, generator=random)


def with_another(batch: Tensor, sample: int, frame: int) -> Tensor:
    changed = batch.clone()
    changed[sample, frame] = torch.randn(changed[sample, frame].shape)
    return changed


@torch.no_grad()
@pytest.mark.parametrize("psp", [False, True])
@pytest.mark.parametrize("frame", [0, 1, 2])
def test_an_earlier_frame_changes_the_output(psp, frame):
    model, batch = network(psp=psp).eval(), clips()
    expected, found = model(batch), model(with_another(batch, 0, frame))
    assert (found[0] - expected[0]).abs().max() > 1e-4
    torch.testing.assert_close(found[1], expected[1])


@torch.no_grad()
@pytest.mark.parametrize("psp", [False, True])
def test_without_lstm_only_the_last_frame_counts(psp):
    model, batch = network(lstm=False, psp=psp).eval(), clips()
    expected = model(batch)
    assert torch.equal(model(with_another(batch, 0, 2)), expected)
    assert not torch.equal(model(with_another(batch, 0, 3)), expected)
    assert torch.equal(model(batch[:, -1]), expected)  # as single images
    assert not model.takes_clips and network().takes_clips


@torch.no_grad()
@pytest.mark.parametrize("frame", range(4))
def test_one_sample_never_changes_another(frame):
    model, batch = network(psp=True).eval(), clips(batch=3)
    expected, found = model(batch), model(with_another(batch, 1, frame))
    torch.testing.assert_close(found[[0, 2]], expected[[0, 2]])
    assert not torch.allclose(found[1], expected[1], atol=1e-5)


@torch.no_grad()
def test_the_order_of_the_frames_counts():
    model, batch = network().eval(), clips()
    swapped = batch[:, [1, 0, 2, 3]]
    assert (model(swapped) - model(batch)).abs().max() > 1e-5


@torch.no_grad()
def test_memory_runs_along_time_as_an_lstm_cell_does():
    torch.manual_seed(0)
    memory, scores = ScoreMemory(2, (3, 4)), torch.randn(2, 5, 2, 3, 4)
    lstm = memory.lstm
    hidden, cell = torch.zeros(2, 24), torch.zeros(2, 24)
    for frame in range(5):
        gates = F.linear(scores[:, frame].flatten(1), lstm.weight_ih_l0, lstm.bias_ih_l0)
        gates = gates + F.linear(hidden, lstm.weight_hh_l0, lstm.bias_hh_l0)
        enter, forget, new, leave = gates.chunk(4, 1)
        cell = forget.sigmoid() * cell + enter.sigmoid() * new.tanh()
        hidden = leave.sigmoid() * cell.tanh()
    torch.testing.assert_close(memory(scores), hidden.reshape(2, 2, 3, 4))


@torch.no_grad()
@pytest.mark.parametrize("sides", [(3, 4), (1, 1), (2, 9), (7, 5)])
def test_memory_takes_maps_of_any_size(sides):
    memory = ScoreMemory(2, (3, 4))
    assert memory(torch.randn(2, 3, 2, *sides)).shape == (2, 2, *sides)


def test_memory_of_the_usual_grid_leaves_the_scores_of_224x448_as_they_are():
    scores = torch.randn(3, 2, 224 // 32, 448 // 32)
    assert torch.equal(F.adaptive_avg_pool2d(scores, (7, 14)), scores)
    assert (ResNetLSTMParams().grid_height, ResNetLSTMParams().grid_width) == (7, 14)


@torch.no_grad()
@pytest.mark.parametrize("factor", [2, 8])
def test_upsampling_starts_as_bilinear_interpolation(factor):
    x = torch.randn(2, 3, 5, 6)
    expected = F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)
    found = _bilinear_upsampling(3, factor)(x)
    inside = (..., slice(factor, -factor), slice(factor, -factor))
    torch.testing.assert_close(found[inside], expected[inside])
    assert found.shape == expected.shape


def test_parameters():
    with torch.device("meta"):
        model = ResNetLSTM(3, 19, ResNetLSTMParams())
        without = ResNetLSTM(3, 19, ResNetLSTMParams(lstm=False))
    length = 19 * 7 * 14
    assert count_parameters(model) == 39_048_809
    assert count_parameters(model) - count_parameters(without) == 4 * (2 * length**2 + 2 * length)


def test_a_single_frame_of_one_cell_cannot_train():
    model = network()
    with pytest.raises(ValueError, match=r"larger source\.clip\.frames"):
        model(clips(batch=1, frames=1, height=32, width=20))
    assert model(clips(batch=1, frames=2, height=32, width=20)).shape == (1, 4, 32, 20)


@torch.no_grad()
def test_bf16_autocast_runs_the_memory_in_full_precision():
    model, batch = network().eval(), clips(batch=1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert model.memory(torch.randn(1, 2, 4, 2, 3)).dtype == torch.float32
        assert model(batch).isfinite().all()
