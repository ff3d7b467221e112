"""Reconciliation: rebuilds the strategy's state after a restart, from the exchange's records alone.

`recovery` is the entry point. It cancels leftover orders and reads the past (`history_loader`). Then it finds out which
asset we hold and which exit to continue (`anchor_timeline`), fetches klines (`backfill`) and runs the strategy over
them (`rebuild`). `history_types` groups orders and fills into exits; `exit_ledger` adds up the fills of each exit.
There is no state file that could contradict the exchange.

May import core, model, indicators, strategy and websocket's value types. Called by live.startup.
Risk and execution use its value types. Report and commands use its reader of the past and its run
of the strategy over klines.
"""
