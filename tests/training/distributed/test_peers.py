"""Whether the processes of a training were all started with the same; also in tests/deploy."""

from typing import Any

import pytest

from segpipe.runtime.errors import LaunchError
from segpipe.training.distributed import peers

OWN = {"prepared data": "d1", "code": "c1", "parameters": "p1"}


@pytest.mark.parametrize("differs", [[], ["code"], ["prepared data", "parameters"]])
def test_processes_that_were_started_with_something_else_are_refused(
    differs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = OWN | dict.fromkeys(differs, "other")

    def gather(own: list[Any]) -> list[Any]:
        return [*own, ("node-a", OWN), ("node-b", other)]

    monkeypatch.setattr(peers, "gather_object", gather)
    if not differs:
        peers.refuse_differing(3, OWN)
        return
    with pytest.raises(LaunchError, match=f"rank 2 on node-b .* the same {differs[0]} as rank 0"):
        peers.refuse_differing(3, OWN)


def test_one_process_asks_nobody() -> None:
    peers.refuse_differing(1, OWN)
