"""Numbers as people read them."""

from __future__ import annotations

import pytest

from esrface._numbers import counted, percent, signed


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0, "0%"),
        # Halves that a 64-bit float holds exactly.
        (0.125, "13%"),
        (0.625, "63%"),
        (0.994, "99%"),
        (0.9951, ">99%"),
        (1, "100%"),
    ],
)
def test_shares_are_whole_percents_and_never_too_certain(share: float, text: str) -> None:
    assert percent(share) == text


@pytest.mark.parametrize(("value", "text"), [(0.5, "+0.50"), (-0.25, "-0.25"), (-0.001, "+0.00")])
def test_affect_has_its_sign_unless_it_is_nothing(value: float, text: str) -> None:
    assert signed(value) == text


def test_one_is_no_plural() -> None:
    assert [counted(number, "picture") for number in (0, 1, 2)] == ["0 pictures", "1 picture", "2 pictures"]
    assert [counted(n, "face is", "faces are") for n in (1, 1234)] == ["1 face is", "1,234 faces are"]
