"""The same training with several seeds, each a DVC experiment."""

import hashlib
import json
import re
from collections.abc import Sequence
from time import monotonic

from segpipe.params.chosen import chosen
from segpipe.results.experiments import commit_of, experiments, read_run
from segpipe.runtime.console import say, say_error
from segpipe.runtime.errors import ParameterError, SegpipeError
from segpipe.runtime.revision import git_output
from segpipe.sweeps.experiment import Experiment

_SEED = "train.seed"


def seeds_of(text: str, settings: Sequence[str]) -> list[int]:
    """Return the seeds that `--seeds` means: `5` for five from train.seed on, `3,5,7` for these."""
    if any(setting.lstrip("+").startswith(f"{_SEED}=") for setting in settings):
        raise ParameterError(f"-S {_SEED}: the seeds are those of --seeds; leave it out")
    parts = text.split(",")
    if not all(part.strip().isdecimal() for part in parts):
        raise ParameterError(
            f"--seeds is {text}; it must be a number such as 5, or a list such as 3,5,7"
        )
    numbers = [int(part) for part in parts]
    if len(numbers) == 1:
        first = Experiment("", tuple(settings)).parameters().train.seed
        numbers = [first + number for number in range(numbers[0])]
    if len(set(numbers)) < max(len(numbers), 2):
        raise ParameterError(f"--seeds is {text}; at least two are needed, each once")
    return numbers


def seed_experiments(
    seeds: Sequence[int], settings: Sequence[str], name: str | None
) -> list[Experiment]:
    """Return an experiment for each seed; ParameterError for settings or seeds that cannot be meant.

    name: what they are called before `-seed-0`; None for one that the parameters give.
    """
    if name is None:
        about = chosen(Experiment("", tuple(settings)).parameters())
        del about["train"]["seed"]
        text = json.dumps(about, sort_keys=True)
        name = f"repeat-{hashlib.blake2b(text.encode(), digest_size=3).hexdigest()}"
    if "/" in name or git_output("check-ref-format", f"refs/exps/{name}") is None:
        raise ParameterError(f"--name is {name!r}; git takes letters, digits, -, _ and . in a name")
    found = [Experiment(f"{name}-seed-{n}", (*settings, f"{_SEED}={n}")) for n in seeds]
    for one in found:
        one.parameters()
    return found


def train_all(trainings: Sequence[Experiment]) -> None:
    """Run those that are not finished, one after the other; raises what `Experiment.run` does.

    What they are made of must not change meanwhile, or ParameterError.
    """
    finished = [one for one in trainings if one.is_finished()]
    left = [one for one in trainings if one not in finished]
    for one in finished:
        say(f"{one.name}: trained already{_score(one)}")
    if left and (copied := left[0].copied_paths()):
        say(
            f"{', '.join(copied)} is not in git: each training gets a copy of it in its temporary "
            "workspace (DVC's --copy-paths), which an absolute source.path saves"
        )
    begin = monotonic()
    for number, one in enumerate(left):
        if finished:
            finished[0].is_finished()  # or params.yaml, code or data were edited since
        say(f"\n{one.name}: training {len(finished) + 1} of {len(trainings)}")
        try:
            one.run()
        except (KeyboardInterrupt, SegpipeError):
            say_error(
                f"{len(finished)} of {len(trainings)} trainings are finished; the same command goes on: "
                "these are not trained again, and an unfinished one continues from its last checkpoint"
            )
            raise
        finished.append(one)
        minutes = (monotonic() - begin) / 60
        rest = minutes / (number + 1) * (len(left) - number - 1)
        say(f"{one.name}{_score(one)}; {minutes:.0f} min so far, about {rest:.0f} min to go")


def family_names(names: Sequence[str]) -> list[str]:
    """Return the names of a family's runs: of one name, those of the experiments NAME-seed-K.

    Those on the current commit count, as for any name of an experiment, or else all.
    """
    if len(names) != 1:
        return list(names)
    pattern = re.compile(re.escape(names[0]) + r"-seed-(\d+)")
    found = [(pattern.fullmatch(name), base, ref) for name, base, ref in experiments()]
    members = [(int(match[1]), match[0], base, ref) for match, base, ref in found if match]
    here = [(seed, name) for seed, name, base, _ in members if base == commit_of("HEAD")]
    family = [name for _, name in sorted(here or [(seed, ref) for seed, *_, ref in members])]
    if len(family) < 2:
        raise ParameterError(
            f"{names[0]}: there are no experiments {names[0]}-seed-0, {names[0]}-seed-1 and so on; name "
            "two runs or more, or train them: segpipe repeat --seeds 5"
        )
    return family


def _score(experiment: Experiment) -> str:
    miou = read_run(experiment.ref).evaluation.miou
    return "" if miou is None else f", mIoU {100 * miou:.2f} %"
