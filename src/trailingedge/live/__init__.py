"""Live trading: one session on an exchange, from the first connection to a graceful shutdown.

`trading_node` is the main loop, `node_builder` builds it bottom-up, `factory` turns settings into parameters. `startup`
and `cancel_on_shutdown` begin and end a session; `start_queries` has the steps of a start. `exchange_client` holds the
connections, and `event_router` passes their events to the trading core. `command_handler`, `operator_queries` and
`control_socket` serve the operator. `paper_exchange` is the exchange of paper mode. `systemd`, `process_signals`,
`slow_tick_monitor` and `frame_dump` handle service manager, signals, slow ticks and the dump of frames.

This package may import `core` to `console` and `report`, but not `app` or `commands`. In this package only
`paper_exchange` may import the simulator. `app` runs the node, `eventlog` records it and `session_replay` replays it.
Backtests and sweeps use `factory` alone.
"""
