"""segpipe export: a model as a file for ONNX Runtime or OpenVINO, compared with its bundle."""

import argparse
from pathlib import Path
from typing import Any

from segpipe.cli.output_file import JSON_START, refuse_foreign_file
from segpipe.inference.exported_file import ONNX, OPENVINO, holds_seal
from segpipe.runtime.console import say
from segpipe.runtime.errors import ParameterError

_DESCRIPTION = """
Write a model as one file for ONNX Runtime (FILE.onnx) or OpenVINO (FILE.xml with FILE.bin).

The network in it takes pictures as they are read (uint8, channels last) and returns the logits of each
class at their size; normalisation is inside, and so are the labels and all else of model.json.
It is written only if its mIoU on the validation images of this project differs from the bundle's by
0.001 at most, of --int8 by 0.01; so it needs data/raw and data/prepared. FILE.json, beside it, holds
the differences by class, and size and latency of both on this machine.

`segpipe predict --model FILE` and `segpipe.load_model(FILE)` use it like a bundle.
"""
_EXAMPLES = """
examples:
  segpipe export --to onnx
  segpipe export --to onnx --int8 --out exported/street_int8.onnx
  segpipe export models --to openvino --images 200
  segpipe predict photographs --out labels --model exported/model.onnx
"""
_OUT = Path("exported")
_SUFFIX = {"onnx": ONNX, "openvino": OPENVINO}


def add_command(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add `export` to the command line."""
    parser = commands.add_parser(
        "export",
        help="write a model as an ONNX or OpenVINO file",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "bundle", nargs="?", type=Path, default=Path("models"), help="the model (default: models)"
    )
    parser.add_argument("--to", required=True, choices=tuple(_SUFFIX), help="the kind of file")
    parser.add_argument(
        "--int8",
        action="store_true",
        help="8-bit integers in place of floats, by the values of 32 training images; smaller, and faster "
        "on some processors",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=_OUT,
        help=f"FILE.onnx, FILE.xml, or a folder for model.onnx or model.xml, with --int8 "
        f"model_int8 (default: {_OUT}); what an earlier export wrote there is replaced",
    )
    parser.add_argument(
        "--images",
        type=int,
        metavar="N",
        help="score at most so many validation images, evenly spaced (default: all)",
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    out = _target(options.out, options.to, options.int8)
    if options.images is not None and options.images < 1:
        raise ParameterError(f"--images is {options.images}; it must be 1 or more")
    _refuse_foreign(out)
    try:
        from segpipe.export.run import ExportJob, export
    except ImportError as error:
        raise ParameterError(
            f"segpipe export needs {error.name}, which is not installed: pip install 'segpipe[export]'"
        ) from error

    record = export(
        ExportJob(
            bundle=options.bundle,
            to=options.to,
            int8=options.int8,
            out=out,
            raw=Path("data/raw"),
            prepared=Path("data/prepared"),
            images=options.images,
        )
    )
    _say_record(out, record)
    return 0


def _target(out: Path, to: str, int8: bool) -> Path:
    """Return the file to write; ParameterError when --out names one of another kind."""
    if out.suffix in ("", ".") or out.is_dir():
        return out / f"model{'_int8' if int8 else ''}{_SUFFIX[to]}"
    if out.suffix != _SUFFIX[to]:
        raise ParameterError(
            f"--out is {out}, but --to {to} writes a file that ends in {_SUFFIX[to]}; name one, or a folder"
        )
    return out


def _refuse_foreign(out: Path) -> None:
    """Raise ParameterError when a file that export has not written would be replaced."""
    refuse_foreign_file(Path(f"{out}.json"), "--out", JSON_START, force=False)
    weights = out.with_suffix(".bin")
    taken = out if out.exists() else weights if out.suffix == OPENVINO else None
    if taken is not None and taken.exists() and not (taken == out and holds_seal(taken)):
        raise ParameterError(
            f"--out is {out}: {taken} was not written by `segpipe export` and would be overwritten; "
            "name another file"
        )


def _say_record(out: Path, record: dict[str, Any]) -> None:
    found, times, sizes = record["validation"], record["latency_ms"], record["bytes"]
    say(
        f"validation: mIoU {100 * found['miou']['file']:.2f} % on {found['images']} images, of the bundle "
        f"{100 * found['miou']['bundle']:.2f} %"
    )
    say(
        f"one image: {times['file']:.1f} ms, of the bundle {times['bundle']:.1f} ms, on "
        f"{record['hardware']} with {record['threads']} threads"
    )
    say(
        f"{out} ({sizes['file'] / 2**20:.1f} MiB) takes images of {_shown_sides(record['sides'])}; "
        f"see {out}.json"
    )


def _shown_sides(sides: str) -> str:
    return "any size" if sides == "any" else f"{sides} pixels alone"
