"""What rules hand to a draft."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Choice:
    """One parameter of the plan. key: dotted. reason: what stands beside it in params.yaml."""

    key: str
    value: Any
    reason: str
