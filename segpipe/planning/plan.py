"""Parameters for a data set, this machine and a time budget."""

import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import torch

from segpipe.params.load import validate
from segpipe.params.overlay import overlaid, with_data_of
from segpipe.params.prepare import PrepareParams
from segpipe.params.schema import Params
from segpipe.params.settings import set_in
from segpipe.planning import rules
from segpipe.planning.facts import DataFacts, MachineFacts, data_facts, machine_facts
from segpipe.planning.rules import Choice
from segpipe.planning.trial import Costs, measure
from segpipe.preflight.inspection import survey_listing
from segpipe.preflight.judge import judge
from segpipe.preparation.sample_job import PrepareContext
from segpipe.preparation.sample_stats import Survey
from segpipe.raw.sample import SPLITS, Sample
from segpipe.runtime.console import say
from segpipe.runtime.errors import ParameterError
from segpipe.runtime.findings import refuse
from segpipe.runtime.hardware import choose_precision
from segpipe.sources.listing import Listing
from segpipe.training.forecast import forecast_training

# Sections that the person has chosen; beside them data, labels and splits are kept.
_KEPT = ("checkpoint", "evaluate", "render", "tracking")
# From the command to the first step, without preparation (docs/benchmarks.md).
START_SECONDS = 10.0
RESERVE = 0.95  # of the budget; speeds vary by a few percent
_CPU = torch.device("cpu")
_MEMORY = 0.8  # of what is free


@dataclass(frozen=True)
class Planned:
    """A plan. choices: with their reasons, those given by the person too. seconds: forecast by part
    (prepare, train). memory: as `segpipe.training.forecast` says it.
    """

    params: Params
    choices: tuple[Choice, ...]
    data: DataFacts
    machine: MachineFacts
    costs: Costs
    seconds: dict[str, float]
    memory: dict[str, Any]


@dataclass(frozen=True)
class Material:
    """What a plan is made from.

    present: params.yaml as it is, of which data and labels are kept. list_samples: lists the samples
    for a way of preparing them (windows of rasters depend on it). context: how to read the files for
    a listing; None where no training sample is listed.
    """

    present: Params
    list_samples: Callable[[PrepareParams], Listing]
    context: Callable[[Listing, PrepareParams], PrepareContext | None]


def make_plan(material: Material, minutes: float, given: Mapping[str, Any]) -> Planned:
    """Return parameters with which preparation and training take about `minutes` here.

    given: values by dotted key that the person sets; they stay, and the rest is planned around them.
    Raises DataError when the data has errors (as `segpipe check` names them), ParameterError when
    the budget is too short for a single step or a given value is none that the schema allows.
    """
    machine = machine_facts()
    survey, context, reading = _surveyed(material)
    data = data_facts(survey, context.scheme, context.files, material.present.source.clip.frames)
    say(_seen(data, machine))
    draft = _Draft(material, machine, data, dict(given))
    wanted = given.get("model.name")
    draft.add(rules.model_choices(data, machine, wanted), [rules.batch_choice(data, machine)])
    draft.add(rules.augment_choices(data))
    # Reading is measured; resizing and writing take about half as long again.
    prepare = 1.5 * reading
    budget = minutes * 60 * RESERVE - START_SECONDS - prepare
    costs = _choose_size(draft, survey, context, budget)
    crop = draft.params().train.augment.crop_height
    draft.add(rules.balance_choices(data, crop))
    size = draft.params().train.batch_size
    # One validation more is what the fit of the temperature takes.
    validation = data.val * costs.validation
    left = budget - validation
    if left < 3 * costs.step + validation:
        raise ParameterError(
            f"--minutes {minutes:g}: is too short; preparation takes about {prepare:.0f} s, the start "
            f"{START_SECONDS:.0f} s, a validation {validation:.0f} s and a step {costs.step:.2f} s"
        )
    draft.add(
        rules.length_choices(
            data,
            batch=size,
            step_seconds=costs.step,
            validation_seconds=validation,
            budget=left,
        )
    )
    params = draft.params()
    seconds = {"prepare": prepare, "train": START_SECONDS + budget}
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
        f"{planned.seconds['prepare']:.0f} s of preparation, {planned.seconds['train']:.0f} s of training at "
        f"{planned.params.train.batch_size / planned.costs.step:.3g} images/s (measured by a few steps), "
        f"{memory['total_mb']:.0f} MB of {memory['available_mb']:.0f} MB memory"
    )
    lines = [*textwrap.wrap(about, 98), ""]
    for name, text in (("command", command), ("forecast", forecast)):
        lines += textwrap.wrap(
            text, 98, initial_indent=f"{name:<10}", subsequent_indent=f"{'':<10}"
        )
    return "".join(f"# {line}\n" if line else "#\n" for line in lines)


