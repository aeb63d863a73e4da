"""From a bundle to an exported file that was compared with it, and the record beside it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import torch

from segpipe.bundle import load_bundle
from segpipe.bundle_format import BEST, Description, file_sha256, read_description
from segpipe.dataset.layout import INDEX, read_samples
from segpipe.dataset.subset import evenly_spaced
from segpipe.export.file_content import onnx_content, openvino_content
from segpipe.export.onnx_file import OnnxNetwork, onnx_network
from segpipe.export.quantise import quantised
from segpipe.export.verify import (
    Comparison,
    compare,
    latencies,
    most_difference,
    refuse_other_scores,
)
from segpipe.inference.exported import exported_bundle
from segpipe.inference.exported_file import OnnxSession, OpenvinoSession, Session
from segpipe.inference.predictor import Predictor
from segpipe.raw.sample import Sample
from segpipe.runtime.atomic import atomic_files, disk_errors_explained
from segpipe.runtime.console import say
from segpipe.runtime.errors import DataError
from segpipe.runtime.hardware import device_name
from segpipe.runtime.version import installed_version

_CALIBRATION_IMAGES = 32
_CPU = torch.device("cpu")


@dataclass(frozen=True)
class ExportJob:
    """bundle: its folder. out: FILE.onnx, or FILE.xml when `to` is openvino.

    raw, prepared: the data of the project, whose validation images both are scored on; int8 looks at
    training images. images: at most so many validation images, evenly spaced; None for all.
    """

    bundle: Path
    to: Literal["onnx", "openvino"]
    int8: bool
    out: Path
    raw: Path
    prepared: Path
    images: int | None = None


@dataclass(frozen=True)
class MadeExport:
    """An exported file that is still in memory, and how it compares with its bundle.

    files: their contents. predictors: of the bundle and of the file.
    """

    job: ExportJob
    about: Description
    network: OnnxNetwork
    files: dict[Path, bytes]
    predictors: Sequence[Predictor]
    comparison: Comparison

    def record(self) -> dict[str, Any]:
        """Measure the latency of both, which takes up to 10 s; return what stands in FILE.json."""
        found = _record(self.job, self.about, self.network, self.comparison)
        return found | _measured(self.predictors, self.job, self.files)


def make_export(job: ExportJob) -> MadeExport:
    """Export a bundle and score both; nothing is written, whatever the scores. Raises as `export` does."""
    samples = _validation_samples(job)
    bundle = replace(load_bundle(job.bundle), precision="fp32")
    about = _description(job.bundle)
    say(f"{job.bundle}: the network {about.model.name} is exported")
    network = onnx_network(bundle)
    content = network.content
    if job.int8:
        calibration = _samples(job.prepared / "train" / INDEX, _CALIBRATION_IMAGES)
        content = quantised(content, about, calibration, job.raw)
    files, session = _made(job, content, about)
    own = Predictor(bundle, _CPU)
    exported = Predictor(exported_bundle(session, about, job.out.name), _CPU)
    comparison = compare(own, exported, samples, job.raw)
    return MadeExport(job, about, network, files, [own, exported], comparison)


def export(job: ExportJob) -> dict[str, Any]:
    """Write the exported file, and the record FILE.json beside it, which is returned.

    The bundle is compared in fp32 on the CPU, so that what the export changes is seen alone. Raises
    ExportError when the network cannot be exported or the scores differ by more than is allowed,
    DataError when the data is missing, BundleError; nothing is written then.
    """
    made = make_export(job)
    refuse_other_scores(made.comparison, job.int8)
    record, files = made.record(), dict(made.files)
    files[job.out.with_name(f"{job.out.name}.json")] = (
        json.dumps(record, indent=2, allow_nan=False) + "\n"
    ).encode()
    with disk_errors_explained(job.out), atomic_files([*files]) as partials:
        for partial, written in zip(partials, files.values(), strict=True):
            partial.write_bytes(written)
    return record


def _validation_samples(job: ExportJob) -> list[Sample]:
    try:
        return _samples(job.prepared / "val" / INDEX, job.images)
    except DataError as error:
        raise DataError(
            f"the exported file is compared with the bundle on the validation images, so run it in the "
            f"folder of the project that has them: {error}"
        ) from error


def _samples(index: Path, most: int | None) -> list[Sample]:
    samples = read_samples(index)
    return [samples[place] for place in evenly_spaced(len(samples), most or len(samples))]


def _description(folder: Path) -> Description:
    """Return the description that goes into the file, with the digest of the weights in it."""
    about = read_description(folder)
    return about.model_copy(update={"sha256": {BEST: file_sha256(folder / BEST)}})


def _made(job: ExportJob, network: bytes, about: Description) -> tuple[dict[Path, bytes], Session]:
    """Return the content of each file, and what runs it."""
    threads = torch.get_num_threads()
    if job.to == "onnx":
        content = onnx_content(network, about)
        return {job.out: content}, OnnxSession(content, threads)
    content, weights = openvino_content(network, about)
    # The weights first: FILE.xml is there only when they are.
    files = {job.out.with_suffix(".bin"): weights, job.out: content}
    return files, OpenvinoSession(content, weights, threads)


def _record(
    job: ExportJob, about: Description, network: OnnxNetwork, found: Comparison
) -> dict[str, Any]:
    spec = about.input
    return {
        "written_by": f"segpipe {installed_version()}",
        "file": job.out.name,
        "to": job.to,
        "int8": job.int8,
        "model": about.model.name,
        "weights_sha256": about.sha256[BEST],
        "sides": "any" if network.any_size else f"{spec.height}x{spec.width}",
        "batch": "any" if network.any_batch else "1",
        "validation": {
            "images": found.images,
            "miou": {"bundle": found.miou, "file": found.file_miou},
            "difference": round(found.difference, 6),
            "allowed": most_difference(job.int8),
            "iou_difference_by_class": found.iou_difference,
        },
    }


def _measured(
    predictors: Sequence[Predictor], job: ExportJob, files: dict[Path, bytes]
) -> dict[str, Any]:
    times, runs = latencies(predictors)
    libraries = ["torch", "onnxruntime", *(["openvino"] if job.to == "openvino" else [])]
    return {
        "latency_ms": {"bundle": times[0], "file": times[1]},
        "latency_protocol": f"median of {runs} images of the network's size, one at a time, fp32 bundle",
        "hardware": device_name(_CPU),
        "threads": torch.get_num_threads(),
        "libraries": {name: version(name) for name in libraries},
        "bytes": {
            "bundle": (job.bundle / BEST).stat().st_size,
            "file": sum(map(len, files.values())),
        },
    }
