"""The results of a run by its name: of a folder, a git revision or a DVC experiment.

Git is read without checking anything out.
"""

import difflib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from segpipe.params.chosen import chosen, flat
from segpipe.params.load import validate
from segpipe.params.overlay import overlaid
from segpipe.results.evaluation import Evaluation
from segpipe.results.evaluation_tables import ImageCountsRow
from segpipe.results.records import (
    METRICS,
    Record,
    parse_record,
    parse_table,
    read_record,
)
from segpipe.results.training import TrainingSummary
from segpipe.runtime.errors import DataError, ParameterError, listing
from segpipe.runtime.revision import git_output
from segpipe.runtime.yaml_file import parse_yaml

_File = TypeVar("_File", bound=Record)
WORKSPACE = "workspace"
_PARAMS = Path("params.yaml")
# refs/exps/<2 hex>/<38 hex of the baseline>/<name>; queue and executor keep refs of other forms there.
_EXPERIMENT = re.compile(r"refs/exps/([0-9a-f]{2})/([0-9a-f]{38})/([^/]+)")


@dataclass(frozen=True)
class RunResults:
    """The results of a run under the name that the user gave it.

    place: where they were found, in words. training: None where there is no training.json. parameters:
    those that count, by dotted key, None where no params.yaml that can be read is beside them.
    image_counts: None where an earlier version, which wrote none, evaluated.
    """

    name: str
    place: str
    evaluation: Evaluation
    training: TrainingSummary | None
    parameters: dict[str, str] | None = None
    image_counts: list[ImageCountsRow] | None = None


def read_run(name: str) -> RunResults:
    """Read the results that `name` stands for.

    `workspace` is metrics/ here; then come a folder (with evaluation.json, or with a metrics/ that
    holds it), what git knows by the name, and the DVC experiments, in this order. Raises DataError
    with the nearest names when it is none of them, or when what it names holds no evaluation.
    """
    place = _place(name)
    return _from_folder(name, place) if isinstance(place, Path) else _from_commit(name, place)


def read_run_table(name: str, model: type[_File]) -> list[_File]:
    """Read a CSV file of the run that `name` stands for, as `read_run` finds it; [] where it has none."""
    return _table(model, name, _place(name)) or []


def _place(name: str) -> Path | str:
    """Return the folder, or the commit, that holds the results which `name` stands for."""
    if name == WORKSPACE:
        return METRICS
    folder = Path(name)
    holders = [place for place in (folder, folder / METRICS) if (place / Evaluation.file).is_file()]
    if holders:
        return holders[0]
    commit = commit_of(name) or experiment_commit(name)
    if commit is None:
        raise DataError(_unknown(name))
    return commit


def commit_of(revision: str) -> str | None:
    """Return the commit that git knows by this name (branch, tag, hash, HEAD~1), or None."""
    found = git_output(
        "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"
    )
    return None if found is None else found.decode().strip()


def experiments() -> list[tuple[str, str, str]]:
    """Return (name, baseline commit, full ref) of each DVC experiment of this repository.

    An experiment is a commit with a ref of its own. Files that its stages wrote without DVC's cache
    (`cache: false`), as all of metrics/, are in that commit, also those that git does not track yet.
    """
    refs = (git_output("for-each-ref", "--format=%(refname)", "refs/exps") or b"").decode().split()
    found = [(ref, _EXPERIMENT.fullmatch(ref)) for ref in refs]
    return [(match[3], match[1] + match[2], ref) for ref, match in found if match]


def parameters_of(commit: str) -> dict[str, str] | None:
    """Return the parameters that count in a commit's params.yaml, by dotted key; None as in RunResults."""
    return _parsed_parameters(_file_of(commit, _PARAMS))


def commit_with(path: Path) -> str | None:
    """Say which of the last commit and the experiments holds `path` just as it is now, or None.

    A run with `dvc exp run -S` leaves its parameters in the workspace; the experiment holds them.
    """
    places = [("the last commit", "HEAD")]
    places += [(f"experiment {name}", ref) for name, _, ref in experiments()]
    blob = git_output("hash-object", "--no-filters", "--", path.as_posix())
    asked = "".join(f"{ref}:./{path.as_posix()}\n" for _, ref in places)
    answers = git_output("cat-file", "--batch-check=%(objectname)", text=asked.encode())
    if blob is None or answers is None:
        return None
    same = [line == blob.decode().strip() for line in answers.decode().splitlines()]
    return next((words for (words, _), equal in zip(places, same, strict=True) if equal), None)


