"""Deliberate faults, put into a copy of the project one at a time: each must turn the suite red.

    uv run python -m tests.mutations [NAME…]

A suite that stays green under one of these does not guard what it claims to guard.
"""

import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests import processes

ROOT: Final = Path(__file__).parent.parent
# Lint, types, the shape of the tree and the drawn diagrams would notice a fault for the wrong reason.
COMMAND: Final = (
    *(sys.executable, "-m", "pytest", "-x", "-q", "--no-header", "-n", "auto", "--dist", "worksteal"),
    *("--ignore", "tests/test_architecture.py", "--ignore", "tests/execution/test_order_diagram.py"),
)


@dataclass(frozen=True)
class Fault:
    """`old` stands exactly once in `path` and is replaced by `new`."""

    name: str
    path: str
    old: str
    new: str


FAULTS: Final = (
    Fault(
        "LIMIT for LIMIT_MAKER",
        "model/order_requests.py",
        '"type": "LIMIT_MAKER",',
        '"type": "LIMIT", "timeInForce": "GTC",',
    ),
    Fault("ALLOW_FAILURE", "model/order_requests.py", '"STOP_ON_FAILURE"', '"ALLOW_FAILURE"'),
    Fault(
        "place again on silence",
        "execution/order.py",
        "(OrderState.PENDING_NEW, OrderTrigger.TIMEOUT): OrderState.UNKNOWN",
        "(OrderState.PENDING_NEW, OrderTrigger.TIMEOUT): OrderState.REJECTED",
    ),
    Fault(
        "floor becomes ceil",
        "model/market.py",
        "return (quantity / step_size).to_integral_value(rounding=ROUND_FLOOR) * step_size",
        "return (quantity / step_size).to_integral_value(rounding=ROUND_CEILING) * step_size",
    ),
    Fault(
        "gate ignored",
        "strategy/blocks.py",
        "    if state.gate is not None:\n        found.append(TradeBlock.GATE_SHUT)\n",
        "",
    ),
    Fault("high not reset", "strategy/state.py", "high=value,", "high=max(self.high, value),"),
    Fault(
        "fill counted twice",
        "execution/order.py",
        "self.filled_quantity = quantity\n",
        "self.filled_quantity += quantity\n",
    ),
    Fault(
        "stale data used",
        "execution/trading_core.py",
        "age_s < self._params.stale_after_s",
        "age_s < float('inf')",
    ),
    Fault(
        "foreign order cancelled",
        "model/client_order_ids.py",
        "return own_id(client_order_id) is not None",
        "return client_order_id is not None",
    ),
    Fault(
        "budget ignored",
        "execution/maker_exit.py",
        "if not urgent and not self._budget.may_requote(server_ms):",
        "if not urgent and server_ms < 0:",
    ),
    # The plan.
    Fault(
        "plan ignores a breach",
        "strategy/plan.py",
        "    if state.stop_breach_since_ms is not None:\n        return _during_breach(decision, params)\n",
        "",
    ),
    Fault("plan ignores a new high", "strategy/plan.py", "to_the_high = trail.high * _UP", "to_the_high = inf"),
    Fault("plan outlasts its wait", "execution/trading_plan.py", "now_s >= self.due_s or ", ""),
    Fault(
        "plan follows one way",
        "execution/trading_plan.py",
        "price == self.resting.price",
        "price >= self.resting.price",
    ),
    # The replace attempt.
    Fault(
        "silence taken for failure",
        "execution/replace_attempt.py",
        "(t.UNANSWERED,), s.BOTH_UNKNOWN)",
        "(t.UNANSWERED,), s.FAILED)",
    ),
    Fault(
        "rival's order taken for foreign",
        "execution/replace_attempt.py",
        "((s.CONTESTED,), (t.REFUSED,), s.DONE)",
        "((s.CONTESTED,), (t.REFUSED,), s.FAILED)",
    ),
    Fault(
        "late report of a failed attempt ignored",
        "execution/replace_attempt.py",
        "((s.ID_TAKEN, s.FAILED), (t.REPORTED,), s.DONE)",
        "((s.ID_TAKEN,), (t.REPORTED,), s.DONE)",
    ),
    # The record.
    Fault("another scale is no change", "eventlog/json_values.py", "bool(now.same_quantum(then))", "True"),
    Fault("damage believed", "eventlog/reader.py", '!= b"%d" % zlib.crc32(batch)', '== b""'),
    Fault("batches stay in memory", "eventlog/writer.py", "zlib.Z_SYNC_FLUSH", "zlib.Z_NO_FLUSH"),
)


def main(names: list[str]) -> int:
    if failed := noticed_by(None):
        print(f"the suite is red before anything is put in: {failed}")
        return 1
    survived = []
    for fault in FAULTS:
        if names and fault.name not in names:
            continue
        noticed = noticed_by(fault)
        print(f"{fault.name:40} {noticed or 'no test failed'}", flush=True)
        if not noticed:
            survived.append(fault.name)
    return 1 if survived else 0


def noticed_by(fault: Fault | None) -> str | None:
    """The first test that fails with `fault` in place, or with none; None when none does."""
    with tempfile.TemporaryDirectory(prefix="mutation-") as folder:
        copy = Path(folder)
        for name in ("src", "tests", "deploy", "secrets", ".github"):
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("pyproject.toml", "README.md", "LICENSE", ".env.example"):
            shutil.copy(ROOT / name, copy / name)
        if fault is not None:
            put_in(fault, copy)
        # The copy's source comes before the installed one.
        environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(copy / "src"), "HOME": folder}
        run = processes.run(COMMAND, cwd=copy, env=environment, text=True, timeout=None)
        failed = [line for line in run.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
        # 1: tests failed; 2: -x stopped the parallel run after the first failure.
        return failed[0].partition(" - ")[0] if run.returncode in (1, 2) and failed else None


def put_in(fault: Fault, copy: Path) -> None:
    path = copy / "src" / "trailingedge" / fault.path
    text = path.read_text(encoding="utf-8")
    if text.count(fault.old) != 1:
        raise SystemExit(f"{fault.name}: {fault.path} holds {text.count(fault.old)} times: {fault.old}")
    path.write_text(text.replace(fault.old, fault.new), encoding="utf-8")


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
