"""Frozen parts keep weights and statistics to the last bit, and learn again afterwards."""

import subprocess
import sys
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from segpipe.models.build import build_model
from segpipe.models.parts.network import Network
from segpipe.params.length import Length
from segpipe.params.model import FreezeParams, ModelParams
from segpipe.runtime.errors import ParameterError
from segpipe.training.distributed.signals import Interrupted
from segpipe.training.freezing import Freezing, parts
from tests.forge import ROOT, child_environment, run_python
from tests.training.conftest import MODEL

OPTIONS: dict[str, dict] = {
    "unet": {"unet": {"width": 4, "depth": 1}},
    "pspnet": {"pspnet": {"backbone": "resnet18"}},
    "resnet_lstm": {"resnet_lstm": {"grid_height": 1, "grid_width": 1}},
    "deeplabv3": {"deeplabv3": {"backbone": "mobilenet_v3_large"}},
    "lraspp": {},
    "smp": {"smp": {"decoder": "linknet", "encoder": "resnet18"}},
}
PARTS = {
    "unet": ["down", "up", "join", "head"],
    "pspnet": ["backbone", "pyramid", "head", "auxiliary"],
    "resnet_lstm": [
        *("backbone", "score_8", "score_16", "score_32", "memory", "up_32", "up_16", "up_8"),
    ],
    "deeplabv3": ["backbone", "classifier", "aux_classifier"],
    "lraspp": ["backbone", "classifier"],
    "smp": ["backbone", "encoder", "decoder", "segmentation_head"],
}

FOR_GOOD = FreezeParams.model_validate({"parts": ["down"], "length": "all"})


def network(name: str, ratio: int = 1) -> Network:
    torch.manual_seed(0)
    return build_model(ModelParams.model_validate({"name": name} | OPTIONS[name]), 3, 4, ratio)


def step(model: Network, optimizer: torch.optim.Optimizer, freezing: Freezing) -> None:
    """As the engine takes one."""
    model.train()
    freezing.hold()
    found = model(torch.randn(2, 3, 32, 32))
    every = found if isinstance(found, tuple) else (found,)
    sum(logits.square().mean() for logits in every).backward()
    optimizer.step()
    optimizer.zero_grad()
    model.eval()(torch.randn(1, 3, 32, 32))


def copied(module: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def changed(module: nn.Module, before: dict[str, Tensor]) -> set[str]:
    now = module.state_dict()
    return {name for name in now if not torch.equal(now[name], before[name])}


def learning(model: nn.Module) -> set[str]:
    return {name for name, weight in model.named_parameters() if weight.requires_grad}


@pytest.mark.parametrize("name", ["resnet_lstm", "lraspp"])
def test_a_frozen_backbone_keeps_every_bit_and_thaws(name):
    """Momentum and decay of earlier steps would move it too, where they were not held back."""
    model = network(name)
    backbone = model.get_submodule(model.backbone_path)
    at_first = learning(model)
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=0.01, weight_decay=0.1)
    freezing = Freezing(model, ["backbone"])
    take = partial(step, model, optimizer, freezing)
    take()
    before, others = copied(backbone), copied(model)
    freezing.switch(True)
    for _ in range(2):
        take()
    assert changed(backbone, before) == set()
    moved = changed(model, others)
    assert moved and all(not key.startswith(f"{model.backbone_path}.") for key in moved)
    freezing.switch(False)
    take()
    moved = changed(backbone, before)
    assert any(key.endswith("running_mean") for key in moved)
    assert any(key.endswith("weight") for key in moved)
    assert learning(model) == at_first


def test_what_rests_for_good_is_not_woken():
    model = network("lraspp")
    resting = {name for name, weight in model.named_parameters() if not weight.requires_grad}
    assert any(name.startswith("network.backbone.") for name in resting)
    freezing = Freezing(model, ["backbone", "backbone"])
    freezing.switch(True)
    assert not any(name.startswith("network.backbone.") for name in learning(model))
    freezing.switch(False)
    freezing.switch(False)
    assert {
        name for name, weight in model.named_parameters() if not weight.requires_grad
    } == resting


def test_only_the_named_parts_leave_training_mode():
    model = network("pspnet")
    freezing = Freezing(model, ["pyramid", "auxiliary"])
    freezing.switch(True)
    model.train()
    freezing.hold()
    assert model.training and model.backbone.training and model.head.training
    assert not any(m.training for m in (*model.pyramid.modules(), *model.auxiliary.modules()))
    freezing.switch(False)
    model.train()
    freezing.hold()
    assert all(module.training for module in model.modules())


def test_a_gradient_of_before_is_forgotten():
    model = network("unet")
    freezing = Freezing(model, ["down"])
    model(torch.randn(2, 3, 16, 16)).sum().backward()
    assert any(weight.grad is not None for weight in model.down.parameters())
    freezing.switch(True)
    assert all(weight.grad is None for weight in model.down.parameters())


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("ratio", [1, 2])
def test_parts_are_what_the_networks_are_made_of(name, ratio):
    """Together they hold every weight, also where the truth is coarser."""
    model = network(name, ratio)
    found = parts(model)
    assert list(found) == PARTS[name]
    held = {
        id(weight) for path in found.values() for weight in model.get_submodule(path).parameters()
    }
    assert held == {id(weight) for weight in model.parameters()}