class _Draft:
    """The parameters as far as they are chosen; later choices replace earlier ones of the same key."""

    def __init__(
        self, material: Material, machine: MachineFacts, data: DataFacts, given: dict[str, Any]
    ) -> None:
        self.material, self.machine, self.data, self.given = material, machine, data, given
        self.choices: dict[str, Choice] = {
            key: Choice(key, value, "given on the command line") for key, value in given.items()
        }

    def add(self, *groups: Sequence[Choice]) -> None:
        """Take over choices, except of what is given."""
        for choice in (each for group in groups for each in group):
            if choice.key not in self.given:
                self.choices[choice.key] = choice

    def params(self) -> Params:
        """Return the parameters; ParameterError when they do not fit together."""
        return validate(overlaid(_nested(self.material.present, self.choices)), "the plan")


def _nested(present: Params, choices: Mapping[str, Choice]) -> dict[str, Any]:
    """Return an overlay: what is kept of the present parameters, and the choices."""
    kept = present.model_dump(mode="json")
    nested = with_data_of({name: kept[name] for name in _KEPT}, present)
    for key, choice in choices.items():
        set_in(nested, key, choice.value)
    return nested


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


def _choose_size(draft: _Draft, survey: Survey, context: PrepareContext, budget: float) -> Costs:
    """Choose the largest images that leave passes enough, by trials on this machine."""
    begin = "scratch" if draft.params().model.pretrained == "none" else "pretrained"
    wanted = min(rules.PASSES[begin], 100 * draft.data.train)
    offered = list(rules.scales(draft.data))
    # The first trial is a middle one: its speed tells that of the others by their area.
    tried = offered[len(offered) // 2]
    draft.add(rules.size_choices(draft.data, tried, "for a trial", draft.given))
    costs = _choose_precision(draft, survey, context)
    seconds = {scale: costs.step * (scale / tried) ** 2 for scale in offered}
    size = draft.params().train.batch_size
    fitting = [scale for scale in offered if budget / seconds[scale] * size >= wanted]
    chosen = fitting[0] if fitting else offered[-1]
    passes = budget / seconds[chosen] * size
    why = (
        f"{chosen:g} of the images' sides, the largest with {wanted} sample passes in the time"
        if fitting
        else f"{chosen:g} of the images' sides, the smallest offered; {passes:.0f} sample passes"
    )
    draft.add(rules.size_choices(draft.data, chosen, why, draft.given))
    _fit_memory(draft, context)
    return costs if chosen == tried and not draft.given else _trial(draft, survey, context)


def _choose_precision(draft: _Draft, survey: Survey, context: PrepareContext) -> Costs:
    """Try both precisions where bf16 may be slower: on a CPU its depth-wise convolutions can be."""
    costs = _trial(draft, survey, context)
    cpu = draft.machine.device == "cpu"
    if not cpu or "train.precision" in draft.given or choose_precision("auto", _CPU) == "fp32":
        return costs
    draft.add([Choice("train.precision", "fp32", "for a trial")])
    other = _trial(draft, survey, context)
    chosen = min(costs, other, key=lambda each: each.step)
    why = f"{costs.step:.2g} s a step in bf16, {other.step:.2g} s in fp32 on this machine"
    draft.add([Choice("train.precision", "bf16" if chosen is costs else "fp32", why)])
    return chosen


def _fit_memory(draft: _Draft, context: PrepareContext) -> None:
    """Halve the batch until the forecast is within the memory that is free."""
    while "train.batch_size" not in draft.given:
        params = draft.params()
        found = forecast_training(params, context)
        if found["total_mb"] <= _MEMORY * found["available_mb"] or params.train.batch_size <= 2:
            return
        why = f"half as many as usual; {found['total_mb']:.0f} MB would not fit"
        draft.add([Choice("train.batch_size", params.train.batch_size // 2, why)])


def _trial(draft: _Draft, survey: Survey, context: PrepareContext) -> Costs:
    params = draft.params()
    samples: dict[str, list[Sample]]
    if draft.data.resizes:
        samples = {
            split: [stats.sample for stats in survey.kept if stats.split == split]
            for split in SPLITS
        }
    else:  # windows are cut anew at each size
        samples = dict(draft.material.list_samples(params.prepare).samples)
    height, width = params.prepare.height, params.prepare.width
    say(f"a trial of {params.model.name} at {height}x{width}, precision {params.train.precision}")
    return measure(params, samples, context)


def _seen(data: DataFacts, machine: MachineFacts) -> str:
    return (
        f"{data.train} training and {data.val} validation samples, {data.height}x{data.width} in the middle, "
        f"{len(data.classes)} classes; {machine.name}, {machine.threads} threads, "
        f"{machine.memory / 2**30:.1f} GB free"
    )
