"""Market data for the embedded exchange: sources of ticks, and readers of market data files.

`ticks` defines a tick and a source. `generated` (with `market_phases`) makes an endless market from a
seed; `historical` plays Binance's public CSV files (`csv_files`, `csv_schemas`, checked by `inspection`) and
`candle_path` turns klines into ticks; `live` plays another exchange's market as it happens.

The package imports `core` and `model`. Only `live` also imports `simulator`, because it drives
a running exchange.
The exchange does not know which source it plays. The backtest reads the same files through the same
modules, so that both play the same market.
"""
