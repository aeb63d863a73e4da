"""Finding: one thing that is wrong or doubtful in a data set."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from segpipe.runtime.console import say
from segpipe.runtime.errors import DataError, listing


@dataclass(frozen=True)
class Finding:
    """What was found, where, and what to do about it.

    kind: a short fixed name, such as `unpaired`. severity: an error stops the work, a warning is
    listed. text: the place and the cause, one sentence. repair: what to do. items: the offenders,
    one a line. pictures: names of the samples of which a picture tells more than words.
    """

    kind: str
    severity: Literal["error", "warning"]
    text: str
    repair: str
    items: tuple[str, ...] = ()
    pictures: tuple[str, ...] = ()

    def __str__(self) -> str:
        """The whole as a message: text and repair, then the first offenders."""
        lines = [f"{self.text}; {self.repair}"]
        if self.items:
            lines.append(listing(self.items))
        return ":\n".join(lines)


def about(
    items: Iterable[str],
    kind: str,
    text: str,
    repair: str,
    severity: Literal["error", "warning"] = "error",
) -> list[Finding]:
    """Return one finding about all offenders, or none where there is no offender.

    text: with {n} where the number of offenders belongs.
    """
    offenders = tuple(items)
    if not offenders:
        return []
    return [Finding(kind, severity, text.replace("{n}", str(len(offenders))), repair, offenders)]


def refuse(findings: Sequence[Finding], report: Path | None = None, then: str = "") -> None:
    """Raise one DataError with all errors among the findings, which says where the report is.

    then: a last line, of what to do next.
    """
    errors = [str(finding) for finding in findings if finding.severity == "error"]
    if errors:
        where = [] if report is None else [f"the whole report, with pictures: {report}"]
        raise DataError("\n".join([*errors, *where, *filter(None, [then])]))


def say_warnings(findings: Sequence[Finding]) -> None:
    """Say each warning among the findings."""
    for finding in findings:
        if finding.severity == "warning":
            say(f"warning: {finding}")
