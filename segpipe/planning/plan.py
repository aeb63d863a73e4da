"""Parameters for a data set, this machine and a time budget."""

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from segpipe.params.schema import Params
from segpipe.planning import rules
from segpipe.planning.choice import Choice
from segpipe.planning.draft import Draft, Material
from segpipe.planning.facts import Costs, DataFacts, MachineFacts, data_facts, machine_facts
from segpipe.planning.sizing import choose_size
from segpipe.preflight.inspection import survey_listing
from segpipe.preflight.judge import judge
from segpipe.preparation.sample_job import PrepareContext
from segpipe.preparation.sample_stats import Survey
from segpipe.runtime.console import say
from segpipe.runtime.errors import ParameterError
from segpipe.runtime.findings import refuse
from segpipe.training.forecast import forecast_training

# What takes the same time for any data (docs/plan.md): DVC, the starts of five Python processes with
# torch, the reports, the figures.
FIXED_SECONDS = 45.0
RESERVE = 0.95  # of the budget; speeds vary by a few percent
# Preparing takes so many times as long as reading: it resizes and writes too.
_PREPARE = 1.5


@dataclass(frozen=True)
class Planned:
    """A plan. choices: with their reasons, those given by the person too. seconds: forecast by part
    (fixed, prepare, train, evaluate). memory: as `segpipe.training.forecast` says it.
    """

    params: Params
    choices: tuple[Choice, ...]
    data: DataFacts
    machine: MachineFacts
    costs: Costs
    seconds: dict[str, float]
    memory: dict[str, Any]


def make_plan(material: Material, minutes: float, given: Mapping[str, Any]) -> Planned:
    """Return parameters with which the whole pipeline takes about `minutes` here.

    given: values by dotted key that the person sets; they stay, and the rest is planned around them.
    Raises DataError when the data has errors (as `segpipe check` names them), ParameterError when
    the budget is too short for a single step or a given value is none that the schema allows.
    """
    machine = machine_facts()
    survey, context, reading = _surveyed(material)
    present = material.present
    data = data_facts(survey, context.scheme, context.files, present.source)
    say(_seen(data, machine))
    draft = Draft(material, machine, data, survey, context, given)
    draft.add(rules.model_choices(data, machine, given))
    draft.add(rules.augment_choices(data))
    seconds = {"fixed": FIXED_SECONDS, "prepare": _PREPARE * reading}
    scored = sum(stats.split == present.evaluate.split for stats in survey.kept)
    drawn = min(present.render.images, scored)
    budget = minutes * 60 * RESERVE - sum(seconds.values())
    costs = choose_size(draft, lambda each: budget - each.after_training(data.val, scored, drawn))
    seconds["evaluate"] = costs.after_training(data.val, scored, drawn)
    seconds["train"] = budget - seconds["evaluate"]
    if seconds["train"] < 3 * costs.step + data.val * costs.validation:
        raise ParameterError(_too_short(minutes, seconds, costs))
    params = draft.params()
    size, optimizer = params.train.batch_size, params.train.optimizer
    draft.add(rules.tuning_choices(params.model.name, optimizer, size, params.prepare.height))
    draft.add(rules.balance_choices(data, params.train.augment.crop_height))
    draft.add(rules.length_choices(data, size, costs, seconds["train"]))
    params = draft.params()
    memory = forecast_training(params, context)
    return Planned(params, tuple(draft.choices.values()), data, machine, costs, seconds, memory)


def header(planned: Planned, command: str) -> str:
    """Return the comment at the top of the plan's params.yaml, in the form of a recipe's."""
    data, memory = planned.data, planned.memory
    about = (
        f"A plan for {planned.params.source.path}: {data.train} training and {data.val} validation "
        f"samples of {data.height}x{data.width}, {len(data.classes)} classes; made on "
        f"{planned.machine.name}, {planned.machine.threads} threads."
    )
    forecast = (
        f"{in_words(planned.seconds)}; "
        f"{planned.params.train.batch_size / planned.costs.step:.3g} images/s (measured by a few steps), "
        f"{memory['total_mb']:.0f} MB of {memory['available_mb']:.0f} MB memory"
    )
    lines = [*textwrap.wrap(about, 98), ""]
    for name, text in (("command", command), ("forecast", forecast)):
        lines += textwrap.wrap(
            text, 98, initial_indent=f"{name:<10}", subsequent_indent=f"{'':<10}"
        )
    return "".join(f"# {line}\n" if line else "#\n" for line in lines)


def in_words(seconds: Mapping[str, float]) -> str:
    """Say how long the parts of the pipeline take, by `Planned.seconds`."""
    return (
        f"{seconds['prepare']:.0f} s of preparation, {seconds['train']:.0f} s of training, "
        f"{seconds['evaluate']:.0f} s of scores and pictures, {seconds['fixed']:.0f} s of starts and reports"
    )


def _too_short(minutes: float, seconds: Mapping[str, float], costs: Costs) -> str:
    others = sum(seconds[part] for part in ("fixed", "prepare", "evaluate"))
    return (
        f"--minutes {minutes:g}: is too short; all but the training takes about {others:.0f} s, and a "
        f"step {costs.step:.2f} s"
    )


def _surveyed(material: Material) -> tuple[Survey, PrepareContext, float]:
    """Read every file; return the survey and the seconds that it took. DataError names what is wrong."""
    prepare = material.present.prepare
    listing = material.list_samples(prepare)
    refuse([finding for finding in listing.findings if finding.severity == "error"])
    context = material.context(listing, prepare)
    if context is None:
        raise ParameterError("no training sample is listed; `segpipe check` says more")
    began = perf_counter()
    survey = survey_listing(listing, context)
    seconds = perf_counter() - began
    refuse(judge(survey, listing.findings, context.scheme, prepare, 1, None))
    return survey, context, seconds


def _seen(data: DataFacts, machine: MachineFacts) -> str:
    return (
        f"{data.train} training and {data.val} validation samples, {data.height}x{data.width} in the middle, "
        f"{len(data.classes)} classes; {machine.name}, {machine.threads} threads, "
        f"{machine.memory / 2**30:.1f} GB free"
    )
