"""The `backtest` package."""
