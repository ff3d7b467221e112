"""Application: runs one trading session for the command line.

`bootstrap` dials the connections and imports the rest; `runner` then opens the `environments` of the trading mode,
builds the node and runs it, with record, alerts, hotkeys, control socket and watchdog beside it. `settings_reload`
applies changed settings. `run_options` is what `main` hands over.

It may import every other package, and it is one of the few that see all settings (`tests/test_architecture.py` names
them). Only `main` calls it; commands receive the functions of `environments` that they need from `main`.
"""
