"""A finished training once more, in a folder of its own, and whether the same came out."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from segpipe.bundle_format import DESCRIPTION
from segpipe.params.chosen import differing, flat
from segpipe.reproduction.checkout import (
    bring_data,
    clone,
    code_there,
    lay_parameters,
    prepared_digest,
)
from segpipe.reproduction.origin import Origin, of_bundle, of_project, scores_in
from segpipe.results.records import METRICS
from segpipe.runtime.console import say
from segpipe.runtime.dvc_process import run_dvc
from segpipe.runtime.errors import DataError, SegpipeError, listing

# What of environment.json can change the last digits; the command line and git cannot.
_DECISIVE = ("python", "packages.", "cuda", "cudnn", "processor.", "gpus", "threads.", "processes")


@dataclass(frozen=True)
class Verdict:
    """lines: what to say. equal: whether all that is known of the first training came out again."""

    lines: list[str]
    equal: bool


def check_out(origin: Origin, folder: Path, *, force: bool) -> tuple[Origin, Path]:
    """Bring code, parameters and data of `origin` into `folder`, and say each.

    Returns the origin with what its commit says more, and the project's folder. force: go on where the
    code is not that of the training. Raises DataError where the code differs, or the commit is missing.
    """
    project = clone(origin, folder)
    say(f"code         commit {str(origin.commit)[:10]} in {project}")
    changed = lay_parameters(origin, project)
    say("parameters   those of the commit" + (f", and\n{listing(changed)}" if changed else ""))
    if origin.code is not None and (there := code_there(project)) != origin.code:
        problem = (
            f"{origin.name}: the code of the training is not that of its commit (hash {there[:10]} there, "
            f"{origin.code[:10]} recorded): it was trained with changes that were not committed, and they "
            "are kept nowhere"
        )
        if not force:
            raise DataError(f"{problem}. --force trains with the commit's code all the same")
        say(f"warning: {problem}")
    bring_data(project)
    if origin.parameters is None:
        origin = of_project(origin, project)
    return origin, project


def prepare(origin: Origin, project: Path) -> None:
    """Have the prepared data of the training in the project, from the cache or made again.

    Raises DataError where they are not those of the training, SegpipeError where a stage fails.
    """
    found = prepared_digest(project)
    if found is None or (origin.data is not None and found != origin.data):
        say("data         not in the DVC cache: fetched and prepared again")
        if run_dvc(["repro", "prepare"], project):
            raise SegpipeError(
                f"{origin.name}: the data are not in the DVC cache, and could not be prepared again; the "
                "cause stands above"
            )
        found = prepared_digest(project)
    if origin.data is not None and found != origin.data:
        raise DataError(
            f"{origin.name}: the data are not those of the training: their digest is {found}, recorded is "
            f"{origin.data}; bring the source's files back as they were, or `dvc pull` the data"
        )
    say(f"data         digest {found}")


def train_again(origin: Origin, project: Path) -> Verdict:
    """Run train, evaluate and render in the project; return whether weights and scores are the same.

    Nothing of it enters DVC's cache, whose run-cache would else give its outputs, with an MLflow run
    that the clone alone holds, to a later `dvc repro` in the repository.
    """
    if run_dvc(["repro", "--force", "--no-commit", "--downstream", "train"], project):
        raise SegpipeError(
            f"{origin.name}: `dvc repro` failed in {project}; the cause stands above"
        )
    now = of_bundle(origin.name, "", project / "models")
    scores = {**now.scores, **scores_in(project / METRICS, project / METRICS)}
    return verdict(origin, now, scores)


def verdict(origin: Origin, now: Origin, scores: Mapping[str, float | None]) -> Verdict:
    """Compare what came out with what is known of the first training."""
    both = [label for label in origin.scores if label in scores]
    other = [label for label in both if origin.scores[label] != scores[label]]
    lines = [
        f"scores       {len(both) - len(other)} of {len(both)} are equal"
        if both
        else "scores       those of the first training are not known"
    ]
    lines += [f"  {label}: {origin.scores[label]} before, {scores[label]} now" for label in other]
    names = [name for name in origin.weights if name in now.weights]
    changed = [name for name in names if origin.weights[name] != now.weights[name]]
    if not names:
        lines.append(f"weights      not known: no {DESCRIPTION} of the first training is at hand")
    elif changed:
        lines.append(f"weights      other bits: {', '.join(changed)}")
    else:
        lines.append(
            f"weights      the same bits: SHA-256 {now.weights[names[0]][:16]}... of {names[0]}"
        )
    if other or changed:
        lines += _differing_environment(origin, now)
    return Verdict(lines, not other and not changed)


def _differing_environment(origin: Origin, now: Origin) -> list[str]:
    before, here = flat(dict(origin.environment)), flat(dict(now.environment))
    if not before:
        return ["             on what the first was trained is not known"]
    rows = [
        f"{key}: {old} before, {new} now"
        for key, old, new in sorted(differing(before, here, "-"))
        if key.startswith(_DECISIVE)
    ]
    if not rows:
        return ["             although versions, processor, threads and processes are the same"]
    return ["             which may come from", listing(rows)]
