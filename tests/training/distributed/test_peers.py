"""What a process makes of the others: were they started with the same, are they gone?

Also in tests/deploy and tests/stages/test_failures.py.
"""

from typing import Any

import pytest

from segpipe.runtime.errors import LaunchError
from segpipe.training.distributed import peers
from segpipe.training.distributed.signals import StopRequest

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


def test_one_process_asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(peers, "gather_object", asked.append)
    peers.refuse_differing(1, OWN)
    assert asked == []


GLOO = "[/pytorch/third_party/gloo/gloo/transport/tcp/unbound_buffer.cc:129] "


def test_what_tells_that_another_process_is_gone_is_no_error_of_this_one() -> None:
    """As gloo said it when the cable to the other machine was cut (docs/distributed.md)."""
    silent = RuntimeError(f"{GLOO}Timed out waiting 600000ms for send operation to complete")
    with (
        pytest.raises(peers.PeerFailed, match="rank 1: another"),
        peers.peers_watched(1, StopRequest()),
    ):
        raise silent
    with pytest.raises(RuntimeError, match="shapes"), peers.peers_watched(1, StopRequest()):
        raise RuntimeError("shapes do not match")
