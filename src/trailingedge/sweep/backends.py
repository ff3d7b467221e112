"""Backends of a sweep: run trials in this process, in several local processes, or on the workers of Dask or Ray.

Results are the same on every backend. Dask and Ray are optional extras and are imported only when selected.
"""

import contextlib
import importlib
import multiprocessing
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from itertools import islice
from typing import Any, Final

from trailingedge import DISTRIBUTION
from trailingedge.core.errors import ConfigError
from trailingedge.sweep.search_space import Combination
from trailingedge.sweep.trial import TrialOutcome, TrialTask, run_trial

_POLL_S: Final = 0.2  # how often the stop request is checked
_QUEUED_PER_WORKER: Final = 2  # trials submitted per worker: one that runs and one that waits

NumberedTrial = tuple[int, Combination]
TrialDone = Callable[[int, TrialOutcome], None]
StopCheck = Callable[[], bool]
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
    # "spawn" is the only start method that every platform has, and the only safe one beside threads.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_ignore_sigint) as pool:

        def submit(combination: Combination) -> "Future[TrialOutcome | None]":
            with sigint_ignored():  # it may start a worker, and Ctrl-C must not hit that before its initializer has run
                return pool.submit(run_trial, task, combination)

        _run_trials(
            trials,
            jobs,
            submit=submit,
            finished=lambda waiting: wait(waiting, timeout=_POLL_S, return_when=FIRST_COMPLETED).done,
            result=_result_of,
            done=done,
            stopped=stopped,
        )


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

        _run_trials(
            trials,
            jobs,
            submit=lambda combination: client.submit(run_trial, task, combination, pure=False),
            finished=finished,
            result=_result_of,
            done=done,
            stopped=stopped,
        )


def run_ray(task: TrialTask, trials: Sequence[NumberedTrial], jobs: int, done: TrialDone, stopped: StopCheck) -> None:
    """Run on a local Ray cluster of `jobs` processes."""
    module = _import_extra("ray")
    module.init(num_cpus=jobs, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    try:
        remote = module.remote(run_trial)
        _run_trials(
            trials,
            jobs,
            submit=lambda combination: remote.remote(task, combination),
            finished=lambda waiting: module.wait(list(waiting), num_returns=1, timeout=_POLL_S)[0],
            result=module.get,
            done=done,
            stopped=stopped,
        )
    finally:
        module.shutdown()


BACKENDS: Final[Mapping[str, SweepBackend]] = {"local": run_local, "dask": run_dask, "ray": run_ray}
_MODULES: Final = {"dask": "distributed", "ray": "ray"}


def _run_trials(
    trials: Sequence[NumberedTrial],
    jobs: int,
    *,
    submit: Callable[[Combination], Any],
    finished: Callable[[Iterable[Any]], Iterable[Any]],
    result: Callable[[Any], TrialOutcome | None],
    done: TrialDone,
    stopped: StopCheck,
) -> None:
    """Run the trials, and report each result through `done`.

    At most one trial per worker waits, so that a stop request takes effect soon.
    """
    # Submitting all trials at once would be simpler, but a stop request would have to wait for all of them.
    ahead: Iterator[NumberedTrial] = iter(trials)
    waiting: dict[Any, int] = {}
    while True:
        room = 0 if stopped() else jobs * _QUEUED_PER_WORKER - len(waiting)
        for number, combination in islice(ahead, room):
            waiting[submit(combination)] = number
        if not waiting:
            return
        for future in finished(tuple(waiting)):
            number, outcome = waiting.pop(future), result(future)
            if outcome is not None:
                done(number, outcome)


def _result_of(future: "Future[TrialOutcome | None]") -> TrialOutcome | None:
    return future.result()


def _import_extra(name: str) -> Any:
    try:
        return importlib.import_module(_MODULES[name])
    except ImportError as missing:
        remedy = f"run it as uv run --extra {name} trailing-edge sweep …, or install {DISTRIBUTION}[{name}]"
        raise ConfigError([f"--engine {name}: {missing.name or name} is not installed; {remedy}"]) from missing


@contextlib.contextmanager
def sigint_ignored() -> Iterator[None]:
    """Ignore SIGINT inside the block. A process started there also ignores it until it sets its own handler."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _ignore_sigint() -> None:
    """Ignore SIGINT in a worker: Ctrl-C reaches all processes of a terminal; only the main process acts on it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