def _from_folder(name: str, folder: Path) -> RunResults:
    params = folder.absolute().parent / _PARAMS
    image_counts = _table(ImageCountsRow, name, folder)
    evaluation = read_record(Evaluation, folder / Evaluation.file)
    if evaluation.protocol.of_labels_alone:  # no parameters made them, whatever lies beside them
        return RunResults(name, f"{folder}/", evaluation, training=None, image_counts=image_counts)
    return RunResults(
        name=name,
        place=f"{folder}/",
        evaluation=evaluation,
        training=_record(TrainingSummary, name, folder),
        parameters=_parsed_parameters(params.read_bytes() if params.is_file() else None),
        image_counts=image_counts,
    )


def _from_commit(name: str, commit: str) -> RunResults:
    place = f"commit {commit[:10]}"
    evaluation = _record(Evaluation, name, commit)
    if evaluation is None:
        raise DataError(
            f"{name} ({place}) holds no {METRICS / Evaluation.file} below the current folder; results "
            "stand in a commit once they are added (`git add metrics dvc.lock` after `dvc repro`), "
            f"in an experiment always{_known()}"
        )
    return RunResults(
        name=name,
        place=place,
        evaluation=evaluation,
        training=_record(TrainingSummary, name, commit),
        parameters=parameters_of(commit),
        image_counts=_table(ImageCountsRow, name, commit),
    )


def _record(model: type[_File], name: str, place: Path | str) -> _File | None:
    """Read a JSON file of the run `name` from its folder or commit; None where it is not there."""
    found = _content(name, place, model.file)
    return None if found is None else parse_record(model, *found)


def _table(model: type[_File], name: str, place: Path | str) -> list[_File] | None:
    """Read a CSV file likewise."""
    found = _content(name, place, model.file)
    return None if found is None else parse_table(model, *found)


def _content(name: str, place: Path | str, file: str) -> tuple[bytes, str] | None:
    """Return the content of a file of a run, and what messages call the file."""
    if isinstance(place, Path):
        path = place / file
        return (path.read_bytes(), str(path)) if path.is_file() else None
    content = _file_of(place, METRICS / file)
    return None if content is None else (content, f"{name}:{METRICS / file}")


def _parsed_parameters(content: bytes | None) -> dict[str, str] | None:
    try:
        values = overlaid(parse_yaml(content or b"", _PARAMS.name))
        return flat(chosen(validate(values, _PARAMS.name)))
    except ParameterError:
        return None  # of another version, or none: the scores can be compared all the same


def _file_of(commit: str, path: Path) -> bytes | None:
    """Return a file as `commit` holds it, or None; `path` is relative to the working directory."""
    return git_output("show", f"{commit}:./{path.as_posix()}")


def experiment_commit(name: str) -> str | None:
    """Return the commit of an experiment; of several, the one on the current commit, as DVC does."""
    named = [(baseline, ref) for other, baseline, ref in experiments() if other == name]
    here = commit_of("HEAD")
    named = [one for one in named if one[0] == here] or named
    if len(named) > 1:
        raise DataError(
            f"{name}: several experiments have this name; give one of them in full:\n"
            + listing([ref for _, ref in named])
        )
    return commit_of(named[0][1]) if named else None


def _unknown(name: str) -> str:
    if git_output("rev-parse", "--git-dir") is None:
        return (
            f"{name}: there is no folder with {Evaluation.file} of this name, and no git repository "
            "here that could know it as a revision or an experiment"
        )
    names = sorted({known for known, _, _ in experiments()})
    near = difflib.get_close_matches(name, [*names, WORKSPACE], n=3, cutoff=0.5)
    hint = f"; did you mean {' or '.join(near)}?" if near else _known()
    return f"{name}: is no folder with {Evaluation.file}, no revision of git and no DVC experiment{hint}"


def _known() -> str:
    names = sorted({known for known, _, _ in experiments()})
    return f"; the experiments here:\n{listing(names)}" if names else "; there is no experiment yet"
