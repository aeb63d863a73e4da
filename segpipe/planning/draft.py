"""A plan that is being made: what is kept, what is given, what is chosen so far."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from segpipe.params.load import validate
from segpipe.params.overlay import overlaid, with_data_of
from segpipe.params.prepare import PrepareParams
from segpipe.params.schema import Params
from segpipe.params.settings import set_in
from segpipe.planning.choice import Choice
from segpipe.planning.facts import Costs, DataFacts, MachineFacts
from segpipe.planning.trial import measure
from segpipe.preparation.sample_job import PrepareContext
from segpipe.preparation.sample_stats import Survey
from segpipe.raw.sample import SPLITS, Sample
from segpipe.runtime.console import say
from segpipe.sources.listing import Listing

# Sections that the person has chosen; beside them data, labels and splits are kept.
_KEPT = ("checkpoint", "evaluate", "render", "tracking")


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


class Draft:
    """The parameters as far as they are chosen; later choices replace earlier ones of the same key.

    given: values by dotted key that the person sets; no choice replaces them.
    """

    def __init__(
        self,
        material: Material,
        machine: MachineFacts,
        data: DataFacts,
        survey: Survey,
        context: PrepareContext,
        given: Mapping[str, Any],
    ) -> None:
        self.machine, self.data, self.context, self.given = machine, data, context, given
        self._material, self._survey = material, survey
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
        present = self._material.present
        kept = present.model_dump(mode="json")
        nested = with_data_of({name: kept[name] for name in _KEPT}, present)
        for key, choice in self.choices.items():
            set_in(nested, key, choice.value)
        return validate(overlaid(nested), "the plan")

    def trial(self) -> Costs:
        """Take a few steps with the present choices, and return what they cost on this machine."""
        params = self.params()
        samples: dict[str, list[Sample]]
        if self.data.resizes:
            kept = self._survey.kept
            samples = {
                split: [stats.sample for stats in kept if stats.split == split] for split in SPLITS
            }
        else:  # windows are cut anew at each size
            samples = dict(self._material.list_samples(params.prepare).samples)
        height, width = params.prepare.height, params.prepare.width
        precision = params.train.precision
        say(f"a trial of {params.model.name} at {height}x{width}, precision {precision}")
        return measure(params, samples, self.context)
