"""Many pieces of work by a few threads, without an effect on the result."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Protocol, TypeVar

__all__ = ['Progress', 'Worker', 'run_chunks']

#: Called with the number of items done and the number of all.
Progress = Callable[[int, int], None]


class Worker(Protocol):
    """Memory and results of one thread."""

    def work(self, numbers: range) -> None:
        """Do some items.

        What it leaves behind must not depend on which worker has done which items: sums of
        integers, or rows of an array that all workers share.
        """


W = TypeVar('W', bound=Worker)


def run_chunks(
    items: range,
    chunk: int,
    make_worker: Callable[[], W],
    threads: int,
    progress: Progress | None = None,
) -> list[W]:
    """Do all items in chunks.

    Parameters
    ----------
    items : range
        Numbers of the items, step 1.
    chunk : int
        Items that a worker gets at a time.
    make_worker : callable
        Called in this thread, once per thread that is used.
    threads : int
        At most so many; kernels have to release the lock of the interpreter to profit.
    progress : callable, optional
        Called in this thread after each chunk, in order: ``items.stop`` is the number of all.

    Returns
    -------
    list of Worker
        At least one.

    Raises
    ------
    Exception
        The first that a worker raises; what has not begun is then left undone, as it is after
        an interrupt.
    """
    chunks = [
        range(start, min(start + chunk, items.stop))
        for start in range(items.start, items.stop, chunk)
    ]
    workers = [make_worker() for _ in range(max(1, min(threads, len(chunks))))]
    if len(workers) == 1:
        for numbers in chunks:
            workers[0].work(numbers)
            if progress is not None:
                progress(numbers.stop, items.stop)
        return workers
    idle: SimpleQueue[W] = SimpleQueue()
    for worker in workers:
        idle.put(worker)

    def work(numbers: range) -> range:
        worker = idle.get()
        try:
            worker.work(numbers)
        finally:
            idle.put(worker)
        return numbers

    pool = ThreadPoolExecutor(max_workers=len(workers))
    try:
        for numbers in pool.map(work, chunks):
            if progress is not None:
                progress(numbers.stop, items.stop)
    finally:
        pool.shutdown(cancel_futures=True)
    return workers
