"""The files on a sweep, in its folder: sweep.html, and all its numbers in sweep.json and trials.csv."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from segpipe.rendering.html.page import render_page
from segpipe.rendering.report.charts import Line, fitted, line_chart
from segpipe.rendering.report.curves import Chart
from segpipe.rendering.sweep.parallel import Axis, parallel_coordinates
from segpipe.runtime.atomic import write_csv, write_json, write_text
from segpipe.sweeps.definition import Definition
from segpipe.sweeps.findings import Importance, Trial, complete, importances, pareto_front, ranked

PAGE = "sweep.html"
_MOST_BEST = 10  # of one metric


@dataclass(frozen=True)
class Findings:
    """A sweep as it stands. best: of one metric the first ones, of several the Pareto front.

    What is derived is computed once: a page is written at the end of each trial, with files that say the
    same.
    """

    definition: Definition
    budget: int
    trials: Sequence[Trial]
    verdicts: Sequence[str]

    @cached_property
    def best(self) -> list[Trial]:
        """The best trials."""
        metrics = self.definition.metrics
        if len(metrics) > 1:
            return pareto_front(self.trials, metrics)
        return ranked(self.trials, *next(iter(metrics.items())))[:_MOST_BEST]

    @cached_property
    def importances(self) -> list[Importance]:
        """What each parameter explains of each metric."""
        return importances(self.trials, self.definition)


def write_files(folder: Path, found: Findings) -> None:
    """Write the page and the files with its numbers."""
    definition = found.definition
    states = [one.record.state for one in found.trials]
    best, done = found.best, complete(found.trials)
    several = len(definition.metrics) > 1
    page = render_page(
        "sweep/sweep.html.jinja",
        name=definition.name,
        search=definition.search,
        repeats=definition.repeats,
        metrics=list(definition.metrics),
        space=list(definition.space),
        budget=found.budget,
        complete=len(done),
        pruned=states.count("pruned"),
        failed=states.count("failed"),
        verdicts=found.verdicts,
        best=best,
        front_charts=_front_charts(done, best, definition) if several and done else [],
        history=_history(done, definition),
        importances=found.importances,
        parallel=_parallel(done, best if several else best[:1], definition),
        trials=found.trials,
    )
    write_json(folder / "sweep.json", _json(found))
    write_csv(folder / "trials.csv", *_table(found))
    write_text(folder / PAGE, page)


def _json(found: Findings) -> dict[str, Any]:
    return {
        "written_by": "segpipe sweep",
        "definition": found.definition.model_dump(mode="json", by_alias=True, exclude={"storage"}),
        "points": found.budget,
        "best": [one.record.number for one in found.best],
        "verdicts": list(found.verdicts),
        "importances": [asdict(one) for one in found.importances],
        "trials": [
            {**asdict(one.record), "means": dict(one.means), "deviations": dict(one.deviations)}
            for one in found.trials
        ],
    }


def _table(found: Findings) -> tuple[list[dict[str, Any]], list[str]]:
    """Return a row for each trial and the columns; values as text with all their digits."""
    metrics, space = list(found.definition.metrics), list(found.definition.space)
    rows = []
    for one in found.trials:
        row: dict[str, Any] = {"trial": one.record.number, "state": one.record.state}
        row["experiments"] = " ".join(one.record.experiments)
        for name in metrics:
            row[name] = one.means.get(name, "")
            row[f"{name} std"] = "" if one.deviations.get(name) is None else one.deviations[name]
        rows.append(row | {key: one.record.point.get(key, "") for key in space})
    columns = [part for name in metrics for part in (name, f"{name} std")]
    return rows, ["trial", "state", "experiments", *columns, *space]


def _history(done: Sequence[Trial], definition: Definition) -> list[Chart]:
    """Return a chart for each metric: the trials by number, and the best so far."""
    charts = []
    for name, direction in definition.metrics.items():
        points = [(float(one.record.number), one.means[name]) for one in done]
        if not points:
            continue
        better = max if direction == "maximize" else min
        values = [value for _, value in points]
        so_far = [(points[n][0], better(values[: n + 1])) for n in range(len(points))]
        x, y = fitted("trial", [one for one, _ in points]), fitted(name, values)
        lines = [Line("trial", points, joined=False), Line("best so far", so_far)]
        charts.append(
            Chart(f"{name} ({direction})", ["trial", "best so far"], line_chart(lines, x, y))
        )
    return charts


def _front_charts(
    done: Sequence[Trial], front: Sequence[Trial], definition: Definition
) -> list[Chart]:
    """Return a chart of each further metric over the first one."""
    first, *others = definition.metrics
    charts = []
    for name in others:
        all_points = [(one.means[name], one.means[first]) for one in done if one not in front]
        best_points = sorted((one.means[name], one.means[first]) for one in front)
        x = fitted(name, [one.means[name] for one in done])
        y = fitted(first, [one.means[first] for one in done])
        lines = [Line("other points", all_points, joined=False), Line("Pareto front", best_points)]
        charts.append(
            Chart(f"{first} over {name}", ["other points", "Pareto front"], line_chart(lines, x, y))
        )
    return charts


def _parallel(done: Sequence[Trial], best: Sequence[Trial], definition: Definition) -> Any:
    axes = [
        Axis(
            key,
            [one.record.point.get(key) for one in done],
            logarithmic=about.log_uniform is not None,
        )
        for key, about in definition.space.items()
    ]
    axes += [Axis(name, [one.means[name] for one in done]) for name in definition.metrics]
    names = [f"trial {one.record.number}" for one in done]
    return parallel_coordinates(axes, names, [one in best for one in done])
