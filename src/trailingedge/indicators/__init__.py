"""Indicators: numbers calculated from closed klines.

Donchian's channel, which the strategy uses, and the average true range, which it does not. Pure functions and small
incremental classes on floats: no I/O and no clock. They import `core` and `model` and are used by `strategy`, and by
everything that replays the strategy over old klines: `reconciliation`, `backtest`, `report`.
"""
