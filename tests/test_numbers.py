"""Numbers as people read them."""

from __future__ import annotations

import pytest

from esrface._numbers import percent, signed


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
