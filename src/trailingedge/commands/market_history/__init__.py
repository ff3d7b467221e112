"""Market history: downloads the recorded markets of a span of days into a folder, for backtests.

`history_span` says what is wanted, `archive_layout` which files of Binance's public archive contain it.
`verified_files` keeps a file only with its checksum, `archive_client` speaks HTTP to the archive, `archive_download`
fetches many files side by side, and `kline_download` writes the same files from the WebSocket API. `fetched_history` is
the result, with what is missing; `fetch` starts either way and ends it at Ctrl-C. `sample` is the small simulated
market in the package.

It may import what `commands` may: everything but `app` and `main`. The command `history` uses it, and through
`market_arguments` every command that takes market files.
"""
