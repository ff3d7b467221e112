"""Execution: turns the strategy's intent into one order at the best price.

`trading_core` joins the strategy, the risk engine and the maker exit. It takes one view of market and account, and
returns the commands to send. `maker_exit` decides about the order. `order`, `replace_attempt`, `exit_order_set`,
`order_updates` and `pending_requests` keep the state of the order. `quote_prices` computes its price, `trading_plan`
says what must be done at the next prices. `reject_policy` and `order_rate_budget` decide when a request for an order
may be sent. `gateway` sends the commands. `anchor_marker`, `balance_jumpstart` and `off_market_orders` place orders
that are not meant to fill.

This package may import core, model, indicators, strategy, reconciliation, risk, and the value types of websocket. Only
the last four modules named above use the event loop; none opens a socket. live, backtest and session_replay call this
package: they run its ticks and carry out the commands that a tick returns.
"""
