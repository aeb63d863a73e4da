"""The report on a data set: report.html and report.md to read, report.json for programmes, pictures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from segpipe.labels.scheme import LabelScheme
from segpipe.preflight.page import page
from segpipe.preflight.pictures import draw_offenders
from segpipe.preflight.summary import summarise
from segpipe.preparation.sample_stats import Survey
from segpipe.rendering.html.page import render_page
from segpipe.runtime.atomic import atomic_dir, write_json, write_text
from segpipe.runtime.console import printable
from segpipe.runtime.errors import ParameterError, listing
from segpipe.runtime.findings import Finding

FORMAT = 1
PAGE, HTML, NUMBERS, PICTURES = "report.md", "report.html", "report.json", "pictures"


def write_report(
    folder: Path,
    findings: Sequence[Finding],
    survey: Survey,
    scheme: LabelScheme,
    raw: Path,
    forecast: Mapping[str, Any] | None = None,
) -> Path:
    """Write report.html, report.md, report.json and pictures/*.png to `folder`, whole or not at all.

    findings: as `judge` gives them. raw: the folder of the files, of which pictures are drawn.
    forecast: the memory that training will need, as plain values; it is shown as it is.
    Returns the path of report.html. An earlier report in `folder` is replaced.

    Raises ParameterError when `folder` holds anything else, since that would be lost.
    """
    refuse_foreign(folder)
    with atomic_dir(folder) as partial:
        (partial / PICTURES).mkdir()
        drawn = draw_offenders(partial / PICTURES, findings, survey, scheme, raw)
        errors = sum(finding.severity == "error" for finding in findings)
        report = {
            "format": FORMAT,
            "verdict": "errors" if errors else "warnings" if findings else "sound",
            "errors": errors,
            "warnings": len(findings) - errors,
            "scheme": scheme.name,
            "findings": [
                {
                    "kind": finding.kind,
                    "severity": finding.severity,
                    "text": finding.text,
                    "repair": finding.repair,
                    "items": list(finding.items),
                    "pictures": [f"{PICTURES}/{name}" for name in names],
                }
                for finding, names in zip(findings, drawn, strict=True)
            ],
            **summarise(survey, scheme),
            "forecast": None if forecast is None else _lasting(forecast),
        }
        write_json(partial / NUMBERS, report)
        write_text(partial / PAGE, printable(page(report)))
        write_text(partial / HTML, render_page("html/data.html.jinja", report=report))
    return folder / HTML


def _lasting(forecast: Mapping[str, Any]) -> dict[str, Any]:
    """The forecast without what is true at this moment only: the same data gives the same report."""
    return {name: value for name, value in forecast.items() if name != "available_mb"}


def refuse_foreign(folder: Path) -> None:
    """Raise ParameterError when `folder` is a file, or holds what no report of ours has written."""
    if folder.exists() and not folder.is_dir():
        raise ParameterError(f"{folder}: is a file; the report needs a folder")
    if not folder.is_dir():
        return
    others = sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.relative_to(folder).as_posix() not in (PAGE, HTML, NUMBERS, PICTURES)
        and not (path.parent == folder / PICTURES and path.suffix == ".png")
    )
    if others:
        raise ParameterError(
            f"{folder}: holds files that are no part of a report and would be lost; name a new or "
            f"empty folder:\n{listing(others)}"
        )
