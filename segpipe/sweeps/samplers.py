"""How the points of a sweep are chosen: each is a function of the seed, the trial's number, and the trials
before it. A sweep that goes on after a kill so draws no point a second time.
"""

from typing import TYPE_CHECKING, Any

import optuna
from optuna.samplers import BaseSampler, RandomSampler, TPESampler

from segpipe.runtime.randomness import generator
from segpipe.sweeps.definition import Definition
from segpipe.sweeps.space import Point, grid

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial


def by_number(definition: Definition) -> BaseSampler:
    """Return the sampler of a sweep."""
    if definition.search == "grid":
        return _Grid(definition)
    return _Seeded(definition)


class _Grid(BaseSampler):
    """Trial n has the n-th point of the grid."""

    def __init__(self, definition: Definition) -> None:
        self._points: list[Point] = grid(definition)
        self._space = definition.space

    def infer_relative_search_space(
        self, study: optuna.Study, trial: "FrozenTrial"
    ) -> "dict[str, BaseDistribution]":
        """Return nothing: each parameter is drawn by itself."""
        return {}

    def sample_relative(
        self, study: optuna.Study, trial: "FrozenTrial", search_space: "dict[str, BaseDistribution]"
    ) -> dict[str, Any]:
        """Return nothing."""
        return {}

    def sample_independent(
        self,
        study: optuna.Study,
        trial: "FrozenTrial",
        param_name: str,
        param_distribution: "BaseDistribution",
    ) -> Any:
        """Return the value of the point; of a trial beyond the grid, which is given up, that of the last."""
        value = self._points[min(trial.number, len(self._points) - 1)][param_name]
        choice = self._space[param_name].choice
        return value if choice is None else str(choice.index(value))


class _Seeded(BaseSampler):
    """Optuna's random sampler or TPE (Bergstra et al., "Algorithms for Hyper-Parameter Optimization", NIPS
    2011; several metrics: Ozaki et al., GECCO 2020), seeded anew for each trial.
    """

    def __init__(self, definition: Definition) -> None:
        self._definition = definition
        self._inner: BaseSampler = self._made(0)

    def _made(self, number: int) -> BaseSampler:
        seed = int(generator(self._definition.seed, "sweep", number).integers(2**31))
        if self._definition.search == "random":
            return RandomSampler(seed)
        # Trials under way count as poor ones, or parallel workers would all try the same.
        return TPESampler(seed=seed, constant_liar=True)

    def infer_relative_search_space(
        self, study: optuna.Study, trial: "FrozenTrial"
    ) -> "dict[str, BaseDistribution]":
        """Seed the sampler for the trial, and return what it draws together."""
        self._inner = self._made(trial.number)
        return self._inner.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: optuna.Study, trial: "FrozenTrial", search_space: "dict[str, BaseDistribution]"
    ) -> dict[str, Any]:
        """Draw the parameters that are drawn together."""
        return self._inner.sample_relative(study, trial, search_space)

    def sample_independent(
        self,
        study: optuna.Study,
        trial: "FrozenTrial",
        param_name: str,
        param_distribution: "BaseDistribution",
    ) -> Any:
        """Draw one parameter."""
        return self._inner.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(self, *arguments: Any, **named: Any) -> None:
        """Let the inner sampler note the end of a trial."""
        self._inner.after_trial(*arguments, **named)
