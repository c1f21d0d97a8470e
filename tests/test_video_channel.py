"""The queue between threads: order, bounds, and that nobody waits for somebody who has left."""

from __future__ import annotations

import threading
import time

import pytest

from esrface.video.channel import Channel


def in_thread(work: object) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)  # type: ignore[arg-type]
    thread.start()
    return thread


def test_items_come_in_order_and_no_more_wait_than_fit() -> None:
    channel: Channel[int] = Channel(3)
    most = 0

    def send() -> None:
        for number in range(50):
            channel.put(number)
        channel.finish()

    thread = in_thread(send)
    got = []
    for item in channel:
        most = max(most, len(channel._items))
        got.append(item)
    thread.join(60)
    assert got == list(range(50))
    assert most <= 3
    assert channel.get() == []


def test_several_at_once_but_never_a_wait_for_more_than_one() -> None:
    channel: Channel[int] = Channel(10)
    for number in range(5):
        channel.put(number)
    assert channel.get(3) == [0, 1, 2]
    assert channel.get(3) == [3, 4]


def test_error_comes_after_what_was_sent_before_it_and_once() -> None:
    channel: Channel[int] = Channel(2)
    channel.put(1)
    channel.finish(OSError("burst"))
    assert channel.get() == [1]
    with pytest.raises(OSError, match="burst"):
        channel.get()
    assert channel.get() == []


def test_sender_that_waits_learns_that_the_receiver_has_left() -> None:
    channel: Channel[int] = Channel(1)
    answers: list[bool] = []
    channel.put(1)
    thread = in_thread(lambda: answers.append(channel.put(2)))
    time.sleep(0.05)
    assert answers == []
    channel.close()
    thread.join(60)
    assert answers == [False]
    assert channel.put(3) is False


def test_receiver_that_waits_learns_of_a_close() -> None:
    channel: Channel[int] = Channel(1)
    got: list[list[int]] = []
    thread = in_thread(lambda: got.append(channel.get()))
    time.sleep(0.05)
    channel.close()
    thread.join(60)
    assert got == [[]]


def test_live_channel_keeps_the_newest_and_counts_the_rest() -> None:
    channel: Channel[int] = Channel(2, replace=True)
    for number in range(10):
        assert channel.put(number)
    assert channel.dropped == 8
    assert channel.get(5) == [8, 9]
