"""Who does the work: this process, several of it, or the workers of Dask or Ray. Where it is done changes nothing.

Dask and Ray are extras: they are imported when they are asked for, and not before.
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

_POLL_S: Final = 0.2  # how often somebody looks whether to go on
_QUEUED_PER_WORKER: Final = 2  # trials that lie ready for each worker

NumberedTrial = tuple[int, Combination]
TrialDone = Callable[[int, TrialOutcome], None]
StopCheck = Callable[[], bool]
SweepBackend = Callable[[TrialTask, Sequence[NumberedTrial], int, TrialDone, StopCheck], None]
"""Tries what is given with so many workers, and tells of each as it is done, in any order. When stopped, those
that are being tried are still told of."""


def backend_named(name: str) -> SweepBackend:
    """Raises ConfigError for one whose extra is not installed."""
    if name != "local":
        _import_extra(name)
    return BACKENDS[name]


def run_local(task: TrialTask, trials: Sequence[NumberedTrial], jobs: int, done: TrialDone, stopped: StopCheck) -> None:
    """On this machine: in this process for one job, else in as many others."""
    if jobs == 1:
        for number, combination in trials:
            outcome = None if stopped() else run_trial(task, combination, stopped)
            if outcome is None:
                return
            done(number, outcome)
        return
    context = multiprocessing.get_context("spawn")  # the only way there is everywhere
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_ignore_sigint) as pool:

        def submit(combination: Combination) -> "Future[TrialOutcome | None]":
            with sigint_ignored():  # it may start a worker, which needs a while until it can ignore anything
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
    """On a cluster of Dask's of so many processes on this machine."""
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
    """On a cluster of Ray's of so many processes on this machine."""
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
    """Each worker has one trial and one more waiting, so that a stop leaves little undone."""
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
        remedy = f"run it by uv run --extra {name} …, or install {DISTRIBUTION}[{name}]"
        raise ConfigError([f"--engine {name}: {missing.name or name} is not installed; {remedy}"]) from missing


@contextlib.contextmanager
def sigint_ignored() -> Iterator[None]:
    """Whatever process is started meanwhile never hears of Ctrl-C, as long as it does not listen by itself."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _ignore_sigint() -> None:
    """The terminal tells everybody; who began the work decides what is still done."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
