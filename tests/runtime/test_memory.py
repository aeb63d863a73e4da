"""Out of memory: it is recognised, and a person is told where, and what to change."""

import errno

import pytest
import torch

from segpipe.runtime.errors import listing
from segpipe.runtime.memory import is_out_of_memory
from segpipe.runtime.process_exit import explained


def test_a_shortage_is_told_from_other_errors() -> None:
    with pytest.raises(RuntimeError) as real:
        torch.empty(1 << 55)
    assert is_out_of_memory(real.value), real.value
    shortages = [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("std::bad_alloc"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
    ]
    for error in shortages:
        assert is_out_of_memory(error)
    others = [
        RuntimeError("shapes do not fit"),
        ValueError("can't allocate memory"),
        OSError(errno.ENOENT, "No such file or directory"),
    ]
    for other in others:
        assert not is_out_of_memory(other)


@pytest.mark.parametrize("said", ["could not create a primitive", "can't start new thread"])
def test_what_is_said_of_many_things_counts_where_no_room_is_left(
    said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("segpipe.runtime.memory._PROBE", 1)
    assert not is_out_of_memory(RuntimeError(said))
    monkeypatch.setattr("segpipe.runtime.memory._PROBE", 1 << 55)
    assert is_out_of_memory(RuntimeError(said))


def test_a_command_that_falls_short_says_where_and_what_to_do(
    capsys: pytest.CaptureFixture[str],
) -> None:
    class TooLarge:
        def __str__(self) -> str:
            raise MemoryError("no room for 8 GiB\nand more")

    assert explained(lambda: len(listing([TooLarge()]))) == 1  # type: ignore[list-item]
    said = capsys.readouterr().err
    assert said.startswith("error: out of memory in segpipe.runtime.errors, ")
    assert ": no room for 8 GiB\nFree some memory" in said
    assert "SEGPIPE_PROCESSES" in said

    def other() -> int:
        raise RuntimeError("shapes do not fit")

    with pytest.raises(RuntimeError, match="shapes do not fit"):
        explained(other)
