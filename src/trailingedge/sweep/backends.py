"""Backends of a sweep: run trials in this process, in several local processes, or on the workers of Dask or Ray.

Results are the same on every backend. Dask and Ray are optional extras and are imported only when selected.
"""

import importlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from trailingedge import DISTRIBUTION
from trailingedge.backtest.worker_pool import StopCheck, run_in_processes, run_queued
from trailingedge.core.errors import ConfigError
from trailingedge.sweep.search_space import Combination
from trailingedge.sweep.trial import TrialOutcome, TrialTask, run_trial

_POLL_S: Final = 0.2  # how often the stop request is checked

NumberedTrial = tuple[int, Combination]
TrialDone = Callable[[int, TrialOutcome], None]
SweepBackend = Callable[[TrialTask, Sequence[NumberedTrial], int, TrialDone, StopCheck], None]
"""Runs trials with so many workers and reports each result through the callback, in any order. After a stop request,
trials that already run are still finished and reported."""


def backend_named(name: str) -> SweepBackend:
    """Return the backend called `name`. Raises ConfigError if its optional package is missing."""
    if name != "local":
        _import_extra(name)
    return BACKENDS[name]


def run_local(task: TrialTask, trials: Sequence[NumberedTrial], jobs: int, done: TrialDone, stopped: StopCheck) -> None:
    """Run the trials on this machine: in this process if `jobs` is 1, otherwise in `jobs` processes."""
    if jobs == 1:
        for number, combination in trials:
            outcome = None if stopped() else run_trial(task, combination, stopped)
            if outcome is None:
                return
            done(number, outcome)
        return
    run_in_processes(
        partial(_run_numbered, task), trials, jobs, lambda trial, outcome: done(trial[0], outcome), stopped
    )


def _run_numbered(task: TrialTask, trial: NumberedTrial) -> TrialOutcome | None:
    return run_trial(task, trial[1])


def run_dask(task: TrialTask, trials: Sequence[NumberedTrial], jobs: int, done: TrialDone, stopped: StopCheck) -> None:
    """Run on a local Dask cluster of `jobs` processes."""
    distributed = _import_extra("dask")
    options = {"n_workers": jobs, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client:

        def finished(waiting: Iterable[Any]) -> Iterable[Any]:
            try:
                return set(distributed.wait(list(waiting), timeout=_POLL_S, return_when="FIRST_COMPLETED").done)
            except TimeoutError:
                return set()

        run_queued(
            trials,
            jobs,
            submit=lambda trial: client.submit(run_trial, task, trial[1], pure=False),
            finished=finished,
            result=lambda future: future.result(),
            done=lambda trial, outcome: done(trial[0], outcome),
            stopped=stopped,
        )


def run_ray(task: TrialTask, trials: Sequence[NumberedTrial], jobs: int, done: TrialDone, stopped: StopCheck) -> None:
    """Run on a local Ray cluster of `jobs` processes."""
    module = _import_extra("ray")
    module.init(num_cpus=jobs, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    try:
        remote = module.remote(run_trial)
        run_queued(
            trials,
            jobs,
            submit=lambda trial: remote.remote(task, trial[1]),
            finished=lambda waiting: module.wait(list(waiting), num_returns=1, timeout=_POLL_S)[0],
            result=module.get,
            done=lambda trial, outcome: done(trial[0], outcome),
            stopped=stopped,
        )
    finally:
        module.shutdown()


BACKENDS: Final[Mapping[str, SweepBackend]] = {"local": run_local, "dask": run_dask, "ray": run_ray}
_MODULES: Final = {"dask": "distributed", "ray": "ray"}


def _import_extra(name: str) -> Any:
    try:
        return importlib.import_module(_MODULES[name])
    except ImportError as missing:
        remedy = f"run it as uv run --extra {name} trailing-edge sweep …, or install {DISTRIBUTION}[{name}]"
        raise ConfigError([f"--engine {name}: {missing.name or name} is not installed; {remedy}"]) from missing