@pytest.mark.parametrize("name", OPTIONS)
def test_the_backbone_gives_its_weights_once(name):
    for ratio in (1, 2):
        model = network(name, ratio)
        weights = model.backbone_parameters()
        assert len({id(weight) for weight in weights}) == len(weights)
        names = {id(weight): key for key, weight in model.named_parameters()}
        inside = {names[id(weight)] for weight in weights}
        word = {"unet": "nothing", "smp": ".encoder."}.get(name, "backbone.")
        assert inside == {key for key in names.values() if word in key}


def test_unknown_parts_are_all_named_with_those_there_are():
    with pytest.raises(ParameterError, match=r"'bacbone' .*backbone, pyramid.*'tail' is no part"):
        Freezing(network("pspnet"), ["bacbone", "head", "tail"])
    with pytest.raises(ParameterError, match=r"'backbone' is no part.*down, up, join, head"):
        Freezing(network("unet"), ["backbone"])
    with pytest.raises(ParameterError, match=r"'backbone.layer9'.*: backbone has .*layer1, layer2"):
        Freezing(network("pspnet"), ["backbone.layer9"])
    with pytest.raises(ParameterError, match="head has none"):
        Freezing(network("unet"), ["head.weight"])


def test_a_part_within_a_part_rests_alone():
    """Named below its part, by either name that the part has; the rest of the backbone learns."""
    model = network("smp")
    freezing = Freezing(model, ["backbone.layer1", "encoder.conv1"])
    freezing.switch(True)
    backbone = model.get_submodule(model.backbone_path)
    resting = {name for name, weight in backbone.named_parameters() if not weight.requires_grad}
    assert resting == {
        name for name, _ in backbone.named_parameters() if name.startswith(("layer1.", "conv1."))
    }
    before, others = copied(backbone.layer1), copied(backbone.layer2)
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    step(model, torch.optim.SGD(weights, lr=0.1), freezing)
    assert changed(backbone.layer1, before) == set()
    assert changed(backbone.layer2, others)


def test_nothing_left_to_learn_is_refused():
    with pytest.raises(ParameterError, match="nothing would learn"):
        Freezing(network("unet"), PARTS["unet"])


def test_impossible_parameters_are_refused_before_anything_is_built():
    for freeze, message in [
        ({"parts": [], "length": "2 epochs"}, "length is 2 epochs, but parts names nothing"),
        ({"parts": ["backbone"], "length": "100 steps"}, "unet has none"),
        ({"parts": ["backbone"], "length": -1}, "finite number from 0"),
    ]:
        with pytest.raises(ValueError, match=message):
            ModelParams.model_validate({"name": "unet", "freeze": freeze})
    assert not ModelParams.model_validate(
        {"freeze": {"parts": ["backbone"], "length": 0}}
    ).freeze.on


def test_what_is_frozen_for_good_rests_to_the_end_through_a_stop(dataset, trained):
    options = {"model": MODEL.model_copy(update={"freeze": FOR_GOOD}), "length": Length(9, "steps")}
    seen: list[dict[str, Tensor]] = []
    job, _, _ = trained(
        dataset, state="whole", each=lambda job: seen.append(copied(job.learner.network)), **options
    )
    moved = changed(job.learner.network, seen[0])
    assert moved
    assert not any(name.startswith("down.") for name in moved)
    with pytest.raises(Interrupted):
        trained(dataset, state="cut", stop=4, **options)
    again, _, _ = trained(dataset, state="cut", **options)
    assert changed(again.learner.network, copied(job.learner.network)) == set()


_ON_PROCESSES = """
import os, sys
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from segpipe.models.build import build_model
from segpipe.training.freezing import Freezing
from segpipe.params.model import ModelParams

rank, processes, store = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=processes)
torch.manual_seed(0)
options = {"name": "unet", "unet": {"width": 4, "depth": 1, "norm": "group"}}
network = build_model(ModelParams.model_validate(options), 3, 2).double()
optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
model = DistributedDataParallel(network, find_unused_parameters=True)
freezing = Freezing(network, ["down"])
for number in range(6):
    freezing.switch(1 <= number < 4)
    model.train()
    freezing.hold()
    batch = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(number)).double()
    model(batch[rank::processes]).square().mean().backward()
    optimizer.step()
    optimizer.zero_grad()
total = sum(float(w.detach().abs().sum()) for w in network.down.parameters())
print(f"{total:.10f} {float(network.head.weight.detach().abs().sum()):.10f}", flush=True)
dist.destroy_process_group()
"""


@pytest.mark.slow
def test_two_processes_freeze_and_thaw_as_one(tmp_path):
    """torch's wrapper was told at the start that weights may be without gradient."""
    alone = run_python(["-c", _ON_PROCESSES, "0", "1", str(tmp_path / "alone")], ROOT)
    assert alone.returncode == 0, alone.stderr
    both = [
        subprocess.Popen(
            [sys.executable, "-c", _ON_PROCESSES, str(rank), "2", str(tmp_path / "both")],
            cwd=ROOT,
            env=child_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    said = [process.communicate(timeout=600) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    for out, _ in said:
        for found, expected in zip(out.split(), alone.stdout.split(), strict=True):
            assert float(found) == pytest.approx(float(expected), rel=1e-8)
