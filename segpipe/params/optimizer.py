"""The options of the optimizers: a part of the section `train` of params.yaml."""

from typing import Annotated

from pydantic import Field, model_validator

from segpipe.params.section import Section

_Momentum = Annotated[float, Field(ge=0, lt=1)]


class SGDParams(Section):
    """Stochastic gradient descent: momentum, and whether it is Nesterov's."""

    momentum: _Momentum = 0.9
    """0 to below 1"""
    nesterov: bool = True
    """look ahead by the momentum; needs a momentum above 0"""

    @model_validator(mode="after")
    def _nesterov_has_momentum(self) -> "SGDParams":
        if self.nesterov and not self.momentum:
            raise ValueError(
                "nesterov needs a momentum above 0; set nesterov to false, or momentum to 0.9"
            )
        return self


class RMSpropParams(Section):
    """RMSprop: how slowly the mean of the squared gradients forgets, and momentum."""

    alpha: _Momentum = 0.99
    """0 to below 1; how slowly the mean of the squared gradients forgets"""
    momentum: _Momentum = 0.0
    """0 to below 1"""
