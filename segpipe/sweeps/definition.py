"""The file of a sweep: what is searched, how, and by what it is judged. docs/sweeps.md describes it."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from segpipe.results.training import HistoryRow
from segpipe.runtime.errors import ParameterError, did_you_mean, listing
from segpipe.runtime.validation import faults_of
from segpipe.runtime.yaml_file import read_yaml
from segpipe.sweeps.measures import Direction, refuse_unknown_measure

_SEED = "train.seed"
_DISTRIBUTIONS = ("choice", "int", "uniform", "log_uniform")
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,40}$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class Dimension(_Part):
    """A parameter that is searched. Exactly one of choice, int, uniform and log_uniform is given.

    choice: values of any kind. int, uniform, log_uniform: [lowest, highest], both among the values.
    when: other parameters of the space, and the values that they must have for this one to be searched.
    """

    choice: list[Any] | None = Field(None, min_length=1)
    whole: tuple[int, int] | None = Field(None, alias="int")
    uniform: tuple[float, float] | None = None
    log_uniform: tuple[float, float] | None = None
    when: dict[str, Any] = Field(default_factory=dict)

    @property
    def ends(self) -> list[Any]:
        """The values of a choice, else the lowest and the highest value."""
        return list(self.choice or self.whole or self.uniform or self.log_uniform or ())

    @property
    def values(self) -> list[Any] | None:
        """All values, None where there are endlessly many."""
        if self.whole is not None:
            return list(range(self.whole[0], self.whole[1] + 1))
        return self.choice

    @model_validator(mode="after")
    def _is_one_distribution(self) -> "Dimension":
        given = (self.choice, self.whole, self.uniform, self.log_uniform)
        if sum(one is not None for one in given) != 1:
            raise ValueError(f"give one of {', '.join(_DISTRIBUTIONS)}")
        if self.choice is None and not self.ends[0] < self.ends[1]:
            raise ValueError(f"{self.ends}: the lowest value must come first")
        if self.log_uniform is not None and self.log_uniform[0] <= 0:
            raise ValueError(f"log_uniform {self.ends}: must be above 0")
        if self.choice is not None and any(
            one in self.choice[:n] for n, one in enumerate(self.choice)
        ):
            raise ValueError(f"choice {self.choice}: a value stands there twice")
        return self

    def applies(self, point: Mapping[str, Any]) -> bool:
        """Return whether the conditions are met by the values that a point has so far."""
        return all(
            key in point and point[key] in (wanted if isinstance(wanted, list) else [wanted])
            for key, wanted in self.when.items()
        )


class Pruning(_Part):
    """How unpromising trainings are ended: by a column of the history at the n-th validation.

    median: worse than the median of the others at that validation. halving: only the best third go on
    from validation 1, 3, 9 and so on (asynchronous successive halving). patience: validations before which
    no training is ended. startup: trials before which none is (median).
    """

    name: Literal["median", "halving"]
    column: str = "val_miou"
    patience: int = Field(1, ge=1)
    startup: int = Field(4, ge=1)

    @field_validator("column")
    @classmethod
    def _is_a_column(cls, column: str) -> str:
        known = [name for name in HistoryRow.model_fields if name not in ("epoch", "step")]
        if column not in known:
            hint = did_you_mean(column, known) or f"they are {', '.join(known)}"
            raise ValueError(f"the history has no column {column!r}; {hint}")
        return column


class Definition(_Part):
    """A sweep.

    name: of its folder and experiments. trials: how many points; None for all of a grid. repeats: how many
    seeds a point is trained with, from train.seed on. settings (`set` in the file): parameters of all
    trials that are not those of params.yaml. metrics: what is judged. storage: address of a database, for
    several machines; None for a file in the sweep's folder. seed: of the search.
    """

    name: Name
    search: Literal["grid", "random", "bayes"]
    trials: int | None = Field(None, ge=1)
    repeats: int = Field(1, ge=1, le=100)
    space: dict[str, Dimension] = Field(min_length=1)
    settings: dict[str, Any] = Field(default_factory=dict, alias="set")
    metrics: dict[str, Direction] = Field(min_length=1)
    pruner: Pruning | None = None
    storage: str | None = None
    seed: int = Field(0, ge=0)

    @field_validator("metrics")
    @classmethod
    def _are_measured(cls, metrics: dict[str, Direction]) -> dict[str, Direction]:
        for name in metrics:
            refuse_unknown_measure(name)
        return metrics

    @field_validator("storage")
    @classmethod
    def _holds_no_password(cls, storage: str | None) -> str | None:
        if storage and re.search(r"://[^/@]*:[^/@]+@", storage):
            raise ValueError(
                "it holds a password, which belongs into the environment: leave it out here, and set "
                "SEGPIPE_SWEEP_STORAGE to the whole address"
            )
        return storage

    @model_validator(mode="after")
    def _fits_together(self) -> "Definition":
        if self.search == "grid":
            endless = [key for key, one in self.space.items() if one.values is None]
            if endless:
                raise ValueError(
                    f"a grid takes every value, and {', '.join(endless)} has endlessly many; give a choice"
                )
        elif self.trials is None:
            raise ValueError(f"{self.search} search needs `trials`, the number of points")
        if self.pruner and len(self.metrics) > 1:
            raise ValueError(
                "a pruner ends trainings by one metric; with several, a point that is poor in one may be on "
                "the Pareto front: leave out the pruner, or all metrics but one"
            )
        if _SEED in self.space or (self.repeats > 1 and _SEED in self.settings):
            raise ValueError(f"{_SEED} is what `repeats` varies; leave it out")
        if both := sorted(self.space.keys() & self.settings.keys()):
            raise ValueError(
                f"{', '.join(both)}: stands in `set` and in `space`; leave it out of one"
            )
        self._refuse_wrong_conditions()
        return self

    def _refuse_wrong_conditions(self) -> None:
        above: dict[str, Dimension] = {}
        for key, one in self.space.items():
            for other, wanted in one.when.items():
                if other not in above:
                    hint = did_you_mean(other, above) or "a condition is on one that stands above"
                    raise ValueError(
                        f"{key}: when: {other} does not stand above it in the space; {hint}"
                    )
                values = above[other].values
                missing = [
                    value
                    for value in (wanted if isinstance(wanted, list) else [wanted])
                    if values is not None and value not in values
                ]
                if missing or values is None:
                    raise ValueError(
                        f"{key}: when: {other} is never {missing or wanted}; it has {values or 'any number'}"
                    )
            above[key] = one


def read_definition(path: Path) -> Definition:
    """Read the file of a sweep; ParameterError lists what is wrong with it.

    Without a name in it, the sweep has that of the file.
    """
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise ParameterError(
            f"{path}: must hold sections such as `space:`; docs/sweeps.md has examples"
        )
    try:
        return Definition.model_validate({"name": path.stem, **content})
    except ValidationError as error:
        faults = [f"{fault}{_hint(fault)}" for fault in faults_of(error)]
        raise ParameterError(f"{path}: is not the file of a sweep:\n{listing(faults)}") from error


def _hint(fault: str) -> str:
    place, unknown, _ = fault.partition(" is not a known field")
    *parents, key = place.split(".")
    known = {"space": (*_DISTRIBUTIONS, "when"), "pruner": tuple(Pruning.model_fields)}
    fields: Sequence[str] = known.get(
        parents[0] if parents else "",
        [field.alias or name for name, field in Definition.model_fields.items()],
    )
    return f"; {did_you_mean(key, fields) or 'it has ' + ', '.join(fields)}" if unknown else ""
