"""Loops that are measured in turns, each in a process of its own, as in use."""

import argparse
import statistics
import tempfile
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path

import torch

from segpipe.runtime.hardware import best_device, choose_precision, device_name

# Makes a loop ready, by its name, in an empty folder; what it returns takes a turn of it and says how
# many images a second that was.
MakeLoop = Callable[[str, Path], Callable[[], float]]


def speeds_in_turns(names: Sequence[str], make: MakeLoop, rounds: int) -> dict[str, list[float]]:
    """Return the images a second of each loop in `rounds` turns, after one to warm up."""
    context = torch.multiprocessing.get_context("spawn")
    ends: dict[str, Connection] = {}
    for name in names:
        ends[name], other = context.Pipe()
        # Daemons may start no processes, as the loader of a plain loop does.
        context.Process(target=_serve, args=(name, make, other)).start()
        other.close()
    speeds: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(rounds + 1):
        for name, end in ends.items():
            end.send(None)
            speed = end.recv()
            if turn:  # the first turn warms up
                speeds[name].append(speed)
    for end in ends.values():
        end.close()
    return speeds


def _serve(name: str, make: MakeLoop, end: Connection) -> None:
    """Answer each message with the speed of a turn, until the other end is closed."""
    with tempfile.TemporaryDirectory() as folder:
        turn = make(name, Path(folder))
        while True:
            try:
                end.recv()
            except EOFError:
                return
            end.send(turn())


def turns_parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser of what all loops share: sizes, the U-Net's width, and how many turns there are."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, default in (("height", 256), ("width", 512), ("batch", 8), ("model-width", 16)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--rounds", type=int, default=5)
    return parser


def print_speeds(options: argparse.Namespace, speeds: dict[str, list[float]]) -> None:
    """Print what is measured, where, and the median of each loop. options: of `turns_parser`."""
    device = best_device()
    print(
        f"U-Net of width {options.model_width}, {options.height}x{options.width}, batch {options.batch}, "
        f"{device_name(device)}, {torch.get_num_threads()} threads, {choose_precision('auto', device)}"
    )
    for name, found in speeds.items():
        print(f"{name:<22}{statistics.median(found):8.2f} images/s")


def print_ratio(name: str, ours: list[float], theirs: list[float]) -> None:
    """Print the median of the ratios of each turn, and the lowest and highest."""
    ratios = [mine / other for mine, other in zip(ours, theirs, strict=True)]
    print(f"{name:<22}{statistics.median(ratios):8.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
