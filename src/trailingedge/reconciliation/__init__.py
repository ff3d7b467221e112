"""Reconciliation rebuilds the strategy's state after a restart, from the exchange's records alone.

`recovery` is the entry point: it clears the book, reads the past (`history_loader`), concludes which side we hold and
which exit goes on (`anchor_timeline`), fetches klines (`backfill`) and folds them (`rebuild`). `history_types` defines
exits as orders and fills; `exit_ledger` adds them up to totals. There is no state file, so no state of ours can
contradict the exchange.

May import core, model, indicators, strategy and websocket's value types. Called by live.startup; risk and execution
use its values, and report and commands the same reader and fold.
"""
