"""One DVC experiment in a temporary workspace: run it, or see that it has been run.

`dvc exp run` refuses a name that exists, so what an experiment was made of is compared here. DVC's run-cache
gives a stage that ran anywhere in this repository, with the same inputs, its outputs under another name.
"""

import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from segpipe.params.chosen import chosen, differing, flat
from segpipe.params.load import validate
from segpipe.params.schema import Params
from segpipe.results.experiments import commit_of, read_run
from segpipe.runtime.dvc_process import start_dvc, wait_for_dvc
from segpipe.runtime.errors import DataError, ParameterError, SegpipeError, listing
from segpipe.runtime.provenance import PARAMETERS, PIPELINE
from segpipe.runtime.revision import git_output
from segpipe.runtime.yaml_file import parse_yaml, read_yaml

_LOCK = "dvc.lock"


@dataclass(frozen=True)
class Experiment:
    """An experiment of DVC. settings: `section.key=value`, laid over params.yaml as `-S` does."""

    name: str
    settings: tuple[str, ...]

    @property
    def ref(self) -> str:
        """Its full name, of which there is one for each commit that experiments start from."""
        head = commit_of("HEAD")
        if head is None or git_output("cat-file", "-e", f"HEAD:./{PIPELINE}") is None:
            raise ParameterError(
                f"experiments of DVC start from a commit that holds {PIPELINE}, and there is none; make "
                'it: git add -A && git commit -m "my baseline"'
            )
        return f"refs/exps/{head[:2]}/{head[2:]}/{self.name}"

    def parameters(self) -> Params:
        """Return its parameters; ParameterError for a setting that DVC or the schema refuses."""
        from dvc.exceptions import DvcException  # DVC takes a second to import
        from dvc.utils.hydra import apply_overrides

        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / PARAMETERS.name
            try:
                copy.write_bytes(PARAMETERS.read_bytes())
                apply_overrides(copy, list(self.settings))
            except FileNotFoundError as error:
                raise ParameterError(f"{PARAMETERS}: there is no such file here") from error
            except DvcException as error:
                raise ParameterError(f"-S {' -S '.join(self.settings)}: {error}") from error
            return validate(read_yaml(copy), PARAMETERS.name)

    def is_finished(self) -> bool:
        """Return whether it has been run, of these parameters, this code and this data.

        Raises ParameterError when there is one of this name that was made of others.
        """
        if commit_of(self.ref) is None:
            return False
        wanted = flat(chosen(self.parameters()))
        found = read_run(self.ref).parameters or {}
        others = [
            f"{key}: {there} there, {here} here"
            for key, there, here in sorted(differing(found, wanted))
        ]
        others += _differing_inputs(self.ref)
        if others:
            raise ParameterError(
                f"there is an experiment {self.name} already, made of something else; choose another "
                f"--name, or remove it (`dvc exp remove {self.name}`):\n{listing(others)}"
            )
        return True

    def run(self) -> None:
        """Run it, with its output on this terminal; the workspace stays as it is.

        Raises SegpipeError when it fails. Ctrl-C and SIGTERM wait until its stage has saved its state,
        from which it goes on when it is run again.
        """
        code = wait_for_dvc(self.start())
        if code or commit_of(self.ref) is None:
            raise SegpipeError(
                f"experiment {self.name}: `dvc exp run` ended with code {code} and left no "
                "experiment; the cause stands above"
            )

    def start(
        self,
        environment: Mapping[str, str] | None = None,
        output: IO[bytes] | None = None,
        kept_open: Sequence[int] = (),
    ) -> "subprocess.Popen[bytes]":
        """Start DVC on it, and return its process; the arguments are those of `start_dvc`."""
        settings = [part for one in self.settings for part in ("-S", one)]
        copies = [part for one in self.copied_paths() for part in ("--copy-paths", one)]
        arguments = ["exp", "run", "--temp", "--name", self.name, *settings, *copies]
        return start_dvc(arguments, environment, output, kept_open)

    def forget_cached(self) -> None:
        """Have DVC's run-cache forget its model, which parameters and code alone did not decide.

        Else DVC would take a training that a sweep has ended for the result of any of these parameters,
        in the workspace and in experiments. What stands on that model goes too: evaluation, pictures.
        """
        from dvc.repo import Repo

        outs = _locked_stages(self.ref).get("train", {}).get("outs", [])
        digests = [out["md5"].encode() for out in outs if out["path"] == "models"]
        with Repo() as repo:
            for entry in Path(repo.stage_cache.cache_dir).glob("*/*/*"):
                if any(digest in entry.read_bytes() for digest in digests):
                    entry.unlink(missing_ok=True)

    def copied_paths(self) -> list[str]:
        """Return the data that DVC has to be told to copy: not in git, and named by a relative path."""
        path = Path(self.parameters().source.path)
        absent = not path.is_absolute() and path.exists() and not _in_git(str(path))
        return [str(path)] if absent else []


def _locked_stages(ref: str) -> dict[str, Any]:
    """Return what an experiment's dvc.lock says of each stage; {} where it has none."""
    lock = parse_yaml(git_output("show", f"{ref}:./{_LOCK}") or b"{}", _LOCK)
    stages: dict[str, Any] = lock.get("stages", {})
    return stages


def _differing_inputs(ref: str) -> list[str]:
    """Return which files that decide results are not as they were when an experiment was made.

    dvc.lock holds what each stage read. What git tracks is compared by git, other data by DVC's digest.
    """
    stages = _locked_stages(ref).values()
    if not stages:
        return [f"{_LOCK} is missing there"]
    made = {Path(out["path"]) for stage in stages for out in stage.get("outs", [])}
    read = {dep["path"]: dep.get("md5") for stage in stages for dep in stage.get("deps", [])}
    inputs = {
        path: md5
        for path, md5 in read.items()
        if made.isdisjoint([Path(path), *Path(path).parents])
    }
    tracked = [path for path in inputs if _in_git(path)]
    changed = git_output("diff", "--name-only", "--relative", ref, "--", str(PIPELINE), *tracked)
    if changed is None:
        return ["git cannot compare the files"]
    others = [path for path in inputs if path not in tracked]
    now = dict(zip(others, _digests(others), strict=True))
    return [
        *changed.decode().splitlines(),
        *(path for path in others if now[path] != inputs[path]),
    ]


def _digests(paths: Sequence[str]) -> Iterator[Any]:
    """Yield DVC's digest of each path, None where it is missing; unchanged files are not read again."""
    if not paths:
        return
    from dvc.dependency.base import Dependency
    from dvc.exceptions import DvcException
    from dvc.repo import Repo
    from dvc.stage import Stage

    try:
        with Repo() as repo:
            for path in paths:
                found = Dependency(Stage(repo), path)
                yield found.get_hash().value if found.exists else None
    except DvcException as error:
        raise DataError(f"{', '.join(paths)}: DVC cannot read the data: {error}") from error


def _in_git(path: str) -> bool:
    return bool(git_output("ls-files", "--", path))
