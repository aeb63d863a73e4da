"""How the state of an unfinished training is saved: the section `checkpoint` of params.yaml.

It is no part of `train`, since it changes no result: DVC does not train again for it, and a run goes
on from its state whatever is set here.
"""

from segpipe.params.section import Positive, PositiveInt, Section


class CheckpointParams(Section):
    """When a checkpoint is written besides each epoch's end and each validation, and how many stay."""

    minutes: Positive | None = 10.0
    """above 0; at the latest so long after the last one; null: not by time"""
    steps: PositiveInt | None = None
    """1 or more; each time so many steps were taken; null: not by steps"""
    keep: PositiveInt = 2
    """1 or more; the newest whole ones"""
