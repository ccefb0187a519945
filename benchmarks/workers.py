"""Jobs in processes of their own: one that crashes, or does not end, costs its own result only."""

import multiprocessing
import signal
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection, wait
from time import monotonic
from typing import Generic, TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")


class Died(Exception):
    """Why a job has no result: its process crashed or took too long."""


def run_jobs(
    work: Callable[[Job], Result], jobs: Iterable[Job], processes: int, seconds: float
) -> Iterator[tuple[Job, Result | Died]]:
    """(job, its result) as they come, from `processes` forks of this process; a job has `seconds`.

    `work` runs in the forks, so whatever it needs should be loaded before; results must pickle. What has no result
    comes as `Died`. Close the iterator to stop early.
    """
    pending = iter(jobs)
    workers = [_Worker(work) for _ in range(processes)]
    try:
        busy = {w.connection: w for w in workers if w.start_next(pending, seconds)}
        while busy:
            patience = max(0.0, min(w.deadline for w in busy.values()) - monotonic())
            ready = {c for c in wait(list(busy), patience) if isinstance(c, Connection)}
            for worker in [w for w in busy.values() if w.connection in ready or w.deadline <= monotonic()]:
                del busy[worker.connection]
                job, result = worker.finish(worker.connection in ready, seconds)
                if worker.start_next(pending, seconds):
                    busy[worker.connection] = worker
                yield job, result
    finally:
        for worker in workers:
            worker.stop()


class _Worker(Generic[Job, Result]):
    """A process that does one job after another; replaced when it dies."""

    def __init__(self, work: Callable[[Job], Result]) -> None:
        self._work = work
        self._fork()

    def _fork(self) -> None:
        context = multiprocessing.get_context("fork")
        self.connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(self._work, theirs), daemon=True)
        self._process.start()
        theirs.close()

    def start_next(self, jobs: Iterator[Job], seconds: float) -> bool:
        """Whether there was another job."""
        for self._job in jobs:
            self.deadline = monotonic() + seconds
            self.connection.send(self._job)
            return True
        return False

    def finish(self, ready: bool, seconds: float) -> tuple[Job, Result | Died]:
        """The job and its result; one that is not `ready` is given up."""
        reason = f"it did not end within {seconds:.0f} s"
        if ready:
            try:
                return self._job, self.connection.recv()
            except EOFError:
                self._process.join()
                reason = f"it crashed ({_signal_name(self._process.exitcode)})"
        self.stop()
        self._fork()
        return self._job, Died(reason)

    def stop(self) -> None:
        """Ends the process, whatever it does."""
        self._process.kill()
        self._process.join()
        self.connection.close()


def _serve(work: Callable[[Job], Result], jobs: Connection) -> None:
    while True:
        try:
            job = jobs.recv()
        except EOFError:
            return
        jobs.send(work(job))


def _signal_name(exit_code: int | None) -> str:
    return signal.Signals(-exit_code).name if exit_code is not None and exit_code < 0 else f"exit code {exit_code}"
