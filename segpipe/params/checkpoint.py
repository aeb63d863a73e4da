"""How the state of an unfinished training is saved: the section `checkpoint` of params.yaml.

It is no part of `train`, since it changes no result: DVC does not train again for it, and a run goes
on from its state whatever is set here.
"""

from typing import Annotated

from segpipe.params.length import OptionalLength
from segpipe.params.section import Positive, PositiveInt, Section, Since


class CheckpointParams(Section):
    """When a checkpoint is written besides each epoch's end and each validation, and how many stay.

    every: has nothing to do with going on; the models that it keeps stay when the training has ended.
    """

    minutes: Positive | None = 10.0
    """above 0; at the latest so long after the last one; null: not by time"""
    steps: PositiveInt | None = None
    """1 or more; each time so many steps were taken; null: not by steps"""
    keep: PositiveInt = 2
    """1 or more; the newest whole ones"""
    every: Annotated[OptionalLength, Since("0.2.0")] = None
    """a length, above 0, such as 5 epochs; each time the weights are kept for good as a model in
    .segpipe/kept, for segpipe predict --model; null: none"""
