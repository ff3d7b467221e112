"""Market history: downloads the recorded markets of a span of days into a folder, for backtests.

`history_span` defines which market and days are wanted, `archive_layout` which files of Binance's public archive
contain them. `verified_files` keeps a file only with a matching checksum, `archive_client` sends HTTP requests to the
archive, `archive_download` fetches many files at the same time, and `kline_download` writes the same files from the
WebSocket API. `fetched_history` is the result, which also names the missing days; `fetch` runs the download from
archive or WebSocket API, and ends it at Ctrl-C. `sample` is the small simulated market in the package.

Like `commands`, it may import everything except `app` and `main`. The command `history` uses it, and through
`market_arguments` every command that takes market files.
"""
