"""Nipype's MultiProc, which waits for ever for a worker that was killed; this one does not."""

import ctypes
import gc
import re
import signal
import sys
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from traceback import format_exception
from typing import Any

from nipype.pipeline.plugins.multiproc import MultiProcPlugin, process_initializer

from ketbids.errors import KetbidsError

__all__ = ['WatchedMultiProcPlugin', 'exception_message']

#: Of <sys/prctl.h>: the signal that a process gets when its parent dies.
_PR_SET_PDEATHSIG = 1

_EXCEPTION = re.compile(r'^\s*(?P<kind>[A-Za-z_][\w.]*)(?:: (?P<message>.*))?$')


def exception_message(traceback: str) -> str:
    """Give the innermost exception of a traceback in words.

    Our own errors speak for themselves, and keep their lines; of others the class is named too.
    """
    message: list[str] = []
    for line in reversed(traceback.rstrip().splitlines()):
        match = _EXCEPTION.match(line)
        if match and ('Error' in match['kind'] or 'Exception' in match['kind']):
            kind = match['kind'].rsplit('.', 1)
            indent = line[: len(line) - len(line.lstrip())]
            more = [text.removeprefix(indent).rstrip() for text in message]
            if kind[0].startswith('ketbids.'):
                return '\n'.join([match['message'] or '', *more]).strip()
            text = ' '.join([match['message'] or '', *(text.strip() for text in more)]).strip()
            return f'{kind[-1]}: {text}'.removesuffix(': ')
        message.insert(0, line)
    return traceback.strip().splitlines()[-1] if traceback.strip() else 'unknown error'


def run_node(node: Any, updatehash: bool, taskid: int) -> dict[str, Any]:
    """Run a node in a worker; whatever goes wrong comes back as a traceback."""
    result: dict[str, Any] = {'result': None, 'traceback': None, 'taskid': taskid}
    try:
        result['result'] = node.run(updatehash=updatehash)
    except BaseException:  # a node that calls sys.exit must not take its worker along
        result['traceback'] = format_exception(*sys.exc_info())
    return result


def start_worker(folder: str) -> None:
    """Prepare a worker: it leaves signals to the main process, and does not outlive it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if sys.platform == 'linux':
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    process_initializer(folder)


def _part(name: str) -> str:
    """Part of the workflow that a node is in, by its full name."""
    return name.split('.')[1]


class WatchedMultiProcPlugin(MultiProcPlugin):
    """Run nodes in processes; a killed process fails its node and those that wait for it.

    Parts of a workflow (nodes or workflows directly in it) are done one after the other as far as
    they leave processes free, so that each is finished early: Nipype's own order begins all first.

    One plugin can run several workflows, one after the other, in the same processes, which are
    there until `close`.

    Parameters
    ----------
    plugin_args : dict, optional
        See Nipype.
    report : callable, optional
        Called with the name of each part of a workflow when all its nodes are done.
    watch : callable, optional
        Called with ``started`` or ``done`` and the full name of a node.

    Attributes
    ----------
    failures : dict of str to str
        Why each node of the last workflow that is not done failed or was not run, by its full
        name; those that failed come first.
    """

    def __init__(
        self,
        plugin_args: dict[str, Any] | None = None,
        report: Callable[[str], None] | None = None,
        watch: Callable[[str, str], None] | None = None,
    ) -> None:
        super().__init__(plugin_args=plugin_args)
        self.failures: dict[str, str] = {}
        self._finished: set[str] = set()
        self._report = report
        self._watch = watch
        self._left: dict[str, set[str]] = {}
        self._start_pool()

    def _start_pool(self) -> None:
        self.pool.shutdown()
        self.pool: ProcessPoolExecutor = ProcessPoolExecutor(
            max_workers=self.processors, initializer=start_worker, initargs=(self._cwd,)
        )
        self._broken = False

    def run(self, graph: Any, config: Any, updatehash: bool = False) -> None:
        """Run the nodes of a workflow."""
        self.failures, self._finished = {}, set()
        self._left = defaultdict(set)
        for node in graph.nodes():
            self._left[_part(node.fullname)].add(node.fullname)
        self._task_obj: dict[int, Any] = {}
        self.pending_tasks: list[tuple[int, int]] = []
        if self._broken:
            self._start_pool()
        # The scheduler collects garbage at every node: without this, over all of the graph.
        gc.freeze()
        try:
            super().run(graph, config, updatehash=updatehash)
        finally:
            gc.unfreeze()
            for node in graph.nodes():
                if node.fullname not in self._finished:
                    self.failures.setdefault(node.fullname, 'It was not run.')

    def _sort_jobs(self, jobids: Any, scheduler: str | None = None) -> list[int]:
        order = {part: number for number, part in enumerate(sorted(self._left))}
        return sorted(jobids, key=lambda job: order[_part(self.procs[job].fullname)])

    def _task_finished_cb(self, jobid: int, cached: bool = False) -> None:
        name = self.procs[jobid].fullname
        self._finished.add(name)
        super()._task_finished_cb(jobid, cached=cached)
        if self._watch is not None:
            self._watch('done', name)
        left = self._left[_part(name)]
        if name in left:
            left.remove(name)
            if not left and self._report is not None:
                self._report(_part(name))

    def _postrun_check(self) -> None:
        """Keep the processes for the next workflow."""

    def close(self, *, wait: bool = True) -> None:
        """End the processes, by default after the nodes that they are at."""
        self.pool.shutdown(wait=wait, cancel_futures=True)

    def _submit_job(self, node: Any, updatehash: bool = False) -> int:
        self._taskid += 1
        if self._watch is not None:
            self._watch('started', node.fullname)
        future = self.pool.submit(run_node, node, updatehash, self._taskid)
        self._task_obj[self._taskid] = future
        return self._taskid

    def _get_result(self, taskid: int) -> Any:
        future = self._task_obj[taskid]
        if not future.done():
            return None
        try:
            return future.result()
        except BrokenProcessPool as error:
            self._broken = True
            raise KetbidsError(
                'A worker process was killed. Most often memory ran out: use fewer processes '
                '(--nprocs), or give the job more memory.'
            ) from error

    def _report_crash(self, node: Any, result: Any = None) -> Any:
        traceback = (result or {}).get('traceback') or format_exception(*sys.exc_info())
        text = traceback if isinstance(traceback, str) else ''.join(traceback)
        self.failures[node.fullname] = exception_message(text)
        return super()._report_crash(node, result)
