"""Files of numbers that commands write where a person names them: none of anybody else's is replaced.

Each begins in a way that tells it from other files, so that a command knows its own.
"""

from pathlib import Path

from segpipe.runtime.errors import ParameterError

CSV_START = "kind,name,share,"
JSON_START = '{\n  "written_by": "segpipe '


def refuse_foreign_file(path: Path | None, option: str, start: str, force: bool) -> None:
    """Raise ParameterError when writing `path` would replace a folder or what segpipe did not write.

    option: which named it. start: what its own files begin with. force: replace any file.
    """
    if path is None or not path.exists():
        return
    if path.is_dir():
        raise ParameterError(f"{option} is {path}, which is a folder; name a file in it")
    with path.open("rb") as file:
        own = file.read(len(start)) == start.encode()
    if not own and not force:
        raise ParameterError(
            f"{option} is {path}: this file was not written by the command and would be overwritten; name "
            "another one, or add --force"
        )
