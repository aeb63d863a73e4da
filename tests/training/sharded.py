"""Small trainings whose weights two processes share out, and what they are compared with.

Run as `torchrun --nproc_per_node 2 -m tests.training.sharded FOLDER` (for test_sharding.py), where
FOLDER has the prepared data, and in `one` what one process did with whole weights. The states go to
`two`, and what each process held to `held-RANK.json`.
"""

import copy
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from segpipe.dataset.reader import Dataset, open_dataset
from segpipe.models.build import build_model
from segpipe.params.checkpoint import CheckpointParams
from segpipe.params.length import Length
from segpipe.params.loss import LossParams
from segpipe.params.model import FreezeParams, ModelParams
from segpipe.params.train import TrainParams
from segpipe.training.distributed.sharding import own_part, shard, units, whole
from segpipe.training.distributed.signals import StopRequest
from segpipe.training.job import Job
from segpipe.training.loop import train
from segpipe.training.setup import set_up
from segpipe.training.state.resume import resume
from segpipe.training.watch.pictures import validation_pictures

UNET = {"width": 4, "depth": 2}
GROUPED = ModelParams(unet={**UNET, "norm": "group"})
# Clipped at each step, and validated on samples of which one process has one more than the other.
RUNS: dict[str, tuple[ModelParams, dict[str, Any]]] = {
    "averaged": (ModelParams(unet=UNET), {"ema": 0.9, "clip": 0.01}),
    "frozen": (
        ModelParams(unet=UNET, freeze=FreezeParams(parts=["down"], length=Length(2, "steps"))),
        {"optimizer": "sgd", "ema": 0.8, "clip": None},
    ),
    "accumulated": (GROUPED, {"optimizer": "adam", "batch_size": 4, "accumulation": 2}),
    "rmsprop": (GROUPED, {"optimizer": "rmsprop", "rmsprop": {"momentum": 0.5}, "lr": 3e-4}),
}
STEPS = 5
# Every kind of network: with skips, shared pyramids, auxiliary heads, an LSTM over a clip.
NETWORKS = {
    "unet": {"width": 8},
    "regseg": {"width": 8},
    "compact_fpn": {"width": 8},
    "pspnet": {"auxiliary": True, "dropout": 0.0},
    "resnet_lstm": {"grid_height": 2, "grid_width": 2},
    "truth_cnn": {"width": 4},
}


def trained(data: Dataset, state: Path, name: str, sharding: str) -> Job:
    """Train, or go on from what is in `state`, and keep a checkpoint of each step there."""
    model, changes = RUNS[name]
    usual = {"batch_size": 2, "length": Length(STEPS, "steps"), "warmup": Length(1, "steps")}
    often = {"validate_every": Length(2, "steps"), "lr": 0.003, "precision": "fp32"}
    params = TrainParams(**{**usual, **often, **changes}, sharding=sharding)
    each = CheckpointParams(steps=1, keep=50)
    job = set_up(data, model, LossParams(), params, state, {}, each)
    progress, _ = resume(job)

    def always(_taken: int, _row_due: bool) -> bool:
        job.saver.wait()  # what falls due while another is written would be put off
        return True

    job.saver.is_due = always  # type: ignore[method-assign]
    train(job, progress, StopRequest(), lambda _row: None)
    return job


def begun(source: Path, target: Path, step: int) -> None:
    """Copy a state as it was after so many steps."""
    kept = [path for path in source.glob("checkpoint-*") if int(path.name.split("-")[1]) <= step]
    for path in kept:
        shutil.copytree(path, target / path.name)


def gradients(network: nn.Module, image: Tensor) -> dict[str, Tensor | None]:
    """Of a sum over all outputs, whole."""
    outputs = network(image)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    torch.stack([output.square().mean() for output in outputs]).sum().backward()
    return {
        name: None if weight.grad is None else whole(weight.grad)
        for name, weight in network.named_parameters()
    }


def _same_gradients(name: str) -> int:
    """Compare a sharded network with itself; return how many units it has."""
    torch.manual_seed(0)
    ratio = 50 if name == "truth_cnn" else 1
    params = ModelParams(name=name, **{name: NETWORKS[name]})
    network = build_model(params, 3, 4, ratio).double()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    side = 100 if ratio == 50 else 64
    shape = (1, 3, 3, side, side) if network.takes_clips else (1, 3, side, side)
    image, other = torch.randn(shape).double(), copy.deepcopy(network)
    shard(network, torch.device("cpu"), 2)
    found, wanted = gradients(network, image), gradients(other, image)
    assert found.keys() == wanted.keys()
    for weight, gradient in wanted.items():
        torch.testing.assert_close(found[weight], gradient, msg=f"{name}: {weight}")
    assert all(isinstance(weight, DTensor) for weight in network.parameters())
    return len(units(other))


def _held(job: Job) -> dict[str, list[int]]:
    """How many numbers there are, and how many of them this process holds."""
    kinds = {
        "weights": list(job.learner.network.parameters()),
        "average": list(job.learner.average.network.parameters()) if job.learner.average else [],
        "moments": [
            entry["exp_avg"] for entry in job.learner.optimizer.state_dict()["state"].values()
        ],
    }
    return {
        kind: [sum(t.numel() for t in tensors), sum(own_part(t).numel() for t in tensors)]
        for kind, tensors in kinds.items()
    }


def main(folder: Path) -> None:
    """Do all that needs two processes, whose start takes longest."""
    torch.set_num_threads(1)
    data = open_dataset(folder / "prepared")
    jobs = {name: trained(data, folder / "two" / name, name, "fsdp2") for name in RUNS}
    job = jobs["averaged"]
    pictures = validation_pictures(job, 3)
    if job.processes.leads:
        (folder / "pictures.png").write_bytes(pictures)
        begun(folder / "two/averaged", folder / "two/again", 3)
        begun(folder / "one/averaged", folder / "two/taken-over", 3)
    job.processes.accelerator.wait_for_everyone()
    for state in ("again", "taken-over"):
        trained(data, folder / "two" / state, "averaged", "fsdp2")
    told = {**_held(job), "units": {name: _same_gradients(name) for name in NETWORKS}}
    (folder / f"held-{job.processes.shard.rank}.json").write_text(json.dumps(told))
    job.processes.accelerator.end_training()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
