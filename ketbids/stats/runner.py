"""Many pieces of work by a few threads, without an effect on the result."""

from collections.abc import Callable
from threading import Lock, Thread
from typing import Generic, Protocol, TypeVar

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

# Seconds between two looks at what the threads have done.
_PAUSE = 0.1


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
        Called in this thread now and then, and at the end, with how many of the numbers below
        ``items.stop`` are done, and ``items.stop``.

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
    n_chunks = -(-len(items) // chunk)
    workers = [make_worker() for _ in range(max(1, min(threads, n_chunks)))]
    if len(workers) == 1:
        for start in range(items.start, items.stop, chunk):
            workers[0].work(range(start, min(start + chunk, items.stop)))
            if progress is not None:
                progress(min(start + chunk, items.stop), items.stop)
        return workers
    crew = _Crew[W](items, chunk)
    crew.run(workers, progress)
    return workers


class _Crew(Generic[W]):
    """Threads that take one chunk after another.

    The thread that starts them shares no lock with them while it waits: an interrupt, which can
    come at any of its instructions, must not leave one locked.
    """

    def __init__(self, items: range, chunk: int) -> None:
        self._items, self._chunk = items, chunk
        self._lock = Lock()
        self._next, self._done = items.start, items.start
        self._stopped = False
        self._error: BaseException | None = None

    def run(self, workers: list[W], progress: Progress | None) -> None:
        threads = [Thread(target=self._work, args=(worker,), daemon=True) for worker in workers]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                while thread.is_alive():
                    thread.join(_PAUSE)
                    if progress is not None:
                        progress(self._done, self._items.stop)
        finally:
            self._stopped = True
            for thread in threads:
                if thread.ident is not None:
                    thread.join()
        if self._error is not None:
            raise self._error
        if progress is not None:
            progress(self._done, self._items.stop)

    def _work(self, worker: W) -> None:
        while True:
            with self._lock:
                start = self._next
                self._next += self._chunk
            if self._stopped or start >= self._items.stop:
                return
            numbers = range(start, min(start + self._chunk, self._items.stop))
            try:
                worker.work(numbers)
            except BaseException as error:
                self._error = self._error or error
                self._stopped = True
                return
            with self._lock:
                self._done += len(numbers)
