"""Application: runs one trading session for the command line.

`bootstrap` dials the connections and imports the other modules. `runner` then opens the environment of the trading mode
(`environments`), builds the node, and runs it together with record, alerts, hotkeys, control socket and watchdog.
`settings_reload` applies changed settings. `run_options` defines the options that `main` passes to `runner`.

This package may import every other one, and is one of the few that see all settings (`tests/test_architecture.py` names
them). Only `main` calls it. Commands receive the functions of `environments` that they need from `main`.
"""
