"""Risk: checks that can stop an order or all trading, independent of the code that decides on the orders.

`risk_engine` joins the parts. `pre_trade_checks` checks every command before it is sent, `circuit_breakers` counts
losses, `duplicate_instance` looks for a second process on the account, `balance_audit` compares balances with fills.
May import core, model, indicators, strategy and reconciliation. Called by execution.trading_core in every tick; live,
backtest and notifications read its state.
"""
