"""Jobs in processes: results, and what becomes of jobs that crash or hang."""

import os
import signal
import time

from edgec.benchmarks.workers import Died, run_jobs


def work(job: str) -> str:
    if job == "crash":
        os.kill(os.getpid(), signal.SIGKILL)
    if job == "hang":
        time.sleep(60)
    return job.upper()


def test_a_job_that_dies_costs_its_own_result_only() -> None:
    jobs = ["a", "crash", "b", "hang", "c", "d"]
    found = dict(run_jobs(work, jobs, processes=2, seconds=0.5))
    assert list(sorted(found)) == sorted(jobs)
    assert [found[j] for j in "abcd"] == ["A", "B", "C", "D"]
    assert isinstance(found["crash"], Died) and "SIGKILL" in str(found["crash"])
    assert isinstance(found["hang"], Died) and "0 s" in str(found["hang"])


def test_it_can_be_left_early() -> None:
    started = time.monotonic()
    for job, result in run_jobs(work, ["a", "hang", "hang"], processes=2, seconds=60):
        assert (job, result) == ("a", "A")
        break
    assert time.monotonic() - started < 10
