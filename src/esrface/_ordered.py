"""Do the work for several items at once, a little ahead, and give the results back in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def ordered_map(
    function: Callable[[Item], Result], items: Iterable[Item], *, workers: int, ahead: int
) -> Generator[tuple[Item, Future[Result]], None, None]:
    """Pairs of an item and its finished future, in the items' order.

    Items are taken lazily and at most ``ahead`` of them are waiting, being worked on or finished at a time,
    which bounds the memory. When the generator is closed, what has not begun is dropped; what has begun goes
    on in its thread without being waited for.

    Args:
        function: Called in one of ``workers`` threads; what it raises is in the future.
        items: Taken in the caller's thread.
        workers: Threads, at least 1.
        ahead: At least ``workers`` to keep them busy.
    """
    source = iter(items)
    pool = ThreadPoolExecutor(workers, thread_name_prefix="esrface")
    pending: deque[tuple[Item, Future[Result]]] = deque()
    finished = False
    try:
        while True:
            while len(pending) < ahead and not finished:
                for item in source:
                    pending.append((item, pool.submit(function, item)))
                    break
                else:
                    finished = True
            if not pending:
                return
            item, future = pending.popleft()
            _wait(future)
            yield item, future
            del item, future
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _wait(future: Future[Result]) -> None:
    # In steps: on Windows a wait without an end cannot be interrupted by Ctrl-C.
    while not wait([future], timeout=0.2).done:
        pass
