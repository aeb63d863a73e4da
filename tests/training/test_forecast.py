"""The memory forecast against the real thing."""

from pathlib import Path

import pytest
import torch

from segpipe.labels.scheme import LabelScheme, RawLabel
from segpipe.models.build import build_model
from segpipe.models.parts.network import Network, count_parameters
from segpipe.params.augment import AugmentParams
from segpipe.params.loss import LossParams
from segpipe.params.model import FreezeParams, ModelParams, UNetParams
from segpipe.params.prepare import PrepareParams
from segpipe.params.schema import Params
from segpipe.params.train import TrainParams
from segpipe.preparation.sample_job import PrepareContext
from segpipe.raw.input_spec import PICTURES
from segpipe.runtime.errors import ParameterError
from segpipe.training.forecast import forecast, forecast_training
from tests.forge import ROOT, run_python

MODEL = ModelParams(unet=UNetParams(width=8, depth=3))
IMAGES = {"height": 64, "width": 96, "channels": 3}


def told(batch: int = 4, **train: object) -> dict[str, object]:
    params = TrainParams(batch_size=batch, precision="fp32", **train)
    return forecast(MODEL, params, **IMAGES, outputs=5)


def test_parameters_and_their_states() -> None:
    network = build_model(MODEL, 3, 5)
    said = told()
    assert said["parameters"] == count_parameters(network)
    assert said["weights_mb"] == pytest.approx(16 * count_parameters(network) / 2**20, abs=0.06)


