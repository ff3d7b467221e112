"""Recorded core: a trading core that records its inputs and its outputs.

Only this module records a session's decisions. It changes nothing in what the core does: each method calls the core's
own method, and then adds one entry of immutable values to the record. A thread encodes the entry later.

Every method that changes the core's later behaviour is wrapped by `_recorded`. A new method of this kind must be added
here; a test checks that. Calls made within a recorded method are not recorded, because they follow from its arguments.
"""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

from trailingedge.eventlog.format import CALL, REQUOTE, SHUTDOWN_TICK, TICK, LineSink
from trailingedge.execution.trading_core import TradingCore
from trailingedge.model.market import BookTop
from trailingedge.model.market_state import StateView
from trailingedge.model.order_commands import ExecutionCommand, Replace

P = ParamSpec("P")
T = TypeVar("T")


def _recorded(method: Callable[Concatenate[Any, P], T]) -> Callable[Concatenate[Any, P], T]:
    """Return `method` of the core wrapped so that each call is recorded with its arguments."""
    names = tuple(inspect.signature(method).parameters)[1:]

    @wraps(method)
    def call_and_record(core: "RecordedCore", /, *args: P.args, **named: P.kwargs) -> T:
        if core.is_inside:
            return method(core, *args, **named)
        core.is_inside, raised = True, None
        try:
            return method(core, *args, **named)
        except Exception as error:
            raised = error
            raise
        finally:
            core.is_inside = False
            arguments = dict(zip(names, args, strict=False)) | named
            core.lines.add((CALL, core.now_ns(), method.__name__, arguments, raised))

    return call_and_record


class RecordedCore(TradingCore):
    """A trading core whose inputs and outputs go to `lines`. `now_ns` reads the monotonic clock in nanoseconds."""

    def __init__(self, lines: LineSink, now_ns: Callable[[], int], *args: Any) -> None:
        super().__init__(*args)
        self.lines = lines
        self.now_ns = now_ns
        self.is_inside = False  # in a method that is recorded

    restore = _recorded(TradingCore.restore)
    on_report = _recorded(TradingCore.on_report)
    deliver = _recorded(TradingCore.deliver)
    submit = _recorded(TradingCore.submit)
    on_disconnect = _recorded(TradingCore.on_disconnect)
    on_balances_read = _recorded(TradingCore.on_balances_read)
    on_transfer = _recorded(TradingCore.on_transfer)
    accept_change = _recorded(TradingCore.accept_change)
    update_rules = _recorded(TradingCore.update_rules)
    update_limits = _recorded(TradingCore.update_limits)
    take_in = _recorded(TradingCore.take_in)
    pause = _recorded(TradingCore.pause)
    resume = _recorded(TradingCore.resume)
    halt = _recorded(TradingCore.halt)
    lock_balances_until = _recorded(TradingCore.lock_balances_until)

    def tick(self, view: StateView, server_ms: int) -> list[ExecutionCommand]:
        """Run a tick, and record its view and its result."""
        return self._record_tick(TICK, super().tick, view, server_ms)

    def shutdown_tick(self, view: StateView, server_ms: int) -> list[ExecutionCommand]:
        """Run the tick of a shutdown, and record view and result."""
        return self._record_tick(SHUTDOWN_TICK, super().shutdown_tick, view, server_ms)

    def on_replace_sent(self, command: Replace, top: BookTop, now_s: float, server_ms: int) -> None:
        """Tell the core that the plan's cancel-replace was sent, and record the call."""
        self.is_inside, raised = True, None
        try:
            super().on_replace_sent(command, top, now_s, server_ms)
        except Exception as error:
            raised = error
            raise
        finally:
            self.is_inside = False
            self.lines.add((REQUOTE, self.now_ns(), now_s, server_ms, top, (command,), raised))

    def _record_tick(
        self,
        kind: str,
        tick: Callable[[StateView, int], list[ExecutionCommand]],
        view: StateView,
        server_ms: int,
    ) -> list[ExecutionCommand]:
        commands: list[ExecutionCommand] = []
        self.is_inside, raised = True, None
        try:
            commands = tick(view, server_ms)
            return commands
        except Exception as error:
            raised = error
            raise
        finally:
            self.is_inside = False
            # The caller may change its list of commands; all other values are immutable.
            self.lines.add((kind, view, server_ms, tuple(commands), tuple(self.events), self.decision, raised))


# The methods that a "call" line may name.
RECORDED_CALLS: Final = frozenset(name for name, member in vars(RecordedCore).items() if hasattr(member, "__wrapped__"))
