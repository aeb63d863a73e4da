"""Images per second of segpipe's validation and prediction against plain PyTorch loops.

The plain loops are what a tutorial shows: PNG files opened and resized with Pillow, a DataLoader with two
workers, float32, default memory format; validation counts a confusion matrix by `bincount` and the
loss, prediction saves the labels as PNG. Model, sizes and batch are the same. Each loop has a process
of its own, and they run in turns; medians, and the spread of the ratios, are printed.

Examples:
  python -m bench.inference
  python -m bench.inference --height 512 --width 1024 --images 16
"""

import argparse
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from time import perf_counter

import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader

from bench.noise import noise_files, noise_job, noise_scheme
from bench.plain_files import PlainFiles
from bench.turns import print_ratio, print_speeds, speeds_in_turns, turns_parser
from segpipe.bundle import Bundle
from segpipe.inference.files import predict_files
from segpipe.inference.output import Output
from segpipe.inference.predictor import Predictor
from segpipe.models.build import build_model
from segpipe.params.model import ModelParams, UNetParams
from segpipe.params.train import TrainParams
from segpipe.raw.sample import Sample
from segpipe.runtime.allocation import keep_freed_memory
from segpipe.runtime.hardware import best_device
from segpipe.training.distributed.signals import StopRequest
from segpipe.training.job import Job
from segpipe.training.validate import validate

_LOOPS = ("plain validation", "segpipe validation", "plain prediction", "segpipe prediction")


def main() -> None:
    """Measure and print."""
    options = _options()
    speeds = speeds_in_turns(_LOOPS, partial(_make_loop, options=options), options.rounds)
    print_speeds(options, speeds)
    for kind in ("validation", "prediction"):
        print_ratio(f"{kind}, ratio", speeds[f"segpipe {kind}"], speeds[f"plain {kind}"])


def _options() -> argparse.Namespace:
    parser = turns_parser(__doc__)
    parser.add_argument("--images", type=int, default=32, help="in a turn (32)")
    return parser.parse_args()


def _make_loop(name: str, folder: Path, options: argparse.Namespace) -> Callable[[], float]:
    raw, sides = folder / "raw", (options.height, options.width)
    samples = noise_files(raw, options.images, *sides)
    model = ModelParams(unet=UNetParams(width=options.model_width))
    if name.startswith("plain"):
        network = build_model(model, 3, noise_scheme().num_classes).eval().to(best_device())
        files = PlainFiles(raw, samples, *sides, flips=False)
        loader = DataLoader(files, options.batch, num_workers=2, persistent_workers=True)
        if name == "plain validation":
            turn: Callable[[], object] = partial(_plain_validation, network, loader)
        else:
            turn = partial(_plain_prediction, network, loader, folder)
    else:
        keep_freed_memory()
        train = TrainParams(batch_size=options.batch)
        job = noise_job(folder, samples, sides, model, train, val=len(samples))
        if name == "segpipe validation":
            turn = partial(
                validate, job.learner, job.data, job.objective, job.processes, StopRequest()
            )
        else:
            turn = partial(_segpipe_prediction, _predictor(job, model), raw, samples, folder)
    return partial(_speed, turn, len(samples))


def _speed(turn: Callable[[], object], images: int) -> float:
    start = perf_counter()
    turn()
    return images / (perf_counter() - start)


def _plain_validation(
    network: nn.Module, loader: DataLoader[tuple[Tensor, Tensor]]
) -> tuple[Tensor, float]:
    """Return the confusion matrix (true class by predicted one) and the mean loss of the batches."""
    classes, losses = noise_scheme().num_classes, []
    criterion = nn.CrossEntropyLoss(ignore_index=255)
    confusion_KK = torch.zeros(classes, classes, dtype=torch.int64)
    for logits_BKHW, mask_BHW in _logits(network, loader):
        losses.append(criterion(logits_BKHW, mask_BHW).item())
        scored_BHW = mask_BHW != 255
        pairs = classes * mask_BHW[scored_BHW] + logits_BKHW.argmax(1)[scored_BHW]
        confusion_KK += torch.bincount(pairs, minlength=classes**2).view(classes, classes).cpu()
    return confusion_KK, sum(losses) / len(losses)


def _plain_prediction(
    network: nn.Module, loader: DataLoader[tuple[Tensor, Tensor]], folder: Path
) -> None:
    scheme, number = noise_scheme(), 0
    for logits_BKHW, _ in _logits(network, loader):
        for ids_HW in logits_BKHW.argmax(1).to(torch.uint8).cpu().numpy():
            Image.fromarray(scheme.decode(ids_HW)).save(folder / f"{number}.png")
            number += 1


def _logits(
    network: nn.Module, loader: DataLoader[tuple[Tensor, Tensor]]
) -> Iterator[tuple[Tensor, Tensor]]:
    device = best_device()
    with torch.no_grad():
        for image_BCHW, mask_BHW in loader:
            yield network(image_BCHW.to(device)), mask_BHW.to(device)


def _segpipe_prediction(
    predictor: Predictor, raw: Path, samples: list[Sample], folder: Path
) -> None:
    names = {raw / sample.image: sample.name for sample in samples}
    predict_files([predictor], names, folder / "labels", Output(0.0, submission=True))


def _predictor(job: Job, model: ModelParams) -> Predictor:
    dataset = job.data.dataset
    return Predictor(
        Bundle(
            model=job.learner.network.eval(),
            model_params=model,
            scheme=dataset.scheme,
            input=dataset.input,
            precision=job.train.precision,
            lineage={},
        )
    )


if __name__ == "__main__":
    main()
