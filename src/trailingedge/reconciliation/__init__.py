"""Reconciliation: the strategy's state after a restart, from the exchange's records alone.

`recovery` is the way in: it clears the book, reads the past (`history_loader`), concludes which side we hold and which
exit goes on (`anchor_timeline`), fetches klines (`backfill`) and folds them (`rebuild`). `history_types` and
`exit_ledger` are the values: exits as orders and fills, and as totals. There is no state file, so nothing can
contradict the exchange.

May import core, model, indicators, strategy and websocket's value types. Called by live.startup; risk and execution
use its values, and report and commands the same reader and fold.
"""
