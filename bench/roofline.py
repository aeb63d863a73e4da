"""How near each network's forward and backward pass comes to what this machine's convolutions reach.

First the peaks: dense 3x3 convolutions of as many channels in as out, in bf16 and channels-last, forward
alone and with their backward, in GFLOP/s. Then the networks, as training runs them (bf16 autocast,
channels-last): images/s, GFLOP/s of their convolutions and products by torch's own count, the share of
the highest peak with backward, and the operators that take the time. A share below one half with the
time in convolutions speaks of shapes that the units do not like (groups, few channels); with the time
elsewhere, of norms, joins, resizing and copies. Nothing else should run meanwhile.

Example: python -m bench.roofline --height 192 --width 256 --batch 4
"""

import argparse
import math
import statistics
from collections.abc import Callable
from time import perf_counter
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from segpipe.models.build import build_model
from segpipe.models.parts.network import count_parameters
from segpipe.params.model import ModelParams
from segpipe.runtime.allocation import keep_freed_memory
from segpipe.runtime.hardware import best_device, choose_precision, device_name

_CLASSES = 11
_CHANNELS = (16, 32, 64, 128, 256)
# Channels squared times pixels: each convolution has as much work, as in networks whose stages halve
# the sides and double the channels; 9.7 GFLOP forward.
_WORK = 256 * 256 * 8192
_MODELS: dict[str, dict[str, Any]] = {
    "unet": {},
    "regseg": {"dilation": 5},
    "compact_fpn": {},
    "smp": {"decoder": "fpn", "encoder": "tu-tf_efficientnet_lite0", "decoder_width": 0.25},
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, default in (("height", 192), ("width", 256), ("batch", 4), ("operators", 6)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--models", nargs="+", choices=_MODELS, default=list(_MODELS))
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement (2)")
    options = parser.parse_args()
    keep_freed_memory()
    device = best_device()
    print(f"{device_name(device)}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    print("dense 3x3 convolutions, bf16, GFLOP/s")
    print(f"{'channels':>8}{'forward':>10}{'with backward':>16}")
    peak = 0.0
    for channels in _CHANNELS:
        forward, both = convolution_speeds(channels, device, options.seconds)
        peak = max(peak, both)
        print(f"{channels:8}{forward:10.0f}{both:16.0f}", flush=True)
    for name in options.models:
        print_network(name, device, peak, options)


def convolution_speeds(channels: int, device: torch.device, seconds: float) -> tuple[float, float]:
    """Return the GFLOP/s of a dense 3x3 convolution, forward alone and with its backward."""
    layer = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
    layer = layer.to(device, torch.bfloat16, memory_format=torch.channels_last)  # type: ignore[call-overload]
    side = round((_WORK / channels**2 / 4) ** 0.5)
    x_BCHW = torch.randn(4, channels, side, side, device=device, dtype=torch.bfloat16)
    x_BCHW = x_BCHW.contiguous(memory_format=torch.channels_last).requires_grad_()
    with torch.no_grad():
        gradient_BCHW = torch.ones_like(layer(x_BCHW))

    def forward() -> None:
        with torch.no_grad():
            layer(x_BCHW)

    def both() -> None:
        layer(x_BCHW).backward(gradient_BCHW)

    gflop = 2 * 9 * channels**2 * 4 * side**2 / 1e9
    # The backward pass is two convolutions: to the input and to the weights.
    return gflop / timed(forward, seconds), 3 * gflop / timed(both, seconds)


def print_network(
    name: str, device: torch.device, peak: float, options: argparse.Namespace
) -> None:
    """Print what a network reaches of the peak (GFLOP/s), and its slowest operators."""
    params = ModelParams.model_validate({"name": name, name: _MODELS[name]})
    network = build_model(params, 3, _CLASSES).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    sides = options.batch, options.height, options.width
    image_BCHW = torch.randn(sides[0], 3, *sides[1:], device=device)
    image_BCHW = image_BCHW.contiguous(memory_format=torch.channels_last)
    mask_BHW = torch.randint(_CLASSES, sides, device=device)
    bf16 = choose_precision("auto", device) == "bf16"

    def step() -> None:
        network.zero_grad()
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            logits_BKHW: Tensor = network(image_BCHW)
        F.cross_entropy(logits_BKHW.float(), mask_BHW).backward()  # type: ignore[no-untyped-call]

    gflop = operations(step) / 1e9
    seconds = timed(step, options.seconds)
    speed = gflop / seconds
    print(
        f"\n{name}, {count_parameters(network) / 1e6:.2f} M parameters, batch {sides[0]} of "
        f"{sides[1]}x{sides[2]}, {'bf16' if bf16 else 'fp32'}: {sides[0] / seconds:.1f} images/s, "
        f"{speed:.0f} GFLOP/s, {speed / peak:.0%} of the peak"
    )
    for operator, share in slowest_operators(step, device, options.operators):
        print(f"{share:6.0%}  {operator}", flush=True)


def operations(step: Callable[[], None]) -> int:
    """Return the additions and multiplications of a step's convolutions and products.

    torch's own count takes the gradient of a kernel in groups for that of a dense one.
    """
    mapping = {torch.ops.aten.convolution_backward: _backward_operations}
    with FlopCounterMode(display=False, custom_mapping=mapping) as counter:
        step()
    return int(counter.get_total_flops())


def _backward_operations(
    gradient: list[int], x: list[int], kernel: list[int], *others: Any, **_: Any
) -> int:
    """Return those of the gradients of input and kernel, each as many as of the convolution itself."""
    transposed, wanted = others[4], others[7]
    cells = math.prod((x if transposed else gradient)[2:])
    gradients: int = sum(wanted[:2])
    return 2 * gradient[0] * cells * math.prod(kernel) * gradients


def slowest_operators(
    step: Callable[[], None], device: torch.device, number: int
) -> list[tuple[str, float]]:
    """Return operators and their shares of the time of a step, without those that they call."""
    kinds = [ProfilerActivity.CPU]
    if device.type == "cuda":
        kinds.append(ProfilerActivity.CUDA)
    with profile(activities=kinds) as found:
        step()

    def spent(event: Any) -> float:
        on_gpu = device.type == "cuda"
        return float(event.self_device_time_total if on_gpu else event.self_cpu_time_total)

    events = sorted(found.key_averages(), key=spent, reverse=True)
    total = sum(map(spent, events))
    return [(event.key, spent(event) / total) for event in events[:number]]


def timed(step: Callable[[], None], seconds: float) -> float:
    """Return the median seconds of a step, of at least three within the time; the first warms up."""
    found: list[float] = []
    step()
    while len(found) < 3 or sum(found) < seconds:
        start = perf_counter()
        step()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        found.append(perf_counter() - start)
    return statistics.median(found)


if __name__ == "__main__":
    main()
