"""Which images are shown: from different groups, and apart where there is one group."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from segpipe.raw.sample import Sample
from segpipe.rendering.choice import spread_choice, worst_median_best


def sample(name: str, group: str = "") -> Sample:
    return Sample(name, group, f"images/{name}.png", None)


def test_the_worst_come_from_different_groups_as_far_as_there_are() -> None:
    ranked = [sample(f"{group}{number}", group) for group in "abc" for number in range(9)]
    assert [one.group for one in spread_choice(ranked, 3)] == ["a", "b", "c"]
    assert [one.group for one in spread_choice(ranked, 5)] == ["a", "a", "b", "b", "c"]
    assert spread_choice(ranked, 1) == ranked[:1]


def test_frames_of_one_drive_lie_apart() -> None:
    # The worst are all in one stretch, as on CamVid.
    frames = [sample(f"frame_{number:03d}") for number in range(101)]
    ranked = sorted(frames, key=lambda one: abs(frames.index(one) - 40))
    chosen = spread_choice(ranked, 8)
    assert chosen[0] == frames[40]
    assert chosen == sorted(chosen, key=ranked.index)
    places = sorted(map(frames.index, chosen))
    assert min(after - before for before, after in pairwise(places)) >= 101 // 16


@given(st.lists(st.integers(0, 3), max_size=40), st.integers(0, 50), st.randoms())
def test_as_many_as_are_wanted_and_there_are(
    groups: list[int], number: int, random: object
) -> None:
    ranked = [sample(f"{place:02d}", str(group)) for place, group in enumerate(groups)]
    random.shuffle(ranked)  # type: ignore[attr-defined]
    chosen = spread_choice(ranked, number)
    assert len(chosen) == min(number, len(ranked))
    assert [one for one in ranked if one in chosen] == chosen


def test_worst_median_and_best() -> None:
    ranked = [sample(f"{number:02d}", str(number % 3)) for number in range(31)]
    found = worst_median_best(ranked)
    assert [one.name for one in found["worst"]] == ["00", "01", "02"]
    assert [one.name for one in found["best"]] == ["30", "29", "28"]
    assert sorted(one.name for one in found["median"]) == ["14", "15", "16"]
    assert {len({one.group for one in chosen}) for chosen in found.values()} == {3}


def test_few_images_are_shown_once_each() -> None:
    for number in range(9):
        found = worst_median_best([sample(str(place)) for place in range(number)])
        names = [one.name for chosen in found.values() for one in chosen]
        assert len(names) == len(set(names)) == min(number, 3 * max(1, number // 3))
