"""Charts are caught before they are written."""

import pytest
from matplotlib.figure import Figure

from segpipe.rendering import chart


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Figures that would have been written."""
    caught: list[Figure] = []
    monkeypatch.setattr(chart, "write_chart", lambda figure, _path: caught.append(figure))
    return caught
