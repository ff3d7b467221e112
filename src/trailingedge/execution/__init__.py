"""Execution: from the strategy's intent to one order at the best price.

`trading_core` joins the strategy, the risk engine and the maker exit: from one picture of market and account to the
commands that must be sent. `maker_exit` decides about the order, `order`, `exit_order_set`, `order_updates` and
`pending_requests` keep its state, `quote_prices` its price, `reject_policy` and `order_rate_budget` when it may move.
`gateway` sends the commands; `anchor_marker`, `balance_jumpstart` and `off_market_orders` place orders that are not
meant to fill.

May import core, model, indicators, strategy, reconciliation, risk, and the value types of websocket; no socket, no
event loop but in the last four. Called by live, backtest and session_replay, which give ticks and carry out commands.
"""
