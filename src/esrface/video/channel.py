"""A bounded queue between two threads that either side can close."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Channel(Generic[Item]):
    """Items in order from one sender to one receiver.

    The sender ends it (``finish``), with an error if there was one, which the receiver meets after the last
    item. The receiver can give up (``close``), which the sender learns from ``put``. Nobody waits for ever
    for somebody who has left.

    Args:
        size: Items that may wait, at least 1.
        replace: Instead of waiting where it is full, ``put`` throws out the oldest item and counts it in
            ``dropped``: for live sources.
    """

    def __init__(self, size: int, *, replace: bool = False) -> None:
        self._items: deque[Item] = deque()
        self._size = size
        self._replace = replace
        self._changed = threading.Condition()
        self._finished = False
        self._closed = False
        self._error: BaseException | None = None
        self.dropped = 0

    def put(self, item: Item) -> bool:
        """Add an item, waiting for room; False where the receiver has closed."""
        with self._changed:
            while len(self._items) >= self._size and not self._closed:
                if self._replace:
                    self._items.popleft()
                    self.dropped += 1
                else:
                    self._changed.wait()
            if self._closed:
                return False
            self._items.append(item)
            self._changed.notify_all()
            return True

    def finish(self, error: BaseException | None = None) -> None:
        """Nothing follows. Only the first call counts."""
        with self._changed:
            if not self._finished:
                self._finished, self._error = True, error
                self._changed.notify_all()

    def close(self) -> None:
        """The receiver wants no more; what waits is dropped."""
        with self._changed:
            self._closed = True
            self._items.clear()
            self._changed.notify_all()

    def get(self, at_most: int = 1) -> list[Item]:
        """The next items: at least one, waiting for it, and what else is there already.

        Returns ``[]`` at the end; raises the sender's error once all items before it are taken.
        """
        with self._changed:
            while not self._items and not self._finished and not self._closed:
                # In steps: on Windows a wait without an end cannot be interrupted by Ctrl-C.
                self._changed.wait(0.5)
            taken = [self._items.popleft() for _ in range(min(at_most, len(self._items)))]
            if not taken and self._error is not None and not self._closed:
                error, self._error = self._error, None
                raise error
            self._changed.notify_all()
            return taken

    def __iter__(self) -> Iterator[Item]:
        while items := self.get():
            yield from items
