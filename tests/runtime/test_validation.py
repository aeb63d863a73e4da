"""Plain values as typed ones: every fault in one message, with the field, its value, what is allowed."""

from dataclasses import dataclass
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from segpipe.runtime.validation import typed


@dataclass(frozen=True)
class Inner:
    __pydantic_config__ = ConfigDict(extra="forbid", strict=True)

    low: FiniteFloat
    high: FiniteFloat = 1.0

    def __post_init__(self) -> None:
        if self.high < self.low:
            raise ValueError(f"high is {self.high}, below low")


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    ends: tuple[Inner, ...]
    size: Annotated[int, Field(ge=1)] = 1


def test_plain_values_become_typed_ones() -> None:
    content: dict[str, Any] = {"ends": [{"low": 0, "high": 2.5}, {"low": -1}], "size": 3}
    assert typed(Outer, content) == Outer(ends=(Inner(0.0, 2.5), Inner(-1.0, 1.0)), size=3)


def test_every_fault_has_its_line() -> None:
    content = {
        "ends": [{"low": 3}, {"high": float("inf"), "middle": 1}, "x" * 500, {"low": True}],
        "size": "3",
        "more": [],
    }
    with pytest.raises(ValueError, match="size") as caught:
        typed(Outer, content)
    lines = str(caught.value).splitlines()
    assert lines[0] == "  ends.0: high is 1.0, below low"
    assert lines[1:4] == [
        "  ends.1.low is missing",
        "  ends.1.high is inf; it must be a finite number",
        "  ends.1.middle is not a known field",
    ]
    assert lines[4].startswith("  ends.2 is 'xxx") and lines[4].endswith("; it must be an object")
    assert len(lines[4]) < 80, "long values are abbreviated"
    assert lines[5:] == [
        "  ends.3.low is True; it must be a valid number",
        "  size is '3'; it must be a valid integer",
        "  more is not a known field",
    ]


@pytest.mark.parametrize("content", [[], 3, None, "text"])
def test_what_is_no_object_is_said_of_the_whole_file(content: object) -> None:
    with pytest.raises(ValueError, match=r"the whole file is .*; it must be an object"):
        typed(Outer, content)