def kept_mb(network: Network) -> float:
    """Another way of counting: the tensors that the graph of a real run holds."""
    image = torch.randn(4, 3, 64, 96)
    own = {weight.data_ptr() for weight in network.parameters()}
    kept: dict[int, int] = {}

    def hold(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.data_ptr() not in own:
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(hold, lambda tensor: tensor):
        logits = network(image)
    rest = image.numel() * 8 + 3 * logits.numel() * 4
    return (sum(kept.values()) + rest) / 2**20


def test_what_is_kept_is_what_autograd_keeps_on_real_tensors() -> None:
    network = build_model(MODEL, 3, 5).train()
    assert told()["activations_mb"] == pytest.approx(kept_mb(network), rel=0.05)


def test_nothing_is_kept_for_parts_that_never_learn() -> None:
    def said(parts: list[str], length: object) -> object:
        freeze = FreezeParams.model_validate({"parts": parts, "length": length})
        model = MODEL.model_copy(update={"freeze": freeze})
        train = TrainParams(batch_size=4, precision="fp32")
        return forecast(model, train, **IMAGES, outputs=5)["activations_mb"]

    network = build_model(MODEL, 3, 5).train()
    network.down.requires_grad_(False).eval()
    assert said(["down"], "all") == pytest.approx(kept_mb(network), rel=0.05)
    assert said(["down"], "all") < 0.8 * told()["activations_mb"]
    assert said(["down"], "5 epochs") == told()["activations_mb"]
    with pytest.raises(ParameterError, match="'dwon' is no part: this network has down"):
        said(["dwon"], "5 epochs")


def test_it_grows_with_the_batch_and_shrinks_with_accumulation_crop_and_processes() -> None:
    four, eight = told(4)["activations_mb"], told(8)["activations_mb"]
    assert eight == pytest.approx(2 * four, rel=0.01)
    assert told(8, accumulation=2)["activations_mb"] == four
    crop = AugmentParams(crop_height=32, crop_width=48)
    assert told(4, augment=crop)["activations_mb"] == pytest.approx(four / 4, rel=0.05)
    params = TrainParams(batch_size=8, precision="fp32")
    shared = forecast(MODEL, params, **IMAGES, outputs=5, processes=2)
    assert (shared["activations_mb"], shared["batch_size"]) == (four, 4)


@pytest.mark.slow
def test_several_processes_hold_the_gradients_twice_and_of_shards_their_part() -> None:
    def weights(processes: int, **train: object) -> float:
        params = TrainParams(batch_size=8, precision="fp32", **train)
        return forecast(wide, params, **IMAGES, outputs=5, processes=processes)["weights_mb"]

    wide = ModelParams(unet=UNetParams(width=64, depth=3))
    gradients = weights(1) / 4
    assert weights(1, sharding="fsdp2") == weights(1)
    assert weights(2) == pytest.approx(weights(1) + gradients, rel=0.01)
    for processes in (2, 8):
        part = weights(processes, sharding="fsdp2")
        assert part == pytest.approx(weights(1) / processes + gradients / 2, rel=0.01)
        averaged = weights(processes, sharding="fsdp2", ema=0.9) - part
        assert averaged == pytest.approx(gradients / processes, rel=0.02)


def test_a_lane_is_computed_at_a_time_and_sums_of_lanes_are_held() -> None:
    assert told(8, lanes=2)["activations_mb"] == told(4)["activations_mb"]
    wide = ModelParams(unet=UNetParams(width=64, depth=3))
    held = {
        processes: forecast(wide, train, **IMAGES, outputs=5, processes=processes)
        for train in [TrainParams(batch_size=8, precision="fp32", lanes=8)]
        for processes in (1, 8)
    }
    assert held[1]["batch_size"] == held[8]["batch_size"] == 1
    gradients = count_parameters(build_model(wide, 3, 5)) * 4 / 2**20
    assert held[1]["weights_mb"] == pytest.approx(9 * gradients, rel=0.01)
    assert held[8]["weights_mb"] == pytest.approx(6 * gradients, rel=0.01)


def test_bf16_halves_most_of_it() -> None:
    half = forecast(MODEL, TrainParams(batch_size=4, precision="bf16"), **IMAGES, outputs=5)
    assert 0.45 < half["activations_mb"] / told(4)["activations_mb"] < 0.75


@pytest.mark.parametrize(("loss", "outputs"), [("bce", 1), ("cross_entropy", 2)])
def test_parameters_and_data_say_what_is_trained(loss: str, outputs: int) -> None:
    prepare = PrepareParams(height=64, width=96)
    train = TrainParams(batch_size=4, precision="fp32")
    params = Params(model=MODEL, loss=LossParams(name=loss), prepare=prepare, train=train)
    raw = tuple(RawLabel(k, f"class {k}", (k, 0, 0), k) for k in range(2))
    scheme = LabelScheme("two", tuple(label.name for label in raw), raw)
    said = forecast_training(params, PrepareContext(Path("raw"), scheme, PICTURES, prepare))
    expected = forecast(MODEL, train, **IMAGES, outputs=outputs)
    # What is free changes while the tests run.
    assert {**said, "available_mb": 0} == {**expected, "available_mb": 0}
    assert said["parameters"] == count_parameters(build_model(MODEL, 3, outputs))


MEASURE = """
from pathlib import Path
import sys
from segpipe.runtime.allocation import keep_freed_memory
keep_freed_memory()
import numpy as np
from bench.noise import noise_files, noise_job
from segpipe.augment.draw import plain_specs
from segpipe.loading.batches import read_batch
from segpipe.params.model import ModelParams
from segpipe.params.train import TrainParams
from segpipe.runtime.hardware import peak_resident_bytes
from segpipe.training.distributed.signals import StopRequest
from segpipe.training.step import train_step
from segpipe.training.validate import validate
folder = Path(sys.argv[1])
sides = 240, 320
train = TrainParams(batch_size=8, precision="fp32")
job = noise_job(folder, noise_files(folder / "raw", 8, *sides), sides, ModelParams(), train)
batch = read_batch(job.data.train_split, plain_specs(np.arange(8)), 1, False)
for step in range(4):
    train_step(job, [batch], epoch=0, step=step, lr=1e-3)
    validate(job.learner, job.data, job.objective, job.processes, StopRequest())
print(peak_resident_bytes() / 2**20)
"""


@pytest.mark.slow
def test_the_whole_is_right_to_a_third(tmp_path: Path) -> None:
    script = tmp_path / "measure.py"
    script.write_text(MEASURE)
    done = run_python([str(script), str(tmp_path)], ROOT, PYTHONPATH=str(ROOT))
    assert done.returncode == 0, done.stderr
    params = TrainParams(batch_size=8, precision="fp32")
    said = forecast(ModelParams(), params, height=240, width=320, channels=3, outputs=19)[
        "total_mb"
    ]
    assert said / float(done.stdout.split()[-1]) == pytest.approx(1, abs=0.33)
