"""What recipes reach on CamVid in a given time: scores of several seeds by one protocol and one clock.

docs/board.md has the rules. Every training is `segpipe train` in a project of its own; the clock runs from
its start until the bundle is there. A row is kept in OUT/results.json as soon as it is known, with the
bundle, the metrics and the log beside it: after an interruption the same command goes on, and --test
scores bundles that are kept. Nothing else should run meanwhile.

Examples:
  python -m bench.board
  python -m bench.board --recipe camvid_pretrained --seeds 0,1,2 --test data/camvid_test
  python -m bench.board --recipe camvid --minutes 10 --set train.ema=0.99
  python -m bench.board --drives
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.board_data import DRIVES, TRAINING_IMAGES, board_params, link_split, steps_within
from bench.board_rows import row_line, scores_row, summary
from bench.project import ROOT
from segpipe.cli.recipes import find_recipe
from segpipe.params.length import Length
from segpipe.params.load import validate
from segpipe.params.schema import Params
from segpipe.params.settings import set_in
from segpipe.params.writer import write_params
from segpipe.project.make import make_project
from segpipe.results.evaluation import Evaluation
from segpipe.results.records import read_record
from segpipe.runtime.atomic import write_json
from segpipe.runtime.hardware import best_device, device_name
from segpipe.runtime.revision import git_revision

_BUNDLE = "models/model.json"


@dataclass(frozen=True)
class Entry:
    """A recipe as it is trained: under which name its rows stand, its parameters, the images left out.

    split: `val`, or the drive that it is scored on and does not learn from.
    """

    name: str
    params: Params
    split: str

    def content(self, seed: int) -> dict[str, Any]:
        """Return its parameters with a seed, as params.yaml holds them."""
        content = self.params.model_dump(mode="json")
        set_in(content, "train.seed", seed)
        return content

    def row(self, seed: int) -> str:
        """Return the name of its row with a seed; any other parameter makes it another row."""
        values = json.dumps(self.content(seed), sort_keys=True)
        digest = hashlib.sha256(values.encode()).hexdigest()[:8]
        return f"{self.name}-{self.split}-{seed}-{digest}"


def main() -> None:
    """Train what is not there yet, and print each row and the means."""
    options = _options()
    seeds = [int(seed) for seed in options.seeds.split(",")]
    rows: dict[str, dict[str, Any]] = {}
    results = options.out / "results.json"
    if results.is_file():
        rows = json.loads(results.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        entries = [_entry(Path(folder), split, options) for split in _splits(options)]
        for entry in entries:
            for seed in seeds:
                name = entry.row(seed)
                place = options.out / name
                if name not in rows:
                    rows[name] = train(entry, seed, place)
                if options.test is not None and "test" not in rows[name]:
                    rows[name]["test"] = score_folder(place, options.test.resolve())
                write_json(results, rows)
                print(row_line(name, rows[name]), flush=True)
    for entry in entries:
        found = [rows[entry.row(seed)] for seed in seeds]
        for line in summary(f"{entry.name}, {entry.split}", found, options.limit):
            print(line)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--camvid", type=Path, default=ROOT / "data/camvid", metavar="DIR")
    parser.add_argument("--recipe", default="camvid", help="a name or a parameter file (camvid)")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--seeds", default="0,1,2", help="separated by commas (0,1,2)")
    parser.add_argument(
        "--test", type=Path, metavar="DIR", help="images/ and masks/ of the test split"
    )
    parser.add_argument(
        "--drives",
        nargs="*",
        metavar="DRIVE",
        help=f"leave each of these drives out in turn, and score on it (default: {' '.join(DRIVES)})",
    )
    parser.add_argument(
        "--minutes",
        type=float,
        help="train for as many steps as fit this time here, in place of the recipe's length",
    )
    parser.add_argument("--limit", type=float, default=10.0, help="minutes of the clock (10)")
    parser.add_argument("--out", type=Path, default=ROOT / ".segpipe/board", metavar="DIR")
    return parser.parse_args()


def _splits(options: argparse.Namespace) -> Sequence[str]:
    return ["val"] if options.drives is None else options.drives or DRIVES


def _entry(folder: Path, split: str, options: argparse.Namespace) -> Entry:
    recipe = find_recipe(options.recipe)
    params = board_params(recipe, options.camvid, options.settings)
    if options.minutes is not None:
        params = steps_within(params, options.minutes)
    if split != "val":
        own = link_split(options.camvid.resolve(), split, options.out / "data" / split)
        params = _for_split(params, own)
    return Entry(recipe.stem, params, split)


def _for_split(params: Params, data: Path) -> Params:
    """Return parameters for other data, which train on as many samples and validate at the end alone."""
    length = params.train.length
    if length.unit == "epochs":
        length = Length(round(length.amount * TRAINING_IMAGES), "samples")
    content = params.model_dump(mode="json")
    set_in(content, "source.path", str(data.resolve()))
    for key in ("train.length", "train.validate_every"):
        set_in(content, key, str(length))
    return validate(content, "the recipe without a drive")


def train(entry: Entry, seed: int, place: Path) -> dict[str, Any]:
    """Train, keep bundle, metrics, log and parameters in the folder `place`, and return the row.

    Raises CalledProcessError where `segpipe train` fails; the log of it stays.
    """
    place.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place) as folder:
        project = Path(folder) / "project"
        make_project(project, None)
        text = write_params(validate(entry.content(seed), entry.name))
        (project / "params.yaml").write_text(text, encoding="utf-8")
        seconds = _seconds_to_bundle(project, place / "train.log")
        for name in ("models", "metrics"):
            shutil.copytree(project / name, place / name, dirs_exist_ok=True)
        shutil.copy(project / "params.yaml", place)
    evaluation = read_record(Evaluation, place / "metrics/evaluation.json")
    return {
        "recipe": entry.name,
        "split": entry.split,
        "seed": seed,
        "seconds": round(seconds, 1),
        **scores_row(evaluation),
        "machine": f"{os.cpu_count()} cores, {device_name(best_device())}",
        "revision": git_revision(),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
    }


def _seconds_to_bundle(project: Path, log: Path) -> float:
    """Run `segpipe train` to its end; return the seconds from its start until the bundle was there."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "DVC_ROOT": str(project)}
    command = [sys.executable, "-m", "segpipe.cli.main", "train"]
    seconds, start = None, time.monotonic()
    with log.open("wb") as file:
        running = subprocess.Popen(
            command, cwd=project, env=environment, stdout=file, stderr=subprocess.STDOUT
        )
        try:
            while running.poll() is None:
                if seconds is None and (project / _BUNDLE).is_file():
                    seconds = time.monotonic() - start
                time.sleep(0.1)
        finally:
            if running.poll() is None:
                running.terminate()
                running.wait()
    if running.returncode or seconds is None:
        sys.exit(f"segpipe train ended with exit code {running.returncode}; {log} says why")
    return seconds


def score_folder(place: Path, test: Path) -> dict[str, Any]:
    """Return the scores of a kept bundle on images/ and masks/ of a folder, at their own size."""
    classes = test / "classes.csv"
    with tempfile.TemporaryDirectory() as folder:
        labels, out = f"{folder}/labels", f"{folder}/scores"
        _segpipe(
            "predict", str(test / "images"), "--bundle", str(place / "models"), "--out", labels
        )
        _segpipe("score", labels, str(test / "masks"), "--scheme", str(classes), "--out", out)
        return scores_row(read_record(Evaluation, Path(out) / "evaluation.json"))


def _segpipe(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "segpipe.cli.main", *arguments], cwd=ROOT, check=True)


if __name__ == "__main__":
    main()
