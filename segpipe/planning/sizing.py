"""Image size, precision and batch of a plan, by trials on this machine."""

from collections.abc import Callable, Iterator

import torch

from segpipe.planning import rules
from segpipe.planning.choice import Choice
from segpipe.planning.draft import Draft
from segpipe.planning.facts import Costs, DataFacts
from segpipe.runtime.hardware import choose_precision
from segpipe.training.forecast import forecast_training

_CPU = torch.device("cpu")
_MEMORY = 0.8  # of what is free
_ENOUGH = 0.8  # of the wanted passes; the next smaller size would have half as many again


def choose_size(draft: Draft, budget: Callable[[Costs], float]) -> Costs:
    """Choose the largest images that leave passes enough, with batch and precision.

    budget: seconds that are left at such costs for steps and validations. Returns the measured costs
    of the chosen size. Each trial tells the passes of the other sizes by their area; the size that it
    points to is tried next, until it points to one whose costs are measured.
    """
    offered = list(scales(draft.data))
    if {"prepare.height", "prepare.width"} <= draft.given.keys():
        offered = offered[:1]
    wanted = rules.wanted_passes(draft.data, draft.params().train.optimizer)
    measured: dict[int, tuple[Costs, int]] = {}  # costs and passes by place
    place = len(offered) // 2
    while place not in measured:
        _set_size(draft, offered[place], "for a trial")
        costs = draft.trial() if measured else _choose_precision(draft)
        passes = rules.passes(draft.data, costs, draft.params().train.batch_size, budget(costs))
        measured[place] = costs, passes
        areas = [(offered[place] / scale) ** 2 for scale in offered]
        enough = [wanted * (_ENOUGH if other == place else 1) for other in range(len(offered))]
        fitting = [other for other, area in enumerate(areas) if passes * area >= enough[other]]
        place = min(fitting, default=len(offered) - 1)
    fitting = [other for other, (_, passes) in measured.items() if passes >= _ENOUGH * wanted]
    chosen = min(fitting, default=max(measured))
    costs, passes = measured[chosen]
    why = f"{offered[chosen]:g} of the images' sides; {passes} sample passes are in the time"
    _set_size(draft, offered[chosen], f"{why}, about {wanted} are wanted")
    return costs


def scales(data: DataFacts) -> Iterator[float]:
    """Yield the fractions of the images' sides that may be tried, the largest first."""
    if not data.resizes:
        yield 1.0
        return
    for scale in rules.SCALES:
        short = min(data.canvas(scale))
        # The first however small the images are.
        large_enough = short >= rules.SHORTEST_SIDE or scale == rules.SCALES[0]
        if large_enough and short <= rules.LONGEST_SHORT_SIDE:
            yield scale


def _set_size(draft: Draft, scale: float, why: str) -> None:
    """Take a size, and the largest usual batch whose memory is there."""
    draft.add(rules.size_choices(draft.data, scale, why, draft.given))
    optimizer = draft.params().train.optimizer
    draft.add([rules.batch_choice(draft.data, draft.machine, optimizer)])
    while "train.batch_size" not in draft.given:
        params = draft.params()
        found = forecast_training(params, draft.context)
        if found["total_mb"] <= _MEMORY * found["available_mb"] or params.train.batch_size <= 2:
            return
        reason = f"half as many as usual; {found['total_mb']:.0f} MB would not fit"
        draft.add([Choice("train.batch_size", max(params.train.batch_size // 2, 2), reason)])


def _choose_precision(draft: Draft) -> Costs:
    """Try both precisions on a CPU: which is faster depends on its units and on the network."""
    costs = draft.trial()
    cpu = draft.machine.device == "cpu"
    if not cpu or "train.precision" in draft.given or choose_precision("auto", _CPU) == "fp32":
        return costs
    draft.add([Choice("train.precision", "fp32", "for a trial")])
    other = draft.trial()
    chosen = min(costs, other, key=lambda each: each.step)
    why = f"{costs.step:.2g} s a step in bf16, {other.step:.2g} s in fp32 on this machine"
    draft.add([Choice("train.precision", "bf16" if chosen is costs else "fp32", why)])
    return chosen
