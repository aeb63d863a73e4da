"""Trainings that take no time, in the place of DVC's; run as a program, a sweep over them that can be killed.

A fake training writes its result into results/NAME after a moment, and a line into trained.log. Its value
is a function of its settings, so that a test knows what the best point is.
"""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from segpipe.sweeps.definition import read_definition
from segpipe.sweeps.experiment import Experiment
from segpipe.sweeps.run import Runner
from segpipe.sweeps.study import Study

TRAINING = """
import json, os, sys, time
name, settings, seconds = sys.argv[1], json.loads(sys.argv[2]), float(sys.argv[3])
values = dict(one.split("=") for one in settings)
if values.get("train.optimizer") == "sgd":
    print("error: the loss is not finite", flush=True); sys.exit(1)
folder, rows, pruned = os.environ.get("SEGPIPE_TRIAL"), [], False
for epoch in range(5):
    rows.append({"val_loss": 1.0, "val_miou": float(values["train.lr"]) * (epoch + 1)})
    if folder:
        with open(f"{folder}/rows.part", "w") as file:
            json.dump(rows, file)
        os.replace(f"{folder}/rows.part", f"{folder}/rows.json")
    time.sleep(seconds / 5)
    if folder and os.path.exists(f"{folder}/end"):
        pruned = True
        break
with open("trained.log", "a") as file:
    file.write(f"{name}\\n")
with open(f"results/{name}.part", "w") as file:
    json.dump({"settings": values, "pruned": pruned, "visible": os.environ.get("CUDA_VISIBLE_DEVICES")}, file)
os.replace(f"results/{name}.part", f"results/{name}.json")
"""


class FakeTrainer:
    """Runs TRAINING in the current folder. seconds: of each training."""

    def __init__(self, seconds: float = 0.0) -> None:
        Path("results").mkdir(exist_ok=True)
        self.seconds = seconds

    def is_finished(self, experiment: Experiment) -> bool:
        return Path(f"results/{experiment.name}.json").exists()

    def start(
        self,
        experiment: Experiment,
        environment: Mapping[str, str],
        log: Path,
        kept_open: Sequence[int],
    ) -> "subprocess.Popen[bytes]":
        import os

        arguments = [experiment.name, json.dumps(experiment.settings), str(self.seconds)]
        with log.open("ab") as output:
            return subprocess.Popen(
                [sys.executable, "-S", "-c", TRAINING, *arguments],
                env={**os.environ, **environment},
                stdout=output,
                stderr=output,
                pass_fds=kept_open,
            )

    def under_way(self, log: Path) -> bool:
        return True

    def measured(self, experiment: Experiment, names: Sequence[str]) -> dict[str, float]:
        settings = json.loads(Path(f"results/{experiment.name}.json").read_text())["settings"]
        seed = int(settings.get("train.seed", 0))
        value = float(settings["train.lr"]) + 0.001 * seed
        cost = float(settings.get("train.batch_size", 1))
        return {name: value if name == "evaluation.miou" else cost for name in names}

    def was_pruned(self, experiment: Experiment) -> bool:
        return bool(json.loads(Path(f"results/{experiment.name}.json").read_text())["pruned"])

    def failure(self, log: Path, code: int) -> str | None:
        return None if code < 0 else log.read_text().strip().removeprefix("error: ")


def runner(file: Path, jobs: int = 1, seconds: float = 0.0) -> Runner:
    """A sweep of the file over fake trainings, in the current folder."""
    definition = read_definition(file)
    folder = Path("sweep")
    return Runner(
        definition=definition,
        study=Study(definition, folder),
        folder=folder,
        trainer=FakeTrainer(seconds),
        environments=[{"CUDA_VISIBLE_DEVICES": str(n)} for n in range(jobs)],
        poll=0.02,
    )


if __name__ == "__main__":
    runner(Path(sys.argv[1]), jobs=int(sys.argv[2]), seconds=float(sys.argv[3])).run()
