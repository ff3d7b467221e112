"""Market data for the embedded exchange: sources of ticks, and readers of market data files.

`ticks` defines a tick and a source. `generated` (with `market_phases`) makes an endless market from a
seed; `historical` opens Binance's public CSV files (`csv_files`, `csv_schemas`): `inspection` checks all rows,
`row_order` sorts them if need be, `market_loader` reads them into `columns`, and `candle_path` and `random_path` turn
klines into ticks; `live` plays another exchange's market as it happens.

The package imports `core` and `model`. Only `live` also imports `simulator`, because it drives
a running exchange.
The exchange does not know which source it plays. The backtest reads the same columns, so that both play the same
market.
"""
